"""An old data directory: moved, of an older version, read-only, at a wrong time (bar B16)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.app import open_app
from assistant.settings import read_settings
from storage.adapters import serving_adapter
from storage.audit import audit_chain, list_audit
from storage.backup import holding_erased
from storage.database import faults, open_database, prepare_database, rows, write_transaction
from storage.datadir import read_secret
from storage.feedback import feedback
from storage.feedback_seals import broken_seals, seal_all
from storage.newest_migrations import migrations
from storage.pairs import pairs_since_last_round
from tests.assistant.test_retrieval import answered
from tests.faults.disk import needs_mounts

ROOT = Path(__file__).parents[2]
VERSIONS = [known.name for known in migrations._migrations]

ROWS = """
insert into workspaces (name, access) values ('shop', 'public');
insert into users (name, role, password_hash) values ('Mo', 'admin', 'h');
insert into conversations (id, workspace_id, owner) values ('c', 1, 'user:1');
insert into messages (id, conversation_id, role, content) values ('q', 'c', 'user', 'How long?');
insert into messages (id, conversation_id, parent_id, role, content, finish_reason, inputs)
    values ('r', 'c', 'q', 'assistant', 'Ever.', 'stop', '{"question": "How long?"}');
insert into feedback (workspace_id, message_id, origin, contributor, status, "group", question,
    question_key, history_key, duplicate_key, correction)
    values (1, 'r', 'staff', 'user:1', 'new', 'g', 'How long?', 'how long', '', 'd', '30 days');
"""


SEALS = "m033_sealed_feedback"
"""From here on a row is written with its hash."""
TABLES = ("workspaces", "users", "conversations", "messages", "feedback")


@pytest.mark.parametrize("version", VERSIONS[8:])  # before it there were no such tables
def test_what_an_older_version_wrote_is_there(tmp_path, tried, version):
    """Made by applying what there was, up to each version; then opened by this one."""
    tried("B16")
    path = tmp_path / "apprentice.db"
    path.touch()
    with open_database(path) as db:
        migrations.apply(db, stop_before=version)
        with write_transaction(db):
            db.executescript(ROWS)
            if version > SEALS:
                seal_all(db)  # as it did itself
        before = {table: rows(db, f"select * from {table}") for table in TABLES}
    prepare_database(path)
    with open_database(path) as db:
        assert faults(db) == [] and broken_seals(db) == [] and audit_chain(db).kept
        for table, old in before.items():
            new = rows(db, f"select * from {table}")
            assert [{name: row[name] for name in old[0]} for row in new] == old, table
        assert feedback(db, 1).correction == "30 days"


def test_a_directory_in_a_new_place_answers_as_in_the_old(
    app, workspace, tmp_path, tried, tiny_base
):
    tried("B16")
    before = answered(app, workspace, "How long may I return it?").message.content
    secret = read_secret(app.datadir, "session")
    app.close()
    shutil.copytree(app.datadir.root, tmp_path / "elsewhere" / "volume")
    app.datadir.root.rename(tmp_path / "gone")
    place = {"data": tmp_path / "elsewhere" / "volume", "base_model": str(tiny_base.folder)}
    settings = read_settings(**place, threads=1, context=512)
    with open_app(settings) as moved:
        assert answered(moved, workspace, "How long may I return it?").message.content == before
        assert read_secret(moved.datadir, "session") == secret
    (tmp_path / "gone").rename(app.datadir.root)


def read_only(folder, *words):
    """A command that finds the folder on a disk that takes no writes."""
    own = f'mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", own, "-", sys.executable, "-m", "assistant", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@needs_mounts
def test_a_directory_that_may_not_be_written_is_named(house, tried):
    before = {path: path.read_bytes() for path in house.root.rglob("*") if path.is_file()}
    for verb in (("serve", "--port", "0"), ("feedback", "list")):
        tried("B16")
        done = read_only(house.root, *verb, "--data", str(house.root))
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
        assert str(house.root) in done.stderr and "Traceback" not in done.stderr
    assert before == {path: path.read_bytes() for path in before}


# ---- the clock


def at(time, act, folder):
    """An act of `acts.py` by a machine whose clock says another time."""
    program = [sys.executable, str(Path(__file__).with_name("acts.py")), act, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        ["faketime", "-f", time, *program], env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.mark.skipif(shutil.which("faketime") is None, reason="needs faketime")
def test_a_clock_that_was_set_back_turns_no_order_round(house, tried):
    """Ten years ahead for a while, then right again: what came last still counts as the last."""
    for act in ("correct", "say_yes_to_the_newest", "teach_round", "back_up"):
        tried("B16")
        at("+10y", act, house.root)
    at("-1d", "say_otherwise", house.root)
    with open_database(house.database) as db:
        assert faults(db) == [] and audit_chain(db).kept
        entries = [entry.at for entry in reversed(list_audit(db))]
        assert entries == sorted(entries)
        # the correction that was approved last is the one that is taught, and new to the next round
        [pair] = rows(db, "select chosen from pairs")
        assert pair["chosen"] == "31 days."
        assert pairs_since_last_round(db, 1) == 1
        assert serving_adapter(db, 1).id == 1
    at("-1d", "erase", house.root)
    with open_database(house.database) as db:
        assert len(holding_erased(db)) == 1
