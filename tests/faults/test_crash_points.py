"""After a crash at any call of the file system: all that was acknowledged, and old or new."""

import json
import sys
from contextlib import closing
from pathlib import Path

import pytest

from knowledge.sources import stored_copy
from storage.adapters import known_adapter, serving_adapter
from storage.audit import audit_chain
from storage.backup import make_backup, recorded_backups, verify_backup
from storage.database import faults, open_database, rows, write_transaction
from storage.datadir import DataDir, open_datadir
from storage.documents import list_documents
from storage.errors import BadInput
from storage.feedback import feedback
from storage.newest_migrations import migrations
from tests.faults import acts
from tests.faults.disk import crashes, needs_strace
from tests.tiny import make_tiny_adapter
from tuning.adapter_files import verify_adapter

pytestmark = needs_strace


@pytest.fixture
def crashed(tried, tmp_path):
    """Each state that a crash can leave, counted for its bar."""

    def each(act: str, folder: Path):
        for crash in _crashed(act, folder, tmp_path):
            tried("B3" if crash.kind == "killed" else "B4")
            yield crash

    return each


def _crashed(act: str, folder: Path, tmp_path: Path):
    """Each state that a crash can leave, and what the act had said by then."""
    program = [sys.executable, acts.__file__, act, str(folder)]
    root = str(Path(acts.__file__).parents[2])
    found = 0
    for crash in crashes(program, folder, tmp_path, PYTHONPATH=root, PYTHONDONTWRITEBYTECODE="1"):
        found += 1
        yield crash
    assert found > 5, "too few states: the calls were not understood"


def sound(db) -> None:
    assert faults(db) == []
    assert audit_chain(db).kept


def corrected(db, said):
    count = len(rows(db, "select id from feedback"))
    assert count == 2 if said else count in (1, 2)
    assert not said or feedback(db, int(said)).correction == "30 days."


def approved(db, said):
    now = feedback(db, 1).status
    assert now == "approved" if said else now in ("new", "approved")
    assert len(rows(db, "select id from overrides")) == (now == "approved")


def answered(db, said):
    count = len(rows(db, "select id from messages"))
    assert count == 3 if said else count in (2, 3)


def second_serves(db, said):
    now = serving_adapter(db, 1)
    assert now is not None and now.id == 2 if said else now.id in (1, 2)


def base_serves(db, said):
    now = serving_adapter(db, 1)
    assert now is None if said else now is None or now.id == 1


@pytest.mark.parametrize(
    ("act", "kept"),
    [
        (acts.answer, answered),
        (acts.correct, corrected),
        (acts.say_yes, approved),
        (acts.serve_second, second_serves),
        (acts.roll_back, base_serves),
    ],
)
def test_a_write_to_the_database_is_there_or_not(house, tmp_path, act, kept, crashed):
    for crash in crashed(act.__name__, house.root):
        with open_database(DataDir(crash.left).database) as db:
            sound(db)
            kept(db, next(iter(crash.said), ""))


def test_an_adapter_is_whole_or_not_there(house, tmp_path, tiny_base, crashed):
    make_tiny_adapter(tiny_base, house.root / "weights")
    facts = {"base_fingerprint": tiny_base.fingerprint, "method": "lora"}
    (house.root / "facts.json").write_text(json.dumps(facts))
    for crash in crashed("save", house.root):
        with open_database(DataDir(crash.left).database) as db:
            sound(db)
            rows_of = {row["id"] for row in rows(db, "select id from adapters")}
            assert 3 in rows_of if crash.said else True
            folder = DataDir(crash.left).adapters / "3"
            if 3 in rows_of:
                digest = known_adapter(db, 3).manifest_hash
                verify_adapter(folder, tiny_base.fingerprint, expected_manifest=digest)
            elif folder.exists():
                verify_adapter(folder, tiny_base.fingerprint)


def test_a_document_on_record_has_its_copy(house, tmp_path, crashed):
    text = "# Returns\n\nGoods go back in 30 days."
    (tmp_path / "returns.md").write_text(text)
    for crash in crashed("take_in", house.root):
        with open_database(DataDir(crash.left).database) as db:
            sound(db)
            known = [one.name for one in list_documents(db, 1)]
            assert known == ["returns.md"] if crash.said else known in ([], ["returns.md"])
        if known:
            copy = stored_copy(DataDir(crash.left), 1, "returns.md")
            assert copy.read_text() == text


def test_a_backup_that_was_told_of_can_be_restored(house, tmp_path, crashed):
    for crash in crashed("back_up", house.root):
        datadir = DataDir(crash.left)
        with open_database(datadir.database) as db:
            sound(db)
            known = recorded_backups(db)
        file = datadir.backups / "kept.tar"
        if crash.said:
            assert [one.id for one in known] == [int(crash.said[0])]
            assert verify_backup(file)["files"]
        elif file.exists():
            usable(file)


def usable(file: Path) -> None:
    """It verifies, or is refused as what it is."""
    try:
        assert verify_backup(file)["files"]
    except BadInput as error:
        assert "no backup, or a damaged one" in str(error)


def test_a_restored_directory_is_whole_or_not_there(house, tmp_path, crashed):
    folder = tmp_path / "disk"
    folder.mkdir()
    make_backup(house, folder / "kept.tar", actor="user:2")
    for crash in crashed("restore", folder):
        data = crash.left / "data"
        if crash.said:
            assert data.is_dir()
        if data.is_dir():
            with open_database(open_datadir(data).database) as db:
                sound(db)
                assert len(rows(db, "select id from messages")) == 2


@pytest.mark.parametrize(
    "older",
    [pytest.param("m010_thumbs", marks=pytest.mark.slow), "m020_pages_of_websites"],
)
def test_a_database_is_of_the_old_version_or_the_new(tmp_path, older, crashed):
    folder = tmp_path / "disk"
    folder.mkdir()
    path = DataDir(folder).database
    path.touch(mode=0o600)
    with open_database(path) as db:
        db.conn.execute("pragma journal_mode = wal")
        with write_transaction(db):
            migrations.apply(db, stop_before=older)
            db.conn.execute("insert into jobs (kind) values ('kept')")
    for crash in crashed("migrate", folder):
        with closing(open_database(path)) as db:
            assert faults(db) == []
            done = {applied.name for applied in migrations.applied(db)}
            if crash.said:
                assert migrations.pending(db) == []
            assert (older in done) == (not migrations.pending(db))
        with open_database(open_datadir(folder).database) as db:
            assert rows(db, "select kind from jobs") == [{"kind": "kept"}]
