"""What a page says of itself."""

import pytest

from knowledge.fetching import Answer
from knowledge.page import (
    PageFacts,
    may_be_page,
    page_facts,
    sitemap_addresses,
    suffix_of,
    text_of,
)

HERE = "https://example.com/a/b"


def facts(html: str, tag: str = "") -> PageFacts:
    return page_facts(HERE, html.encode(), tag)


def test_links_each_once_without_those_that_ask_not_to_be_followed():
    html = """<a href="/x">x</a> <a href="/x#part">x</a> <a href="c">c</a> <a>none</a>
    <a href="/login" rel="external nofollow">in</a> <a href="mailto:a@example.com">write</a>
    <a href="https://other.example/">other</a>"""
    assert facts(html).links == (
        "https://example.com/x",
        "https://example.com/a/c",
        "https://other.example/",
    )
    assert facts('<base href="/deep/"><a href="y">y</a>').links == ("https://example.com/deep/y",)
    moved = '<meta http-equiv="Refresh" content="0; url=/en/">'
    assert facts(moved).links == ("https://example.com/en/",)


def test_its_own_address():
    assert facts('<link rel="canonical" href="/a">').canonical == "https://example.com/a"
    assert facts('<link rel="stylesheet" href="/a">').canonical is None
    assert facts('<link rel="canonical" href="javascript:x">').canonical is None


@pytest.mark.parametrize(
    "html, tag, kept, followed",
    [
        ('<meta name="robots" content="noindex">', "", False, True),
        ('<meta name="ROBOTS" content="NOINDEX, NOFOLLOW">', "", False, False),
        ('<meta name="apprentice" content="none">', "", False, False),
        ('<meta name="otherbot" content="noindex">', "", True, True),
        ('<meta name="robots" content="index,follow">', "", True, True),
        ("", "noindex", False, True),
        ("", "max-snippet:3, nofollow", True, False),
    ],
)
def test_whether_it_may_be_kept_and_followed(html, tag, kept, followed):
    found = facts(html + '<a href="/x">x</a>', tag)
    assert (not found.noindex, bool(found.links)) == (kept, followed)


def test_an_empty_page_says_nothing():
    assert facts("") == PageFacts()
    assert facts("", "noindex").noindex


@pytest.mark.parametrize(
    "kind, path, suffix",
    [
        ("text/html; charset=utf-8", "/", ".html"),
        ("application/xhtml+xml", "/", ".html"),
        ("", "/", ".html"),
        ("text/plain", "/notes", ".txt"),
        ("text/plain", "/notes.md", ".md"),
        ("application/pdf", "/x?id=3", ".pdf"),
        ("application/octet-stream", "/price.pdf", ".pdf"),
        ("application/octet-stream", "/x", None),
        ("image/png", "/x", None),
        ("application/json", "/x.md", None),
    ],
)
def test_what_kind_of_document_it_is(kind, path, suffix):
    answer = Answer(f"https://example.com{path}", 200, {"content-type": kind})
    assert suffix_of(answer) == suffix


def test_text_whose_encoding_only_the_header_tells():
    def text(kind, data):
        return text_of(Answer(HERE, 200, {"content-type": kind}, data))

    assert text("text/html; charset=iso-8859-1", b"Gr\xfc\xdfe").decode("utf-8-sig") == "Grüße"
    for kind in ("text/html", "text/html; charset=UTF-8", "text/html; charset=no-such"):
        assert text(kind, b"Gr\xc3\xbc") == b"Gr\xc3\xbc"
    assert text("application/pdf; charset=latin-1", b"\xfc") == b"\xfc"


def test_pictures_and_the_like_are_not_asked_for():
    assert not any(map(may_be_page, [f"{HERE}/{end}" for end in ("a.PNG", "b.mp4", "c.css")]))
    assert all(map(may_be_page, [f"{HERE}/{end}" for end in ("", "a.php", "b.pdf", "v1.2")]))


def test_sitemaps():
    name = b"http://www.sitemaps.org/schemas/sitemap/0.9"
    pages = b"<urlset xmlns='" + name + b"'><url><loc> https://a/x </loc></url></urlset>"
    assert sitemap_addresses(pages) == (["https://a/x"], [])
    index = b"<sitemapindex><sitemap><loc>https://a/map2.xml</loc></sitemap></sitemapindex>"
    assert sitemap_addresses(index) == ([], ["https://a/map2.xml"])
    for broken in (b"\x01\x00>", b"\0", b"<:>", b"", b"no xml", b"<html></html>"):
        assert sitemap_addresses(broken) == ([], [])
    outside = b"""<!DOCTYPE u [<!ENTITY f SYSTEM "file:///etc/hostname">]>
    <urlset><url><loc>&f;</loc></url></urlset>"""
    assert sitemap_addresses(outside) == ([], [])
