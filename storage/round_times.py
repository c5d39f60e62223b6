"""When rounds were made, begun and broken off: what a schedule goes by."""

from sqlite_utils import Database

from storage.database import one

MADE_AT = """coalesce(
    (select o.created_at from rounds o where o.id = json_extract(r.config, '$.trained_elsewhere')),
    r.created_at
)"""
"""SQL: when the bundle of round `r` was made. One that was trained elsewhere and came back has the
bundle of the round that was exported; what was approved since is in neither."""
TAUGHT = "json_extract(r.config, '$.imported') is null"
"""SQL: round `r` taught something, other than one that only judged an imported adapter."""


def last_start(db: Database, workspace_id: int) -> str | None:
    """When the workspace's newest training was asked for; None before the first."""
    row = one(
        db,
        f"select max({MADE_AT}) as at from rounds r where r.workspace_id = ? and {TAUGHT}",
        workspace_id,
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
