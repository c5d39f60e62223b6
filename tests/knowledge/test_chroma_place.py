import pytest

from knowledge.chroma_place import ChromaPlace
from storage.errors import BadInput


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        ("http://127.0.0.1:8000", ("127.0.0.1", 8000, False), "http://127.0.0.1:8000"),
        ("https://api.trychroma.com/", ("api.trychroma.com", 443, True), None),
        ("http://chroma", ("chroma", 80, False), "http://chroma:80"),
        ("http://[::1]:8000", ("::1", 8000, False), "http://[::1]:8000"),
    ],
)
def test_an_address_is_host_port_and_tls(url, address, shown):
    place = ChromaPlace(url, "shop")
    assert place.address == address
    assert shown in (None, place.shown)


@pytest.mark.parametrize(
    "url", ["chroma:8000", "127.0.0.1", "ftp://x", "http://", "http://x:99999", "http://x/api/v2"]
)
def test_what_is_no_address_is_said_in_one_sentence(url):
    with pytest.raises(BadInput, match=r"APPRENTICE_CHROMA_URL is .* give one like http"):
        ChromaPlace(url, "shop")


def test_no_secret_is_shown():
    with pytest.raises(BadInput) as told:
        ChromaPlace("http://ann:s3cret@chroma:8000", "shop")
    assert "s3cret" not in str(told.value) and "APPRENTICE_CHROMA_TOKEN" in str(told.value)
    with pytest.raises(BadInput) as told:
        ChromaPlace("http://ann:s3cret@chroma:99999", "shop")
    assert "s3cret" not in str(told.value)
    with pytest.raises(BadInput) as told:
        ChromaPlace("http://chroma", "shop", token="s3cret token")
    assert "s3cret" not in str(told.value)
    assert "s3cret" not in repr(ChromaPlace("http://chroma", "shop", token="s3cret"))


@pytest.mark.parametrize("prefix", ["", "ab", "-shop", "shop-", "Shop", "a.b", "x" * 40])
def test_a_prefix_can_begin_the_name_of_a_collection(prefix):
    with pytest.raises(BadInput, match="APPRENTICE_CHROMA_PREFIX"):
        ChromaPlace("http://chroma", prefix)
