"""Who gave feedback, as far as a reviewer may know."""

from sqlite_utils import Database

from storage.seen import reviewer_name


def contributor_name(db: Database, contributor: str) -> str:
    """A user's name, or what kind of caller it was."""
    kind = contributor.partition(":")[0]
    if kind == "user":
        return reviewer_name(db, contributor)
    return {"visitor": "a visitor", "cli": "the command line"}.get(kind, contributor)
