"""Zips from people: what is unpacked, and what never leaves its folder or fills the disk."""

import stat
import zipfile

import pytest

from assistant import uploaded_zip
from assistant.uploaded_zip import MOST_FILES, unpacked
from storage.errors import BadInput, NotFound


@pytest.fixture
def packed(tmp_path):
    """Makes a zip of (name or ZipInfo, content)."""

    def make(*entries, packing=zipfile.ZIP_DEFLATED):
        path = tmp_path / "given.zip"
        with zipfile.ZipFile(path, "w", packing) as archive:
            for name, content in entries:
                archive.writestr(name, content)
        return path

    return make


@pytest.fixture
def within(tmp_path):
    place = tmp_path / "within"
    place.mkdir()
    return place


@pytest.mark.parametrize("above", ["", "out/", "a/b/out/"])
def test_the_folder_is_found_wherever_it_lies_and_is_gone_afterwards(packed, within, above):
    path = packed(
        (f"{above}adapter/x.json", "{}"), (f"{above}training.json", "1"), ("__MACOSX/adapter/x", "")
    )
    with unpacked(path, "adapter", within=within) as found:
        assert (found / "training.json").read_text() == "1"
        assert (found / "adapter" / "x.json").is_file()
    assert list(within.iterdir()) == []


def test_without_it_the_whole_is_there_and_a_refusal_names_the_zip(packed, within):
    with (
        pytest.raises(BadInput, match=r"^There is nothing in given\.zip: adapter\.$"),
        unpacked(packed(("a.txt", "a")), "adapter", within=within) as found,
    ):
        assert (found / "a.txt").is_file()
        raise NotFound(f"There is nothing in {found}/adapter.")
    assert list(within.iterdir()) == []


def link() -> zipfile.ZipInfo:
    made = zipfile.ZipInfo("link")
    made.external_attr = (stat.S_IFLNK | 0o777) << 16
    return made


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ("../up.txt", "outside"),
        ("a/../../up.txt", "outside"),
        ("/etc/up.txt", "outside"),
        ("..\\up.txt", "outside"),
        ("C:up.txt", "outside"),
        ("a\nb", "outside"),
        (link(), "link"),
    ],
)
def test_a_place_outside_or_a_link_is_refused(packed, within, tmp_path, entry, named):
    path = packed((entry, "/etc/passwd"))
    with pytest.raises(BadInput, match=named), unpacked(path, "adapter", within=within):
        pass
    assert list(within.iterdir()) == [] and not (tmp_path / "up.txt").exists()


def test_a_bomb_is_stopped_while_it_unpacks(packed, within, monkeypatch):
    monkeypatch.setattr(uploaded_zip, "MOST_BYTES", 3 << 20)
    path = packed(*((f"{n}", bytes(1 << 20)) for n in range(5)))
    assert path.stat().st_size < 20_000
    with pytest.raises(BadInput, match="more than 3 MB"), unpacked(path, "x", within=within):
        pass
    assert list(within.iterdir()) == []


def test_many_files_twice_the_same_and_rare_packing_are_refused(packed, within):
    many = [(f"{n}", "") for n in range(MOST_FILES + 1)]
    with pytest.raises(BadInput, match="1001 files"), unpacked(packed(*many), "x", within=within):
        pass
    with (
        pytest.warns(UserWarning, match="Duplicate"),
        pytest.raises(BadInput, match="twice"),
        unpacked(packed(("a", "1"), ("a", "2")), "x", within=within),
    ):
        pass
    for clash in ((("a", ""), ("a/b", "")), (("a/b", ""), ("a", ""))):
        with pytest.raises(BadInput, match="twice"), unpacked(packed(*clash), "x", within=within):
            pass
    path = packed(("a", "1"), packing=zipfile.ZIP_LZMA)
    with pytest.raises(BadInput, match="rare way"), unpacked(path, "x", within=within):
        pass


def test_an_encrypted_or_damaged_one_is_refused(packed, within):
    path = packed(("a", "some text"), packing=zipfile.ZIP_STORED)
    good = path.read_bytes()
    spoilt = {
        "encrypted": good.replace(
            b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
        ),
        "Bad CRC": good.replace(b"some text", b"some tekt"),
        "not a zip file": b"no zip at all",
    }
    for named, content in spoilt.items():
        assert content != good
        path.write_bytes(content)
        with pytest.raises(BadInput, match=named), unpacked(path, "x", within=within):
            pass
    assert list(within.iterdir()) == []
