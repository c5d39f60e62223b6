"""Questions that were not answered well, as far as the rows know: what to teach next."""

from dataclasses import dataclass

from sqlite_utils import Database


@dataclass(frozen=True)
class Gap:
    """A question with what was wrong with its reply. `relevance` is None: not looked up."""

    message_id: str
    question: str
    asked_at: str
    relevance: float | None
    declined: bool
    disliked: bool


_SINCE = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', :since)"
_ASKED = f"""m.role = 'assistant' and m.override_id is null
    and m.finish_reason in ('stop', 'length') and m.created_at >= {_SINCE}
    and c.workspace_id = :workspace and c.owner != 'import' and not m.attached"""
_REPLY = "select m.rowid as number, m.id, m.parent_id, m.created_at, m.relevance, m.declined"
# each walks an index from its newest row on and stops at the limit, whatever else is there
_UNSURE = f"""{_REPLY}
    from messages m indexed by messages_unsure
    cross join conversations c on c.id = m.conversation_id
    where (m.declined or m.relevance is not null) and (m.declined or m.relevance < :floor)
    and {_ASKED} order by m.created_at desc limit :most"""
_DISLIKED = f"""{_REPLY}
    from feedback f indexed by feedback_disliked
    cross join messages m on m.id = f.message_id
    cross join conversations c on c.id = m.conversation_id
    where f.workspace_id = :workspace and f.rating = -1 and f.created_at >= {_SINCE}
    and {_ASKED} order by f.created_at desc limit :most"""
_GAPS = f"""
select r.id, q.content, r.created_at, r.relevance, r.declined,
    exists (select 1 from feedback where message_id = r.id and rating = -1)
from (select * from ({_UNSURE}) union select * from ({_DISLIKED})) r
cross join messages q on q.id = r.parent_id
where not exists (select 1 from feedback l where l.message_id = r.id
    and (l.rating = 1 or l.status in ('new', 'approved') and l.correction != ''))
order by r.number desc"""


def gaps(
    db: Database, workspace_id: int, *, floor: float, days: int = 30, most: int = 200
) -> list[Gap]:
    """The newest replies that were declined, disliked, or made without a relevant passage.

    Of the last `days`. The newest `most` of the disliked and of the others are looked at: one of
    them that was liked is none, nor one with a correction that was not rejected. What was imported
    was asked elsewhere and is left out.
    """
    given = {"workspace": workspace_id, "since": f"-{days} days", "floor": floor, "most": most}
    return [
        Gap(row[0], row[1], row[2], row[3], declined=bool(row[4]), disliked=bool(row[5]))
        for row in db.conn.execute(_GAPS, given)
    ]
