"""Which approved correction answers a question at once, before any training.

The very same question after the same history always does. A question in other words does where it
opens a conversation, for what "and last month?" asks depends on what came before, and only if
`knowledge.same_question` finds nothing that tells the two apart. A correction whose document has
changed since waits until a person has looked at it, and one that the adapter has learned rests.
"""

from collections.abc import Sequence

from sqlite_utils import Database

from storage.adapters import serving_adapter
from storage.overrides import (
    has_learned,
    history_before,
    override_for,
    overrides_meaning,
    put_meanings,
    rests_on_changed,
    unread_overrides,
)
from storage.records import ChatMessage, Override, Workspace
from storage.stale import stale_passages

READ_AT_ONCE = 50
"""New overrides read before a question is answered, 0.3 ms each: a review reads its own."""
SERVED = "Answered from an approved correction."
ON_HOLD = "A correction of this answer is on hold, because the document it rests on has changed."


def find_override(
    db: Database,
    workspace: Workspace,
    question: str,
    history: Sequence[ChatMessage],
    adapter_id: int | None = None,
) -> tuple[Override | None, tuple[str, ...]]:
    """The override that answers `question` after `history`, and what is to be said about it.

    That of the very question after the same history, or of the same question elsewhere, where
    nothing that was said before can change what either asks. None with a notice where
    one would have answered but is on hold. `adapter_id` would answer else.
    """
    from knowledge.standalone import opens_anew

    exact = override_for(db, workspace.id, question, history, adapter_id=adapter_id)
    found = [exact] if exact else []
    if not history or opens_anew(question, history):
        known = {one.id for one in found}
        others = _in_other_words(db, workspace, question, adapter_id)
        found += [one for one in others if one.id not in known]
    for one in found:
        if not on_hold(db, one):
            return one, (SERVED,) if one == exact else (SERVED, _approved_for(one.question))
    return None, (ON_HOLD,) if found else ()


def on_hold(db: Database, override: Override) -> bool:
    """Whether a person should look at it first: a document that it rests on has changed."""
    return rests_on_changed(db, override.feedback_id) and bool(
        stale_passages(db, override.workspace_id, override.feedback_id)
    )


def whether_it_answers(db: Database, override: Override) -> str:
    """Yes, or no and why."""
    if override.status == "retired":
        return "no, stopped"
    serving = serving_adapter(db, override.workspace_id)
    if serving and has_learned(db, serving.id, override.id):
        return f"no, adapter {serving.id} knows it"
    return "no, its document has changed" if on_hold(db, override) else "yes"


def read_overrides(db: Database, workspace: Workspace, at_most: int = READ_AT_ONCE) -> int:
    """Work out what up to `at_most` new overrides ask, so that they are found; returns how many."""
    new = unread_overrides(db, workspace.id, at_most)
    if new:
        put_meanings(db, {one.id: _meaning(db, one) for one in new})
    return len(new)


def _meaning(db: Database, override: Override) -> str:
    """Its key; '' where its question may not mean the same anywhere else."""
    from knowledge.same_question import meaning_key
    from knowledge.standalone import opens_anew

    before = history_before(db, override)
    anew = not before or opens_anew(override.question, before)
    return meaning_key(override.question) if anew else ""


def _in_other_words(
    db: Database, workspace: Workspace, question: str, adapter_id: int | None
) -> list[Override]:
    from knowledge.same_question import meaning_key, same_question

    read_overrides(db, workspace)
    key = meaning_key(question)
    near = overrides_meaning(db, workspace.id, key, adapter_id=adapter_id) if key else []
    return [one for one in near if same_question(one.question, question)]


def _approved_for(question: str) -> str:
    return f"It was approved for “{' '.join(question.split())}”"
