"""What travels: all of it, our sources with it, and nothing outside where it is unpacked."""

import subprocess
import sys
import tarfile

import pytest

from storage.errors import BadInput
from tuning.runners.parcel import pack, unpack


def test_it_comes_out_as_it_went_in(tmp_path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "train.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "one.json").write_text("{}")
    folders = {"bundle": tmp_path / "bundle", "deep/one.json": tmp_path / "one.json"}
    unpack(pack(tmp_path / "p.tar.gz", folders), tmp_path / "to")
    assert (tmp_path / "to" / "bundle" / "train.jsonl").read_text() == '{"a": 1}\n'
    assert (tmp_path / "to" / "deep" / "one.json").read_text() == "{}"


def test_our_sources_run_from_where_they_are_unpacked(tmp_path):
    unpack(pack(tmp_path / "p.tar.gz", {}, with_code=True), tmp_path / "to")
    code = tmp_path / "to" / "code"
    asked = "import tuning.runners.local as m, tuning.sentinel; print(m.__file__)"
    done = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            f"import sys; sys.path[:0] = {[str(code), *sys.path]}; {asked}",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(str(code)), done.stderr
    assert (code / "tuning" / "sentinel.jsonl").is_file()
    assert not list(code.rglob("*.pyc"))


def test_a_damaged_one_is_a_sentence(tmp_path):
    (tmp_path / "p.tar.gz").write_bytes(b"\x1f\x8bno archive")
    with pytest.raises(BadInput, match=r"p\.tar\.gz cannot be unpacked"):
        unpack(tmp_path / "p.tar.gz", tmp_path / "to")


@pytest.mark.parametrize("name", ["../out.txt", "link"])
def test_nothing_is_written_outside(tmp_path, name):
    with tarfile.open(tmp_path / "p.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo(name)
        if name == "link":
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry)
    with pytest.raises(BadInput):
        unpack(tmp_path / "p.tar.gz", tmp_path / "to")
    assert not (tmp_path / "out.txt").exists()
