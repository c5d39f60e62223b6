"""Feedback by the words in it, the newest first, without an index.

The newest rows are read and compared, so many at a time. A word that many rows have is found among
the first; for one that few have the caller says how far it looked and offers to go on. Nothing is
kept beside the rows, so what is erased is in no index.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from storage.database import rows, tuples
from storage.feedback import SELECT_FEEDBACK, feedback_from_row
from storage.queue_filter import Sought
from storage.records import Feedback
from storage.text import clean, to_json

NEAR = 30_000
"""Rows that a page of the queue looks through: 3 microseconds each, where texts are short."""
FAR = 1_000_000
"""Rows that are looked through when a person asks to go on."""
LONG = 1000
"""Characters of a row; where rows are longer, fewer are looked through: that takes as long."""
_BATCH = 500
"""Rows fetched at once, so that no read stays open."""
_EVERY = 2**63 - 1
_TEXTS = """f.question || char(10) || m.content || char(10) || coalesce(f.correction, '')
    || char(10) || coalesce(f.approved_correction, y.text, '') || char(10) || f.comment"""


@dataclass(frozen=True)
class Found:
    """What a look through some rows gave."""

    items: list[Feedback]
    """The newest first."""
    looked_at: int
    """Rows that were read."""
    looked_to: int | None
    """The oldest row that was read; None: there is none before it."""


def search_feedback(
    db: Database,
    workspace_id: int,
    words: str,
    *,
    reason: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
    look: int | None = None,
    **sought: Any,
) -> Found:
    """The newest `limit` rows with each of the `words` in question, answer, correction or comment.

    Parts of words count, capital letters do not. Rows before the id `before_id` are read, at most
    `look` of them (None: all). `sought` as in `Sought`; BadInput for another status.
    """
    wanted, why, filters = words_of(words), to_json(reason) if reason else "", Sought(**sought)
    ids: list[int] = []
    looked_at, letters, last = 0, 0, before_id
    for id, text, reasons in _texts(db, workspace_id, filters, before_id):
        if len(ids) == limit or look is not None and (looked_at == look or letters > look * LONG):
            return Found(_in_full(db, ids), looked_at, last)
        looked_at, letters, last = looked_at + 1, letters + len(text), id
        if why in reasons and has_words(text, wanted):
            ids.append(id)
    return Found(_in_full(db, ids), looked_at, None)


def words_of(text: str) -> list[str]:
    """What is looked for; none for nothing but space."""
    return clean(text).casefold().split()


def searched_text(item: Feedback) -> str:
    """All that a search compares of a row."""
    wanted = (item.correction or "", item.approved_correction or item.first_text or "")
    return "\n".join((item.question, item.answer, *wanted, item.comment))


def has_words(text: str, sought: Iterable[str]) -> bool:
    """Whether each of the words, as `words_of` gives them, stands somewhere in the text."""
    said = text.casefold()
    return all(word in said for word in sought)


def _texts(
    db: Database, workspace_id: int, sought: Sought, before: int | None
) -> Iterator[tuple[int, str, str]]:
    """Id, all texts and the reasons of each row, the newest first."""
    parts, values = sought.conditions()
    where = " and ".join(["f.workspace_id = ?", *parts, "f.id < ?"])
    while True:
        batch = tuples(
            db,
            f"""select f.id, {_TEXTS}, f.reasons || f.review_reasons
            from feedback f join messages m on m.id = f.message_id
            left join first_yeses y on y.feedback_id = f.id
            where {where} order by f.id desc limit ?""",
            *(workspace_id, *values, _EVERY if before is None else before, _BATCH),
        )
        yield from batch
        if len(batch) < _BATCH:
            return
        before = batch[-1][0]


def _in_full(db: Database, ids: Sequence[int]) -> list[Feedback]:
    found = rows(
        db,
        f"""{SELECT_FEEDBACK} where f.id in (select value from json_each(?))
        order by f.id desc""",
        to_json(list(ids)),
    )
    return [feedback_from_row(row) for row in found]
