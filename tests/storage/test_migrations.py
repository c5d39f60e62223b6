import subprocess
import sys
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from storage import newest_migrations as migrations_file
from storage.database import (
    faults,
    insert,
    open_database,
    prepare_database,
    rows,
    write_transaction,
)
from storage.errors import Refused
from storage.newest_migrations import migrations
from storage.records import Passage

TABLES = {
    *("workspaces", "instructions_versions", "checks", "settings", "users", "memberships"),
    *("keys", "audit", "jobs", "documents", "chunks", "conversations", "messages", "feedback"),
    *("feedback_passages", "overrides", "rounds", "round_examples", "round_metrics"),
    *("evaluations", "adapters", "attachment_chunks", "attachments", "servings"),
    *("copies", "house_settings", "duplicates", "kept_passages", "learned_overrides"),
    *("erasures", "erasure_requests", "backups", "round_documents"),
    *("paraphrases", "pair_changes", "gone_chunks", "avatars"),
    *("adapter_signatures", "adapter_proofs", "freed_feedback", "unmasked", "sessions"),
    *("first_yeses",),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "apprentice.db"


def _schema(path: Path) -> list:
    with open_database(path) as db:
        return rows(db, "select name, sql from sqlite_schema order by name")


def test_blank_to_latest_has_every_table(path):
    prepare_database(path)
    with open_database(path) as db:
        assert set(db.table_names()) >= TABLES
        assert db.view_names() == ["thumbs", "ratings", "paired_feedback", "pairs"]
        assert migrations.pending(db) == []


def test_tables_are_strict_and_sound(path):
    prepare_database(path)
    with open_database(path) as db:
        tables = rows(db, "select name, strict from pragma_table_list where schema = 'main'")
        assert {row["name"] for row in tables if row["strict"]} == TABLES
        for table in TABLES:
            for key in db[table].foreign_keys:
                assert key.other_table in TABLES


def test_every_foreign_key_is_indexed(path):
    """Without it each delete reads the whole child table."""
    prepare_database(path)
    with open_database(path) as db:
        missing = []
        for table in sorted(TABLES):
            leading = {index.columns[0] for index in db[table].indexes} | {db[table].pks[0]}
            keys = {key.column for key in db[table].foreign_keys}
            missing += [f"{table}.{column}" for column in sorted(keys - leading)]
    assert missing == []


def test_preparing_again_changes_nothing(path):
    prepare_database(path)
    with open_database(path) as db, write_transaction(db):
        insert(db, "jobs", kind="kept")
    before = _schema(path)
    prepare_database(path)
    assert _schema(path) == before
    with open_database(path) as db:
        assert len(rows(db, "select * from jobs")) == 1


@pytest.mark.parametrize("stop", [migration.name for migration in migrations._migrations])
def test_from_each_older_version_to_the_latest(path, tmp_path, tried, stop):
    tried("B16")
    path.touch()
    with open_database(path) as db:
        migrations.apply(db, stop_before=stop)
    prepare_database(path)
    prepare_database(tmp_path / "fresh.db")
    assert _schema(path) == _schema(tmp_path / "fresh.db")


def test_thumbs_are_taught_without_touching_what_was_approved(path):
    """The rows of an older file, and all that hangs on them, are there afterwards."""
    path.touch()
    with open_database(path) as db:
        migrations.apply(db, stop_before="m010_thumbs")
        db.executescript("""
        insert into workspaces (name) values ('w');
        insert into conversations (id, workspace_id, owner) values ('c', 1, 'user:1');
        insert into messages (id, conversation_id, role, content)
            values ('m', 'c', 'assistant', 'a');
        insert into feedback (workspace_id, message_id, origin, contributor, status,
            approved_correction, "group", question, question_key, history_key, duplicate_key)
            values (1, 'm', 'staff', 'user:1', 'approved', 'right', 'g', 'q', 'q', '', 'd');
        insert into feedback_passages values (1, 'hash', null);
        insert into overrides
            (workspace_id, feedback_id, question, question_key, history_key, answer)
            values (1, 1, 'q', 'q', '', 'right');
        insert into jobs (kind, workspace_id) values ('round', 1);
        insert into rounds (workspace_id, job_id, base_fingerprint, config)
            values (1, 1, 'b', '{}');
        insert into round_examples (round_id, kind, split, feedback_id, "group", pair_hash)
            values 
            (1, 'correction', 'train', 1, 'g', 'hash'), (1, 'replay', 'train', null, '', 'x');
        """)
        tables = ("feedback", "feedback_passages", "overrides", "round_examples")
        before = {table: rows(db, f"select * from {table}") for table in tables}
    prepare_database(path)
    with open_database(path) as db:
        for table, had in before.items():
            kept = [
                {name: row[name] for name in had[0]} for row in rows(db, f"select * from {table}")
            ]
            assert kept == had
        assert faults(db) == []
        assert [row["chosen"] for row in rows(db, "select chosen from pairs")] == ["right"]
        assert rows(db, "select * from thumbs") == []
        with write_transaction(db):
            insert(
                db,
                "round_examples",
                round_id=1,
                kind="thumb",
                split="train",
                group="",
                pair_hash="",
            )


def test_people_and_their_memberships_outlive_the_new_role(path):
    path.touch()
    with open_database(path) as db:
        migrations.apply(db, stop_before="m029_viewers_and_reasons")
        db.executescript("""
        insert into workspaces (name) values ('w');
        insert into users (name, role, password_hash) values
            ('Ann', 'admin', 'a'), ('bob', 'member', 'b'), ('gone', 'member', 'c');
        insert into memberships (user_id, workspace_id) values (2, 1);
        delete from users where name = 'gone';
        """)
        before = {table: rows(db, f"select * from {table}") for table in ("users", "memberships")}
    prepare_database(path)
    with open_database(path) as db:
        for table, had in before.items():
            assert rows(db, f"select * from {table}") == had
        assert faults(db) == []
        with write_transaction(db):
            # an id that was somebody's never comes back
            assert insert(db, "users", name="vic", role="viewer", password_hash="d") == 4
            db.conn.execute("delete from users where name = 'BOB'")
        assert rows(db, "select * from memberships") == []


def test_a_migration_that_raises_leaves_nothing(path, monkeypatch):
    prepare_database(path)
    before = _schema(path)
    longer = Migrations("apprentice")
    longer._migrations = list(migrations._migrations)

    @longer()
    def m998_good(db: Database) -> None:
        db.executescript("create table half (id integer primary key); insert into half values (1);")

    @longer()
    def m999_bad(db: Database) -> None:
        db.execute("create table other_half (id integer primary key)")
        raise ZeroDivisionError

    monkeypatch.setattr(migrations_file, "migrations", longer)
    with pytest.raises(ZeroDivisionError):
        prepare_database(path)
    assert _schema(path) == before
    longer._migrations.pop()
    prepare_database(path)
    with open_database(path) as db:
        assert rows(db, "select id from half") == [{"id": 1}]


def test_a_file_from_a_newer_version_is_refused(path, monkeypatch):
    prepare_database(path)
    older = Migrations("apprentice")
    older._migrations = migrations._migrations[:-1]
    monkeypatch.setattr(migrations_file, "migrations", older)
    with pytest.raises(Refused, match=f"newer version.*{migrations._migrations[-1].name}"):
        prepare_database(path)


def _cli(*arguments: object) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "sqlite_utils", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_the_sqlite_utils_tool_shows_pairs_and_ratings(datadir, db, corrected):
    corrected("List the orders", "select 1", answer="select 2", yes=True)
    assert _cli("rows", datadir.database, "pairs", "--csv")[0] == (
        "feedback_id,workspace_id,workspace,group,question,chosen,rejected,"
        "contributor,origin,reviewer,reviewed_at,message_id"
    )
    wanted = "select workspace, question, chosen, rejected from pairs"
    assert _cli("query", datadir.database, wanted, "--csv")[1:] == [
        "default,List the orders,select 1,select 2"
    ]
    shown = "select status, question, answer, correction, origin from ratings"
    assert _cli("query", datadir.database, shown, "--csv")[1:] == [
        "approved,List the orders,select 2,select 1,staff"
    ]


def test_a_deleted_id_never_comes_back(db, workspace):
    from storage.documents import put_document, remove_document

    def put() -> int:
        put_document(
            db, workspace.id, name="a", hash="h", media_type="text/plain", chunks=[("", "text")]
        )
        return remove_document(db, workspace.id, "a")[0]

    assert put() < put()


def test_erasing_leaves_no_trace_in_the_file(datadir, corrected, reply_to):
    """`secure_delete` overwrites: what was deleted is not in the file's bytes either."""
    from storage.conversations import delete_conversation

    secret = "my bank account is 4711-0815"
    passage = Passage(1, 1, "a.md", "text", "h", 1.0)
    reply = reply_to(secret, passages=[passage])
    with open_database(datadir.database) as db:
        db.conn.execute("pragma wal_checkpoint(truncate)")
        assert secret.encode() in datadir.database.read_bytes()
        delete_conversation(db, reply.conversation_id)
        db.conn.execute("pragma wal_checkpoint(truncate)")
    assert secret.encode() not in datadir.database.read_bytes()
