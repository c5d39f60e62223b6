"""Which adapter served when."""

from storage.adapters import promote, rollback
from storage.database import rows, write, write_transaction
from storage.servings import serving_at, servings

ADMIN = {"actor": "user:1"}


def test_promotions_and_what_was_rolled_back(db, workspace, candidate):
    first, second = candidate(metrics={"candidate": {}}), candidate()
    promote(db, first.id, **ADMIN)
    promote(db, second.id, **ADMIN)
    with write_transaction(db):
        for row in rows(db, "select id, adapter_id from servings"):
            day = f"2026-11-{row['adapter_id']:02}T00:00:00.000Z"
            write(db, "update servings set started_at = ? where id = ?", day, row["id"])
    rollback(db, workspace.id, **ADMIN)
    one, two = found = servings(db, workspace.id)
    assert (one.adapter_id, two.adapter_id) == (first.id, second.id)
    assert one.metrics == {"candidate": {}} and two.metrics == {}
    assert one.undone_at is None and two.undone_at is not None
    assert serving_at(found, "2026-10-01T00:00:00.000Z") is None
    assert serving_at(found, one.started_at) is one
    assert serving_at(found, two.started_at) is two
    assert serving_at(found, two.undone_at) is one
    assert servings(db, workspace.id, limit=1) == [two]
