"""What left the house, and how it is found again."""

from storage.adapters import add_adapter
from storage.copies import copies_of, feedback_exports, record_copy
from storage.workspaces import create_workspace, delete_workspace


def test_a_copy_is_found_by_its_adapter_or_its_round(db, candidate):
    one, other = candidate(), candidate()
    export = record_copy(
        db,
        kind="export",
        adapter_id=one.id,
        round_id=one.round_id,
        place="/mnt/usb/adapter",
        format="gguf",
        actor="cli:ada",
        hash="a" * 64,
    )
    bundle = record_copy(
        db, kind="bundle", round_id=other.round_id, place="/tmp/b", format="bundle", actor="user:1"
    )
    assert copies_of(db, [one.id]) == copies_of(db, [], [one.round_id]) == [export]
    assert copies_of(db, [one.id], [other.round_id]) == [export, bundle]
    assert copies_of(db, [other.id]) == copies_of(db, []) == []
    assert (export.format, export.hash, bundle.adapter_id) == ("gguf", "a" * 64, None)
    assert export.created_at.endswith("Z")


def test_a_copy_outlives_what_it_was_made_of(db):
    second = create_workspace(db, "second")
    made = add_adapter(
        db,
        second.id,
        round_id=None,
        parent_id=None,
        base_fingerprint="b",
        method="lora",
        manifest_hash="m",
    )
    record_copy(
        db,
        kind="push",
        adapter_id=made.id,
        round_id=made.round_id,
        place="hub/x",
        format="peft",
        actor="cli:ada",
    )
    delete_workspace(db, "second")
    kept = db.conn.execute("select adapter_id, round_id, place from copies").fetchall()
    assert kept == [(None, None, "hub/x")]


def test_a_file_of_feedback_rows_is_found_by_its_time(db, candidate):
    known = {"kind": "export", "format": "preference", "actor": "cli:ada"}
    rows = record_copy(db, place="/mnt/rows.jsonl", **known)
    record_copy(db, place="/mnt/adapter", adapter_id=candidate().id, **known)
    assert feedback_exports(db, "9999") == [rows]
    assert feedback_exports(db, rows.created_at) == []
