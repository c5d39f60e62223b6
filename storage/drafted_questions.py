"""Requests that were drafted at an import: nobody asked them, so a reviewer may word them anew.

Everything else keeps the question that its answer belongs to: the prompt is rebuilt from it.
"""

from dataclasses import replace

from sqlite_utils import Database

from storage.audit import audit
from storage.conversations import TITLE_LENGTH, message
from storage.database import write, write_transaction
from storage.errors import BadInput, Refused
from storage.feedback import default_group, duplicate_key, feedback
from storage.feedback_seals import seal
from storage.first_yes import forget
from storage.inputs import inputs_to_json
from storage.overrides import normalise
from storage.records import Feedback, Inputs
from storage.text import clean

LONGEST = 10_000
"""Characters of a question at most."""


def may_reword(item: Feedback, inputs: Inputs | None) -> bool:
    """Whether its question is a draft: imported without an answer, a history or passages.

    An approved one is taught and served by its question already: it must be rejected first.
    """
    bare = inputs is not None and not inputs.history and not inputs.passages
    drafted = item.origin == "import" and not item.answer.strip()
    return drafted and bare and item.status != "approved"


def reword(db: Database, feedback_id: int, question: str, *, actor: str) -> Feedback:
    """Put `question` in place of the drafted one, in the feedback and in what it was made from.

    A need that nobody named follows it. BadInput for an empty or overlong question, Refused for
    one that is no draft (see `may_reword`), NotFound for an unknown id.
    """
    question = clean(question).strip()
    if not question or len(question) > LONGEST:
        raise BadInput(
            f"The question has {len(question)} characters: give 1 to {LONGEST:,} of them."
        )
    with write_transaction(db):
        known = feedback(db, feedback_id)
        reply = message(db, known.message_id)
        if not may_reword(known, reply.inputs):
            raise Refused(
                f"The question of feedback {feedback_id} stands as it was asked: only a drafted "
                "request of an import that is not approved can be worded anew."
            )
        assert reply.inputs is not None
        stored = inputs_to_json(replace(reply.inputs, question=question))
        write(db, "update messages set inputs = ? where id = ?", stored, reply.id)
        write(db, "update messages set content = ? where id = ?", question, reply.parent_id)
        write(
            db,
            "update conversations set title = ? where id = ?",
            " ".join(question.split())[:TITLE_LENGTH],
            reply.conversation_id,
        )
        _put(db, known, question)
        forget(db, feedback_id)  # a first yes was said to the other question
        seal(db, feedback_id)
        audit(db, actor, "question reworded", f"feedback:{feedback_id}")
    return feedback(db, feedback_id)


def _put(db: Database, known: Feedback, question: str) -> None:
    unnamed = known.group == default_group(known.question)
    key = normalise(question)
    write(
        db,
        """update feedback set question = ?, question_key = ?, duplicate_key = ?, "group" = ?
        where id = ?""",
        question,
        key,
        duplicate_key(key, "", known.correction),
        default_group(question) if unnamed else known.group,
        known.id,
    )
