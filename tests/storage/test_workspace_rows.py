"""No table is forgotten when a workspace moves."""

from storage.database import one, rows
from storage.workspace_rows import OF_HOUSE, OF_WORKSPACE, rows_of, table_of
from tests.full_workspace import full_workspace


def test_each_table_is_the_workspaces_or_the_houses(db):
    """A new table must be put into one of the two lists, or its rows stay behind."""
    made = {
        str(row["name"])
        for row in rows(
            db, "select name from pragma_table_list where schema = 'main' and type = 'table'"
        )
        if not row["name"].startswith(("sqlite_", "chunks_fts", "_sqlite"))
    }
    assert made == OF_WORKSPACE.keys() | OF_HOUSE.keys()
    assert not OF_WORKSPACE.keys() & OF_HOUSE.keys()


def test_each_table_tells_whose_a_row_is(db, datadir):
    shop = full_workspace(datadir, db, "shop")
    full_workspace(datadir, db, "other")
    for name in OF_WORKSPACE:
        mine = one(db, f"select count(*) as n from {name} where {rows_of(name, shop.id)}")["n"]
        every = one(db, f"select count(*) as n from {name}")["n"]
        assert 0 < mine < every, name


def test_a_tables_key_comes_first(db):
    made = table_of(db, "round_metrics")
    assert made.key == ("round_id", "name", "step")
    assert made.columns == (*made.key, "value")
    assert not made.has_rowid
    assert table_of(db, "messages").has_rowid
