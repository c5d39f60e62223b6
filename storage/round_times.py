"""When rounds were made, begun and broken off: what a schedule goes by."""

from sqlite_utils import Database

from storage.database import one, rows
from storage.jobs import KILLED
from storage.records import WorkState

MADE_AT = """coalesce(
    (select o.created_at from rounds o where o.id = json_extract(r.config, '$.trained_elsewhere')),
    r.created_at
)"""
"""SQL: when the bundle of round `r` was made. One that was trained elsewhere and came back has the
bundle of the round that was exported; what was approved since is in neither."""
TAUGHT = """json_extract(r.config, '$.imported') is null
    and json_extract(r.config, '$.blames') is null"""
"""SQL: round `r` taught something, other than one that only judged an imported adapter or trained
another one again to compare."""
TRAINED_HERE = f"{TAUGHT} and json_extract(r.config, '$.trained_elsewhere') is null"


def last_start(db: Database, workspace_id: int, until: str = "9") -> str | None:
    """When the workspace's newest training was asked for; None before the first.

    A time after `until` (ISO, UTC; "9": any) was noted before the clock was set back; then that of
    the job counts, which no other order hangs on.
    """
    row = one(
        db,
        f"""select max(case when {MADE_AT} <= ? then {MADE_AT}
            when j.created_at <= ? then j.created_at end) as at
        from rounds r join jobs j on j.id = r.job_id
        where r.workspace_id = ? and {TAUGHT}""",
        *(until, until, workspace_id),
    )
    return row["at"] if row else None


def last_taught(db: Database, workspace_id: int) -> str | None:
    """When the newest bundle was made that was taught to the end, or is being taught now.

    A round that failed or was cancelled left what it held to the next one.
    """
    row = one(
        db,
        f"""select max({MADE_AT}) as at from rounds r join jobs j on j.id = r.job_id
        where r.workspace_id = ? and {TAUGHT} and j.state in ('queued', 'running', 'done')""",
        workspace_id,
    )
    return row["at"] if row else None


def last_end(db: Database, workspace_id: int) -> tuple[WorkState, str] | None:
    """How and when the workspace's newest round ended that was trained here.

    None before the first, and while one is unfinished.
    """
    row = one(
        db,
        f"""select j.state, j.finished_at from rounds r join jobs j on j.id = r.job_id
        where r.workspace_id = ? and {TRAINED_HERE} order by r.id desc limit 1""",
        workspace_id,
    )
    return (row["state"], row["finished_at"]) if row and row["finished_at"] else None


def killed_rounds(db: Database, since: str) -> list[int]:
    """The newest rounds of their workspaces whose process died at work, to be tried again.

    Those found dead after `since` (ISO, UTC), that nobody had cancelled and of which it is not
    noted yet what became of them (`rounds.note_resumption`). Oldest first.
    """
    found = rows(
        db,
        f"""select r.id from rounds r join jobs j on j.id = r.job_id
        where j.state = 'failed' and j.error = ? and j.started_at is not null
        and not j.cancel_requested and j.finished_at > ? and {TRAINED_HERE}
        and json_extract(r.config, '$.resumption') is null
        and not exists (
            select 1 from rounds newer where newer.workspace_id = r.workspace_id
            and newer.id > r.id and json_extract(newer.config, '$.imported') is null
        ) order by r.id""",
        KILLED,
        since,
    )
    return [row["id"] for row in found]
