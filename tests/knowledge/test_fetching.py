"""One page: connected to as it was checked, within size and types, over TLS too."""

import gzip
from datetime import UTC, datetime, timedelta

import pytest

from knowledge.fetching import MOST_BYTES, Fetcher, NotFetched
from knowledge.web_address import PrivateAddress
from tests.website import website


@pytest.fixture
def site():
    with website() as site:
        yield site


def test_the_name_is_looked_up_once_a_request_and_connected_to_as_it_was_checked(site):
    """A name that only our look-up knows reaches the site, so nobody looks it up again."""
    answers = [["127.0.0.1"], ["127.0.0.1"], ["10.0.0.1"]]
    asked = []

    def resolve(host, port):
        asked.append((host, port))
        return answers[len(asked) - 1]

    site.page("/", "Home")
    port = int(site.address.rpartition(":")[2])
    address = f"http://rebind.example:{port}/"
    with Fetcher([f"rebind.example:{port}"], resolve) as fetcher:
        assert b"Home" in fetcher.get(address).data
    assert asked == [("rebind.example", port)]
    assert site.asked[0][1]["Host"] == f"rebind.example:{port}"
    with Fetcher((), resolve) as fetcher, pytest.raises(PrivateAddress):
        fetcher.get(address)
    assert len(site.asked) == 1


def test_a_name_that_turns_private_between_two_requests_is_refused(site):
    """The connection that is still open to the first one's address is not used either."""
    site.page("/", "Home")
    port = int(site.address.rpartition(":")[2])
    address, numbers = f"http://turning.example:{port}/", ["127.0.0.1"]
    named = {f"turning.example:{port}"}
    with Fetcher(named, lambda host, port: numbers) as fetcher:
        assert fetcher.get(address).status == 200
        named.clear()
        with pytest.raises(PrivateAddress):
            fetcher.get(address)
    assert len(site.asked) == 1


def test_tls_is_proved_for_the_name_and_not_the_number(tmp_path, monkeypatch):
    pem = _certificate(tmp_path / "site.pem", "shop.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with website(pem) as site:
        site.page("/", "Home")
        port = int(site.address.rpartition(":")[2])
        named = [f"shop.example:{port}", f"other.example:{port}"]
        with Fetcher(named, lambda host, port: ["127.0.0.1"]) as fetcher:
            assert b"Home" in fetcher.get(f"https://shop.example:{port}/").data
            with pytest.raises(NotFetched, match="does not answer"):
                fetcher.get(f"https://other.example:{port}/")


def test_the_next_number_is_tried_where_one_does_not_answer(site):
    site.page("/", "Home")
    with Fetcher([site.host], lambda host, port: ["127.0.0.99", "127.0.0.1"]) as fetcher:
        assert fetcher.get(site.address).status == 200


def test_a_page_that_is_too_large_packed_or_not(site):
    site.put("/big", b"x" * (MOST_BYTES + 1))
    site.put("/bomb", gzip.compress(b"\0" * (MOST_BYTES + 1)), Content_Encoding="gzip")
    site.put("/packed", gzip.compress(b"Fine."), Content_Encoding="gzip")
    site.put("/broken", b"no gzip", Content_Encoding="gzip")
    site.put("/odd", b"?", Content_Encoding="br")
    with Fetcher([site.host]) as fetcher:
        assert fetcher.get(f"{site.address}/packed").data == b"Fine."
        for path, said in [
            ("/big", "more than 10 MB"),
            ("/bomb", "more than 10 MB"),
            ("/broken", "no proper answer"),
            ("/odd", "was not asked for"),
        ]:
            with pytest.raises(NotFetched, match=said):
                fetcher.get(site.address + path)


def test_what_is_not_wanted_is_not_read(site):
    site.put("/film", b"film", Content_Type="video/mp4")
    with Fetcher([site.host]) as fetcher:
        answer = fetcher.get(f"{site.address}/film", wanted=lambda answer: False)
    assert (answer.media_type, answer.data) == ("video/mp4", b"")


def test_a_redirect_is_not_followed(site):
    site.redirect("/", "http://127.0.0.1:9/")
    with Fetcher([site.host]) as fetcher:
        assert fetcher.get(site.address).status == 301


def test_a_server_that_is_away_gets_a_sentence(site):
    with website() as gone:
        pass
    with Fetcher([gone.host]) as fetcher, pytest.raises(NotFetched, match="does not answer"):
        fetcher.get(gone.address)


def test_a_proxy_of_the_environment_is_not_asked(site, monkeypatch):
    """It would look the name up itself, where we cannot check."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with Fetcher([site.host]) as fetcher:
        assert fetcher.get(site.address).status == 404


def _certificate(path, name):
    """A certificate for `name` that signs itself, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path
