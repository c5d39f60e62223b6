"""Where feedback came from: a website or a program by its key, or another installation by name."""

import re
from dataclasses import dataclass
from typing import get_args

from sqlite_utils import Database

from storage.database import one, rows
from storage.errors import BadInput, NotFound
from storage.queue_filter import COUNTED
from storage.records import FeedbackStatus
from storage.text import clean

SITES = 200
"""Sites that are looked for at most."""
REVOKED = " (revoked)"
OTHER = "site:"
"""Before the name of another installation."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_BY_KEY = re.compile(r"(?:api:|visitor:embed-)(\d+)(?:$|[:-])")


@dataclass(frozen=True)
class Site:
    """One of them, with how much of a workspace's feedback came from there, by status."""

    site: str
    name: str
    counts: dict[str, int]


def site_of(contributor: str) -> str:
    """`key:<id>` of a contributor that came with a key; '' of anybody else."""
    found = _BY_KEY.match(contributor)
    return f"key:{found[1]}" if found else ""


def other_site(name: str) -> str:
    """The site of another installation. BadInput for what cannot name one."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{clean(name)[:100]!r} cannot name a site: use up to 63 small letters, digits, ., - "
            "and _, starting with a letter or digit."
        )
    return OTHER + name


def sites(db: Database, workspace_id: int) -> list[Site]:
    """Those that feedback of the workspace came from, by name; the house's own pages are none.

    COUNTED are counted of a status at most, and SITES of them found: each by a step in the index.
    """
    found = rows(
        db,
        """with recursive each(site) as (
            select min(site) from feedback where workspace_id = ?1 and site != ''
            union all select (
                select min(site) from feedback
                where workspace_id = ?1 and site != '' and site > each.site
            ) from each where each.site is not null limit ?2
        ) select site from each where site is not null""",
        *(workspace_id, SITES),
    )
    made = [
        Site(row["site"], site_name(db, row["site"]), _counts(db, workspace_id, row["site"]))
        for row in found
    ]
    return sorted(made, key=lambda known: (known.name.casefold(), known.site))


def site_name(db: Database, site: str) -> str:
    """The key's name, or the installation's; '' for the house's own pages."""
    kind, _, name = site.partition(":")
    if kind != "key":
        return name
    row = one(db, "select name, revoked_at from keys where id = ?", name)
    if row is None:
        return f"a deleted key ({name})"
    return str(row["name"]) + (REVOKED if row["revoked_at"] else "")


def _counts(db: Database, workspace_id: int, site: str) -> dict[str, int]:
    sql = """select count(*) as count from (select 1 from feedback
        where workspace_id = ? and site = ? and site != '' and status = ? limit ?)"""
    each = {
        status: rows(db, sql, workspace_id, site, status, COUNTED)[0]["count"]
        for status in get_args(FeedbackStatus)
    }
    return {status: count for status, count in each.items() if count}


def known_site(db: Database, workspace_id: int, name: str) -> str:
    """The site with this name, or as it is written in the table; NotFound where none has it."""
    found = sites(db, workspace_id)
    for known in found:
        if clean(name) in (known.site, known.name, known.name.removesuffix(REVOKED)):
            return known.site
    there = ", ".join(known.name for known in found) or "none"
    raise NotFound(
        f"No feedback came from a site {clean(name)[:100]!r}: those it came from are {there}."
    )
