"""Two adapters, or one and the base, on the questions kept out of both: who said what."""

from dataclasses import dataclass

from sqlite_utils import Database

from storage.adapters import adapter
from storage.database import rows
from storage.errors import BadInput
from storage.records import Adapter

MOST = 200
"""Questions at most; where the two differ comes first."""


@dataclass(frozen=True)
class Beside:
    """One question with both answers; `question` is '' for one that was erased since."""

    question: str
    left: str
    left_right: bool
    right: str
    right_right: bool


def side_by_side(db: Database, left: int | None, right: int | None) -> list[Beside]:
    """What their rounds asked both, `None` being the base model; those that differ come first.

    The questions stood in no training of either. BadInput where there is nothing to compare.
    """
    known = [None if one is None else adapter(db, one) for one in (left, right)]
    judged = next((one for one in known if one and one.round_id), None)
    if judged is None or left == right:
        raise BadInput("Choose two different ones, of which a round judged at least one.")
    (first, first_row), (second, second_row) = (_judged(one, judged) for one in known)
    found = rows(
        db,
        """select coalesce(p.question, f.question, '') as question, l.answer as "left",
            l."right" as left_right, r.answer as "right", r."right" as right_right
        from evaluations l
        join evaluations r on r.round_id = ? and r.case_id = l.case_id and r."row" = ?
        left join feedback f on f.id = cast(l.case_id as integer)
        left join paraphrases p on instr(l.case_id, '~p') > 0
            and p.id = cast(substr(l.case_id, instr(l.case_id, '~p') + 2) as integer)
        where l.round_id = ? and l."row" = ? and l.slice != 'sentinel'
        order by l."right" = r."right", l.id limit ?""",
        second,
        second_row,
        first,
        first_row,
        MOST,
    )
    bools = ("left_right", "right_right")
    return [Beside(**{**row, **{name: bool(row[name]) for name in bools}}) for row in found]


def _judged(one: Adapter | None, other: Adapter) -> tuple[int | None, str]:
    """The round that judged it, and its row there; the base is judged in every round."""
    return (one.round_id, "candidate") if one else (other.round_id, "base")
