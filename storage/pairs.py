"""What approved feedback teaches: corrections, replies that were preferred, and bare thumbs.

Only what a reviewer approved is given out here. A thumb is approved as it stands; then its row has
'' for an approved correction, which is read as none everywhere outside this room.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from sys import intern
from typing import Any

from sqlite_utils import Database

from storage.database import one, rows, tuples
from storage.inputs import inputs_from_json
from storage.records import Pair, Thumb, Wording
from storage.round_times import last_taught
from storage.stale import as_decided
from storage.text import to_json

WHOLE = ("stop", "imported")
"""Finish reasons of replies that came to their own end."""
PAGE = 1000
"""Rows read at a time."""
GROUPS_OF = 200
"""Pairs whose needs are offered to a reviewer; a list of all would be read by nobody."""

_PAIRS = """
select p.feedback_id, p."group", p.chosen, p.rejected, p.inputs
from paired_feedback p where p.workspace_id = ?
"""


@dataclass(frozen=True)
class Rival:
    """A pair as compared with feedback that is about to be approved."""

    feedback_id: int
    question: str
    chosen: str
    group: str
    reviewed_at: str
    same_question: bool
    """The questions are the same when normalised."""


def approved_pairs(db: Database, workspace_id: int) -> list[Pair]:
    """All corrections of the workspace as pairs, in a stable order (by feedback id).

    Where several were approved for one question after one history, the newest approval counts.
    Passages that changed are given as they were when a person kept or edited the pair since.
    """
    return list(each_pair(db, workspace_id))


def each_pair(db: Database, workspace_id: int, ids: Iterable[int] | None = None) -> Iterator[Pair]:
    """What `approved_pairs` gives, one after the other; with `ids` only those of them, in order.

    A page is in memory at a time, and no read stays open between two pages.
    """
    pages = _pages(db, workspace_id) if ids is None else _pages_of(db, workspace_id, ids)
    for found in pages:
        stored = {id: inputs_from_json(inputs) for id, *_, inputs in found}
        decided = as_decided(db, workspace_id, stored)
        for id, group, chosen, rejected, _ in found:
            yield Pair(id, intern(group), decided[id], chosen, rejected)


def _pages(db: Database, workspace_id: int) -> Iterator[list[tuple[Any, ...]]]:
    last = 0
    sql = f"{_PAIRS} and p.feedback_id > ? order by p.feedback_id limit {PAGE}"
    while found := tuples(db, sql, workspace_id, last):
        yield found
        last = found[-1][0]


def _pages_of(
    db: Database, workspace_id: int, ids: Iterable[int]
) -> Iterator[list[tuple[Any, ...]]]:
    left = iter(ids)
    while page := list(islice(left, PAGE)):
        sql = f"{_PAIRS} and p.feedback_id in (select value from json_each(?))"
        found = {row[0]: row for row in tuples(db, sql, workspace_id, to_json(page))}
        yield [found[id] for id in page if id in found]


def wordings(db: Database, workspace_id: int) -> Iterator[Wording]:
    """Of each pair, by feedback id, what decides which slice it is in."""
    last = 0
    sql = f"""select p.feedback_id, p."group", p.question_key, (
            select min(same.id) from feedback same
            where same.workspace_id = p.workspace_id and same.question_key = p.question_key
        )
        from paired_feedback p
        where p.workspace_id = ? and p.feedback_id > ?
        order by p.feedback_id limit {PAGE}"""
    while found := tuples(db, sql, workspace_id, last):
        yield from map(Wording._make, found)
        last = found[-1][0]


def pair_groups(db: Database, workspace_id: int) -> list[str]:
    """The needs of the newest pairs (GROUPS_OF), each once, sorted."""
    found = rows(
        db,
        """select distinct "group" from (
            select "group" from pairs where workspace_id = ? order by feedback_id desc limit ?
        ) order by "group" """,
        workspace_id,
        GROUPS_OF,
    )
    return [row["group"] for row in found]


def newest_change(db: Database, workspace_id: int) -> int:
    """A number that is higher whenever a pair has changed; 0: none ever has."""
    found = one(
        db, "select max(number) as number from pair_changes where workspace_id = ?", workspace_id
    )
    return (found and found["number"]) or 0


def changed_pairs(db: Database, workspace_id: int, after: int) -> list[int]:
    """The feedback ids of what became a pair, changed or ceased to be one after that number."""
    sql = "select feedback_id from pair_changes where workspace_id = ? and number > ?"
    return [feedback_id for (feedback_id,) in tuples(db, sql, workspace_id, after)]


def pair_questions(
    db: Database, workspace_id: int, ids: Sequence[int] | None = None
) -> dict[int, str]:
    """The questions of all pairs, or those of `ids`, by feedback id: what the index must hold."""
    sql = "select feedback_id, question from pairs where workspace_id = ?"
    if ids is None:
        return dict(tuples(db, f"{sql} order by feedback_id", workspace_id))
    sql += " and feedback_id in (select value from json_each(?))"
    return dict(tuples(db, sql, workspace_id, to_json([*ids])))


def pair_ids(
    db: Database, workspace_id: int, groups: Collection[str] | None = None
) -> frozenset[int]:
    """The feedback ids of all pairs, or of those of some needs."""
    found = rows(
        db,
        """select feedback_id from pairs where workspace_id = ?
        and (? is null or "group" in (select value from json_each(?)))""",
        workspace_id,
        None if groups is None else 1,
        to_json(sorted(groups or ())),
    )
    return frozenset(row["feedback_id"] for row in found)


def rivals(db: Database, feedback_id: int, near: Collection[int] = ()) -> list[Rival]:
    """Pairs that may say the same as, or other than, this feedback: oldest first.

    Those with its question and history, and of `near` (feedback ids) those with its history.
    """
    found = rows(
        db,
        """select p.feedback_id, p.question, p.chosen, p."group", p.reviewed_at,
            o.question_key = f.question_key as same_question
        from feedback f
        join feedback o on o.id != f.id and o.history_key = f.history_key and o.id in (
            select s.id from feedback s where s.workspace_id = f.workspace_id
            and s.question_key = f.question_key and s.history_key = f.history_key
            union select value from json_each(?)
        )
        join pairs p on p.feedback_id = o.id and p.workspace_id = f.workspace_id
        where f.id = ? order by p.feedback_id""",
        to_json(sorted(near)),
        feedback_id,
    )
    return [Rival(**{**row, "same_question": bool(row["same_question"])}) for row in found]


def approved_preferences(db: Database, workspace_id: int) -> list[Pair]:
    """Replies that were liked where another answer to the same message was not, as pairs.

    One pair for each approved thumb up on a reply that was regenerated: against the answer with an
    approved thumb down, else the one that it replaced, else the newest. An answer that anybody
    likes too (and no reviewer said no to that) is no wrong one, and neither is an override. Where
    the question has an approved correction, that says more, and the preference is left out.
    """
    found = rows(
        db,
        """select feedback_id, "group", inputs, chosen, rejected from (
            select t.feedback_id, t."group", m.inputs, m.content as chosen, s.content as rejected,
                row_number() over (partition by t.feedback_id order by
                    exists (select 1 from thumbs d where d.message_id = s.id and not d.label) desc,
                    coalesce(m.variant_of = s.id, 0) desc, s.created_at desc, s.rowid desc
                ) as nth
            from thumbs t
            join feedback f on f.id = t.feedback_id
            join messages m on m.id = t.message_id
            join messages s on s.parent_id = m.parent_id and s.id != m.id
            where t.workspace_id = ? and t.label and not s.attached
            and m.finish_reason in ('stop', 'length')
            and s.role = 'assistant' and s.finish_reason in ('stop', 'length')
            and s.content not in ('', m.content)
            and not exists (select 1 from feedback l where l.message_id = s.id and l.rating = 1
                and l.status != 'rejected')
            and not exists (select 1 from pairs p join feedback c on c.id = p.feedback_id
                where c.workspace_id = f.workspace_id and c.question_key = f.question_key
                and c.history_key = f.history_key)
        ) where nth = 1 order by feedback_id""",
        workspace_id,
    )
    return [Pair(**{**row, "inputs": inputs_from_json(row["inputs"])}) for row in found]


def approved_thumbs(db: Database, workspace_id: int) -> list[Thumb]:
    """Approved thumbs without a correction, one a reply (the newest approval), by feedback id.

    Left out are replies that also have an approved correction, and a thumb down on the very words
    that another correction wants: there the correction is believed.
    """
    found = rows(
        db,
        """select t.feedback_id, t."group", m.inputs, t.answer, t.label, m.finish_reason
        from thumbs t join messages m on m.id = t.message_id
        join feedback f on f.id = t.feedback_id
        where t.workspace_id = ? and not (not t.label and exists (
            select 1 from pairs p join feedback c on c.id = p.feedback_id
            where c.workspace_id = f.workspace_id and c.question_key = f.question_key
            and c.history_key = f.history_key and p.chosen = t.answer
        )) order by t.feedback_id""",
        workspace_id,
    )
    return [
        Thumb(
            feedback_id=row["feedback_id"],
            group=row["group"],
            inputs=inputs_from_json(row["inputs"]),
            answer=row["answer"],
            up=bool(row["label"]),
            whole=row["finish_reason"] in WHOLE,
        )
        for row in found
    ]


def thumbs_to_review(db: Database, workspace_id: int) -> int:
    """How many bare thumbs wait for a reviewer."""
    row = one(
        db,
        """select count(*) as count from feedback where workspace_id = ? and status = 'new'
        and rating is not null and correction is null""",
        workspace_id,
    )
    return int(row["count"]) if row else 0


def pairs_since_last_round(db: Database, workspace_id: int) -> int:
    """How many pairs were approved after the newest bundle was made that was or is being taught.

    A round that failed or was cancelled taught none of its own, and one that only judged an
    imported adapter had none.
    """
    row = one(
        db,
        "select count(*) as count from pairs where workspace_id = ? and reviewed_at > ?",
        workspace_id,
        last_taught(db, workspace_id) or "",
    )
    return int(row["count"]) if row else 0
