"""Questions that were not answered well, as far as the rows know: what to teach next."""

from dataclasses import dataclass

from sqlite_utils import Database

from storage.database import rows


@dataclass(frozen=True)
class Gap:
    """A question with what was wrong with its reply. `relevance` is None: not looked up."""

    message_id: str
    question: str
    asked_at: str
    relevance: float | None
    declined: bool
    disliked: bool


def gaps(
    db: Database, workspace_id: int, *, floor: float, days: int = 30, limit: int = 500
) -> list[Gap]:
    """The newest replies that were declined, disliked, or made without a relevant passage.

    Of the last `days`. One that was liked is none, nor one with a correction that was not rejected.
    What was imported was asked elsewhere and is left out.
    """
    found = rows(
        db,
        """select m.id as message_id, q.content as question, m.created_at as asked_at, m.relevance,
            m.declined, coalesce(f.least = -1, 0) as disliked
        from conversations c
        join messages m on m.conversation_id = c.id
        join messages q on q.id = m.parent_id
        left join (
            select message_id, min(rating) as least, max(rating) as most,
                max(status in ('new', 'approved') and correction != '') as corrected
            from feedback where workspace_id = ? group by message_id
        ) f on f.message_id = m.id
        where c.workspace_id = ? and c.owner != 'import' and m.role = 'assistant'
        and m.override_id is null and m.finish_reason in ('stop', 'length')
        and m.created_at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?)
        and (m.declined or m.relevance < ? or f.least = -1)
        and coalesce(f.corrected, 0) = 0 and coalesce(f.most, 0) < 1
        order by m.rowid desc limit ?""",
        workspace_id,
        workspace_id,
        f"-{days} days",
        floor,
        limit,
    )
    flags = ("declined", "disliked")
    return [Gap(**{**row, **{flag: bool(row[flag]) for flag in flags}}) for row in found]
