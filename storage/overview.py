"""What goes on in a workspace, counted. Every query reads an index and stops at a limit."""

from dataclasses import dataclass

from sqlite_utils import Database

from storage.database import one, rows

MOST = 10_000
"""Conversations counted at most; where there are more, a person needs no exact number."""
RATED = 100_000
"""The newest ratings that are looked at: more say nothing new, and each costs time."""
WEEKS = 8


@dataclass(frozen=True)
class RatedWeek:
    """The thumbs of one week, which began on the Monday `week` (such as 2026-11-23, UTC)."""

    week: str
    up: int
    down: int


def count_conversations(db: Database, workspace_id: int, *, days: int = 30) -> int:
    """Conversations in which something was said in the last `days`, MOST at most."""
    found = one(
        db,
        """select count(*) as count from (
            select 1 from conversations where workspace_id = ? and owner != 'import'
            and updated_at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?) limit ?)""",
        workspace_id,
        f"-{days} days",
        MOST,
    )
    return int(found["count"]) if found else 0


def rated_weeks(db: Database, workspace_id: int, *, weeks: int = WEEKS) -> list[RatedWeek]:
    """Thumbs by week, this one and those before it, the oldest first; a week without is 0.

    Of the newest RATED ones. Imported ones were given elsewhere and are left out.
    """
    found = rows(
        db,
        f"""with recursive week(n, day) as (
            select 0, date('now', 'weekday 0', '-6 days')
            union all select n + 1, date(day, '-7 days') from week where n + 1 < ?2
        ), given as (
            select date(created_at, 'weekday 0', '-6 days') as day, rating from (
                select created_at, rating from feedback indexed by feedback_rated
                where workspace_id = ?1 and rating is not null and origin != 'import'
                and created_at >= (select min(day) from week)
                order by created_at desc limit {RATED})
        )
        select week.day as week, coalesce(sum(rating = 1), 0) as up,
            coalesce(sum(rating = -1), 0) as down
        from week left join given on given.day = week.day group by week.day order by week.day""",
        workspace_id,
        weeks,
    )
    return [RatedWeek(**row) for row in found]
