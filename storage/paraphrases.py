"""Other wordings of a corrected question, written by a person to judge by. They never train.

A need that was corrected in one or two wordings has none to spare for the gate; its paraphrases
stand in. Each belongs to an approved correction, whose text is the answer that is expected.
"""

from sqlite_utils import Database

from storage.audit import audit
from storage.database import insert, one, rows, write, write_transaction
from storage.errors import BadInput, NotFound
from storage.feedback import feedback
from storage.overrides import normalise
from storage.records import Paraphrase
from storage.text import clean

LONGEST = 10_000
"""Characters of a paraphrase at most."""

_SELECT = "select id, feedback_id, question, author, created_at from paraphrases"


def add_paraphrase(db: Database, feedback_id: int, question: str, *, author: str) -> Paraphrase:
    """Keep `question` as another wording of what this approved correction answers.

    BadInput for an empty or overlong one, for feedback that is no approved correction, and for a
    question that is taught or is a paraphrase already, compared as overrides compare.
    """
    question = clean(question).strip()
    if not question or len(question) > LONGEST:
        raise BadInput(
            f"The paraphrase has {len(question)} characters: give 1 to {LONGEST:,} of them."
        )
    with write_transaction(db):
        known = feedback(db, feedback_id)
        if known.status != "approved" or not known.approved_correction:
            raise BadInput(
                f"Feedback {feedback_id} is no approved correction: approve it with the wanted "
                "answer first."
            )
        _must_be_new(db, known.workspace_id, question)
        paraphrase_id = insert(
            db,
            "paraphrases",
            feedback_id=feedback_id,
            question=question,
            question_key=normalise(question),
            author=clean(author),
        )
        audit(db, author, "paraphrase added", f"feedback:{feedback_id}")
    return paraphrase(db, paraphrase_id)


def paraphrase(db: Database, paraphrase_id: int) -> Paraphrase:
    """The paraphrase with this id; NotFound otherwise."""
    row = one(db, f"{_SELECT} where id = ?", paraphrase_id)
    if row is None:
        raise NotFound(
            f"There is no paraphrase {paraphrase_id}: `apprentice feedback paraphrases` lists them."
        )
    return Paraphrase(**row)


def list_paraphrases(db: Database, workspace_id: int) -> list[Paraphrase]:
    """Those of the workspace whose correction is approved, the oldest first."""
    found = rows(
        db,
        f"""{_SELECT} where feedback_id in (
            select id from feedback where workspace_id = ? and status = 'approved'
        ) order by id""",
        workspace_id,
    )
    return [Paraphrase(**row) for row in found]


def judging_paraphrases(db: Database, workspace_id: int) -> dict[int, tuple[Paraphrase, ...]]:
    """By feedback id, those whose question no pair asks: one that was corrected since is a wording
    of its own."""
    taken = rows(
        db,
        """select distinct w.question_key from paraphrases w
        join feedback f on f.workspace_id = ? and f.question_key = w.question_key
        join pairs p on p.feedback_id = f.id""",
        workspace_id,
    )
    known = {row["question_key"] for row in taken}
    found: dict[int, tuple[Paraphrase, ...]] = {}
    for item in list_paraphrases(db, workspace_id):
        if normalise(item.question) not in known:
            found[item.feedback_id] = (*found.get(item.feedback_id, ()), item)
    return found


def remove_paraphrase(db: Database, paraphrase_id: int, *, actor: str) -> Paraphrase:
    """Judge by it no more; returns what it was. NotFound for an unknown id."""
    with write_transaction(db):
        known = paraphrase(db, paraphrase_id)
        write(db, "delete from paraphrases where id = ?", paraphrase_id)
        audit(db, actor, "paraphrase removed", f"feedback:{known.feedback_id}")
    return known


def _must_be_new(db: Database, workspace_id: int, question: str) -> None:
    key = normalise(question)
    row = one(
        db,
        """select f.id, 'asks that already' as how from feedback f
        where f.workspace_id = ? and f.status = 'approved' and f.question_key = ?
        union all
        select f.id, 'has that paraphrase already' from paraphrases p
        join feedback f on f.id = p.feedback_id
        where f.workspace_id = ? and p.question_key = ? limit 1""",
        workspace_id,
        key,
        workspace_id,
        key,
    )
    if row is not None:
        raise BadInput(
            f"The paraphrase {question[:80]!r} judges nothing new, because feedback {row['id']} "
            f"{row['how']}: write it in other words."
        )
