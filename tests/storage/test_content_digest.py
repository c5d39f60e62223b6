"""The digest follows what people wrote, and not the copies that are made of it."""

from contextlib import closing

from storage.audit import audit
from storage.backup import make_backup
from storage.content_digest import content_digest
from storage.database import open_database
from storage.datadir import open_datadir
from storage.workspaces import create_workspace, set_workspace


def test_it_changes_with_facts_and_not_with_backups(tmp_path):
    datadir = open_datadir(tmp_path / "data")
    with closing(open_database(datadir.database)) as db:
        create_workspace(db, "a")
        first = content_digest(db)
        make_backup(datadir, tmp_path / "copy.tar", actor="system")
        audit(db, "system", "looked", "workspace:1")
        assert content_digest(db) == first
        set_workspace(db, "a", "access", "public")
        second = content_digest(db)
        set_workspace(db, "a", "access", "members")
        assert content_digest(db) == first != second
