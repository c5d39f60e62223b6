"""Backups: whole or not there, verified, restored to an empty place, and safe to open."""

import hashlib
import io
import json
import shutil
import tarfile
import threading
from contextlib import closing
from pathlib import Path

import pytest

from storage.backup import (
    backup,
    holding_erased,
    make_backup,
    purge,
    recorded_backups,
    restore_backup,
    verify_backup,
)
from storage.conversations import start_conversation
from storage.database import faults, open_database, rows
from storage.datadir import DataDir, read_secret
from storage.documents import put_document
from storage.erasure import ask_erasure, erase_rows
from storage.erasure_scope import scope_of
from storage.errors import BadInput, Refused
from storage.feedback import feedback

ADMIN = {"actor": "user:9"}


@pytest.fixture
def full(datadir, db, workspace, corrected, candidate):
    """A data directory with something of everything."""
    corrected("How long?", "2 years", yes=True)
    put_document(db, workspace.id, name="a.md", hash="h", media_type="t", chunks=[("", "text")])
    (datadir.documents / "1").mkdir()
    (datadir.documents / "1" / "a.md").write_text("text")
    folder = datadir.adapters / str(candidate().id)
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(bytes(range(256)) * 100)
    (folder / "adapter.gguf").write_bytes(b"derived")
    (datadir.adapters / "99").mkdir()
    (datadir.adapters / "99" / "left.bin").write_bytes(b"of no adapter")
    (datadir.certificates / ".words-1.json").write_text("never")
    (datadir.client_databases / "1.sqlite").write_bytes(b"what a check's queries run on")
    read_secret(datadir, "session")
    return datadir


@pytest.mark.parametrize("name", ["copy.tar", "copy.tar.gz"])
def test_a_backup_comes_back_as_it_was(full, tmp_path, name):
    made = make_backup(full, tmp_path / "out" / name, **ADMIN)
    path = tmp_path / "out" / name
    assert (made.path, made.size) == (str(path), path.stat().st_size)
    assert path.stat().st_mode & 0o077 == 0
    assert [one.name for one in path.parent.iterdir()] == [name]
    again = tmp_path / "again"
    manifest = restore_backup(path, again)
    assert manifest["rows"]["feedback"] == 1
    restored = DataDir(again)
    with closing(open_database(restored.database)) as db:
        assert faults(db) == [] and feedback(db, 1).correction == "2 years"
        assert rows(db, "pragma journal_mode") == [{"journal_mode": "wal"}]
    assert (restored.documents / "1" / "a.md").read_text() == "text"
    copied = restored.client_databases / "1.sqlite"
    assert copied.read_bytes() == b"what a check's queries run on"
    assert read_secret(restored, "session") == read_secret(full, "session")
    names = {str(one.relative_to(again)) for one in restored.adapters.rglob("*") if one.is_file()}
    assert names == {"adapters/1/adapter_model.safetensors"}
    assert not list(restored.certificates.iterdir())
    assert restored.root.stat().st_mode & 0o077 == 0


def test_it_is_on_record_only_when_it_is_there(full, db, tmp_path):
    made = make_backup(full, tmp_path / "a.tar", **ADMIN)
    assert recorded_backups(db) == [made] == [backup(db, made.id)]
    with pytest.raises(BadInput, match="exists already"):
        make_backup(full, tmp_path / "a.tar", **ADMIN)
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot be written"):
        make_backup(full, tmp_path / "file" / "b.tar", **ADMIN)
    assert recorded_backups(db) == [made]


def test_what_changed_while_it_was_copied_makes_it_begin_anew(full, db, workspace, tmp_path):
    import storage.backup as module

    packed = module._pack
    tries = []

    def pack(*given):
        packed(*given)
        tries.append(1)
        if len(tries) == 1:
            more = {"hash": "h2", "media_type": "t", "chunks": [("", "more")]}
            put_document(db, workspace.id, name="b.md", **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_pack", pack)
        make_backup(full, tmp_path / "a.tar", **ADMIN)
    assert len(tries) == 2
    assert restore_backup(tmp_path / "a.tar", tmp_path / "again")["rows"]["documents"] == 2


def test_a_backup_while_others_write_holds_what_was_acknowledged_before(datadir, tmp_path, tried):
    acknowledged, stop = [], threading.Event()

    def keep_writing():
        with closing(open_database(datadir.database)) as db:
            while not stop.is_set():
                acknowledged.append(start_conversation(db, 1, "user:1").id)

    writers = [threading.Thread(target=keep_writing) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for trial in range(10):
            tried("B16")
            before = set(acknowledged)
            make_backup(datadir, tmp_path / f"{trial}.tar", **ADMIN)
            restore_backup(tmp_path / f"{trial}.tar", tmp_path / f"again-{trial}")
            with closing(open_database(DataDir(tmp_path / f"again-{trial}").database)) as db:
                found = {row["id"] for row in rows(db, "select id from conversations")}
                assert before <= found and faults(db) == []
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert before, "nobody wrote meanwhile"


def test_a_directory_with_something_in_it_is_not_restored_into(full, tmp_path):
    make_backup(full, tmp_path / "a.tar", **ADMIN)
    with pytest.raises(Refused, match="not empty"):
        restore_backup(tmp_path / "a.tar", full.root)
    (tmp_path / "empty").mkdir()
    restore_backup(tmp_path / "a.tar", tmp_path / "empty")
    with pytest.raises(BadInput, match="no backup"):
        restore_backup(tmp_path / "b.tar", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def members(path: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(path) as tar:
        return [(one, tar.extractfile(one).read()) for one in tar]


def rewritten(path: Path, entries) -> Path:
    changed = path.with_name("changed.tar")
    with tarfile.open(changed, "w") as tar:
        for entry, content in entries:
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return changed


def entry(name: str, **more) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for key, value in more.items():
        setattr(made, key, value)
    return made


DAMAGES = {
    "a flipped byte": lambda found: [
        (e, c[:-1] + bytes([c[-1] ^ 1]) if e.name.endswith("safetensors") else c) for e, c in found
    ],
    "a missing file": lambda found: [pair for pair in found if "documents" not in pair[0].name],
    "no manifest": lambda found: found[:-1],
    "one file more": lambda found: [(entry("secrets/more"), b"x"), *found],
    "the same twice": lambda found: [found[0], *found],
    "a path out": lambda found: [(entry("documents/../../evil"), b"x"), *found],
    "an absolute path": lambda found: [(entry("/etc/evil"), b"x"), *found],
    "an odd place": lambda found: [(entry("chroma/evil"), b"x"), *found],
    "a link": lambda found: [
        (entry("documents/evil", type=tarfile.SYMTYPE, linkname="/etc/passwd"), b""),
        *found,
    ],
    "a damaged database": lambda found: [
        (e, c[:5000] + b"\0" * 3000 + c[8000:] if e.name == "apprentice.db" else c)
        for e, c in found
    ],
    "another format": lambda found: [
        (e, json.dumps({**json.loads(c), "format": 9}).encode() if e.name == "manifest.json" else c)
        for e, c in found
    ],
    "a manifest nested too deeply": lambda found: [*found[:-1], (found[-1][0], b"[" * 100_000)],
    "a manifest of a gigabyte": lambda found: [*found[:-1], (found[-1][0], b" " * (65 << 20))],
    "a manifest of nothing": lambda found: [(found[-1][0], b"[]")],
}


@pytest.fixture(scope="module")
def good(fresh, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    datadir = DataDir(shutil.copytree(fresh.root, folder / "data"))
    (datadir.documents / "a.md").write_text("text")
    (datadir.adapters / "1").mkdir()
    with closing(open_database(datadir.database)) as db:
        from storage.adapters import add_adapter

        more = {"base_fingerprint": "b", "method": "lora", "manifest_hash": "m"}
        add_adapter(db, 1, round_id=None, parent_id=None, **more)
    (datadir.adapters / "1" / "a.safetensors").write_bytes(b"weights")
    make_backup(datadir, folder / "good.tar", **ADMIN)
    return folder / "good.tar"


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_a_damaged_or_crafted_backup_is_refused_and_leaves_nothing(good, tmp_path, damage):
    path = shutil.copy(good, tmp_path / "a.tar")
    assert verify_backup(path)["files"]
    changed = rewritten(path, DAMAGES[damage](members(path)))
    with pytest.raises(BadInput, match="changed.tar"):
        verify_backup(changed)
    with pytest.raises(BadInput, match="changed.tar"):
        restore_backup(changed, tmp_path / "deep" / "again")
    assert {one.name for one in tmp_path.iterdir()} == {"a.tar", "changed.tar", "deep"}
    assert not list((tmp_path / "deep").iterdir())


def test_a_database_that_is_not_sound_is_refused_though_its_hash_fits(good, tmp_path):
    path = shutil.copy(good, tmp_path / "a.tar")
    found = members(path)
    content = found[0][1]
    broken = content[:8192] + bytes(len(content) - 16384) + content[-8192:]
    manifest = json.loads(found[-1][1])
    manifest["files"]["apprentice.db"]["sha256"] = hashlib.sha256(broken).hexdigest()
    found[0], found[-1] = (found[0][0], broken), (found[-1][0], json.dumps(manifest).encode())
    with pytest.raises(BadInput, match="changed.tar"):
        verify_backup(rewritten(path, found))


def test_a_cut_off_backup_is_refused(good, tmp_path):
    for length in (0, 100, 20_000):
        cut = tmp_path / "cut.tar"
        cut.write_bytes(good.read_bytes()[:length])
        with pytest.raises(BadInput, match="cut.tar"):
            verify_backup(cut)


def test_purging_deletes_what_was_made_before_an_erasure(full, db, corrected, tmp_path):
    old = [make_backup(full, tmp_path / f"{name}.tar", **ADMIN) for name in "abc"]
    assert holding_erased(db) == []
    known = ask_erasure(db, "feedback", "1", **ADMIN)
    erase_rows(db, known.id, scope_of(db, "feedback", "1"), **ADMIN)
    new = make_backup(full, tmp_path / "new.tar", **ADMIN)
    assert holding_erased(db) == old
    (tmp_path / "b.tar").unlink()
    (tmp_path / "c.tar").write_text("something else")
    found = [purge(db, one, **ADMIN) for one in holding_erased(db)]
    assert found == ["deleted", "gone", "another file"]
    assert not (tmp_path / "a.tar").exists() and (tmp_path / "c.tar").exists()
    assert recorded_backups(db) == [new] and holding_erased(db) == []
