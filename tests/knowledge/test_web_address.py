"""Addresses: one page has one, and none leads into the house's own network."""

import pytest

from knowledge.web_address import (
    PrivateAddress,
    UnknownHost,
    host_of,
    is_public,
    page_name,
    parse_hosts,
    permitted_addresses,
    site_address,
    tidy_address,
)
from storage.errors import BadInput


@pytest.mark.parametrize(
    "written, base, visited",
    [
        ("HTTP://Example.COM:80/a/../b#part", "", "http://example.com/b"),
        ("https://example.com", "", "https://example.com/"),
        ("?page=2", "https://example.com/list?page=1", "https://example.com/list?page=2"),
        ("../up", "https://example.com/a/b/c", "https://example.com/a/up"),
        ("//docs.example.com/", "https://example.com/", "https://docs.example.com/"),
        ("/a?utm_source=x&page=3&gclid=1", "https://example.com/", "https://example.com/a?page=3"),
        ("/a?utm_source=x", "https://example.com/", "https://example.com/a"),
        ("/a;jsessionid=9?x=1", "https://example.com/", "https://example.com/a?x=1"),
        (" /ü ", "https://example.com/", "https://example.com/%C3%BC"),
    ],
)
def test_one_page_has_one_address(written, base, visited):
    assert tidy_address(written, base) == visited


@pytest.mark.parametrize(
    "written",
    [
        *("javascript:alert(1)", "mailto:a@example.com", "ftp://example.com/", "file:///etc/hosts"),
        *("example.com", "http://", "https://me:secret@example.com/", "http://a:99999/", ""),
        *("http://a:0/", "http://a b/\x00", "https://example.com/" + "a" * 2000),
    ],
)
def test_what_is_no_web_address(written):
    assert tidy_address(written) is None
    with pytest.raises(BadInput, match="is no address of a website: write it as"):
        site_address(written)


def test_a_document_is_named_as_people_read_addresses():
    assert page_name("https://example.com/%C3%BCber-uns?q=a%20b") == "example.com/über-uns?q=a b"
    assert page_name("http://example.com:8080/") == "example.com:8080/"
    assert page_name("https://example.com/a%0Ab") == "example.com/a%0Ab"
    assert host_of("http://[::1]:8080/x") == "[::1]:8080"


@pytest.mark.parametrize(
    "number",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1"),
        *("::1", "::", "fe80::1%eth0", "fd00::1", "fec0::1", "ff02::1", "2001::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::7f00:1", "64:ff9b::7f00:1", "2002:7f00:1::"),
    ],
)
def test_numbers_that_are_not_of_the_internet(number):
    assert not is_public(number)
    with pytest.raises(PrivateAddress, match="inner.example has the private address"):
        permitted_addresses("inner.example", 80, (), lambda host, port: [number])


@pytest.mark.parametrize(
    "number", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
)
def test_numbers_of_the_internet(number):
    assert is_public(number)


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0177.0.0.1", "[::1]"])
def test_other_spellings_of_this_machine_are_seen_through(host):
    with pytest.raises(PrivateAddress):
        permitted_addresses(host.strip("[]"), 80, ())


def test_a_host_with_public_and_private_numbers_is_visited_at_the_public_one():
    both = ["10.0.0.1", "93.184.216.34"]
    assert permitted_addresses("a.example", 80, (), lambda host, port: both) == both[1:]


def test_only_the_named_private_host_is_visited_and_only_at_its_port():
    named = parse_hosts(["intranet", "wiki.corp:8080", "[::1]:9000"])

    def ask(host, port):
        return permitted_addresses(host, port, named, lambda host, port: ["10.0.0.1"])

    assert ask("intranet", 1234) == ask("wiki.corp", 8080) == ask("::1", 9000) == ["10.0.0.1"]
    for host, port in [("wiki.corp", 80), ("other.corp", 8080), ("::1", 80)]:
        with pytest.raises(PrivateAddress, match="APPRENTICE_SITE_PRIVATE_HOSTS"):
            ask(host, port)


def test_an_unknown_host():
    with pytest.raises(UnknownHost, match=r"nowhere\.invalid is not known"):
        permitted_addresses("nowhere.invalid", 80, ())


def test_hosts_as_they_are_typed():
    assert parse_hosts([" Docs.Example.com", "", "a:80"]) == {"docs.example.com", "a:80"}
    for typed in ("https://a.example/", "a.example/path", "a b", "me@a.example"):
        with pytest.raises(BadInput, match="is no host"):
            parse_hosts([typed])
