"""Approved corrections that are served at once, before any training.

An override answers when the very same question comes after the very same history; what counts as
the same is `normalise`. The key of a question is its normalised text, the key of a history a hash.
One for a question that opened a conversation has a second key, of what it asks: whoever finds
overrides by it looks whether they really ask the same.

While an adapter serves that answers a question right by itself, its override rests; it answers
again as soon as another adapter serves, or none.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from sqlite_utils import Database

from storage.audit import audit
from storage.database import NOW, insert, one, rows, write, write_transaction
from storage.errors import NotFound
from storage.inputs import inputs_from_json
from storage.records import ChatMessage, Override
from storage.text import clean, to_json

_COLUMNS = "id, workspace_id, feedback_id, question, answer, status"
_NOT_LEARNED = """not exists (
    select 1 from learned_overrides l where l.override_id = overrides.id and l.adapter_id = ?
)"""


def normalise(text: str) -> str:
    """`text` without what does not change its meaning: NFKC, case, spaces, outer punctuation.

    Text of punctuation only stays as it is, so that "?" and "!" do not become the same.
    """
    folded = unicodedata.normalize("NFKC", clean(text)).casefold()
    # casefold may undo NFKC (for one, U+0345), so compose again
    spaced = " ".join(unicodedata.normalize("NFKC", folded).split())
    start, end = 0, len(spaced)
    while start < end and _is_outer(spaced[start]):
        start += 1
    while end > start and _is_outer(spaced[end - 1]):
        end -= 1
    return spaced[start:end] or spaced


def _is_outer(character: str) -> bool:
    # P: punctuation. Not S: "5 $" and "5 €", "C" and "C+" are different questions
    return character.isspace() or unicodedata.category(character).startswith("P")


def history_key(question: str, history: Sequence[ChatMessage]) -> str:
    """A hash of the normalised `history`; '' when nothing was said before `question`.

    The history is cut before the first user message that is the question itself: asking again is
    a retry, not a new question.
    """
    asked = normalise(question)
    said = []
    for message in history:
        text = normalise(message["content"])
        if message["role"] == "user" and text == asked:
            break
        said.append([message["role"], text])
    return hashlib.sha256(to_json(said).encode()).hexdigest() if said else ""


def override_for(
    db: Database,
    workspace_id: int,
    question: str,
    history: Sequence[ChatMessage] = (),
    *,
    adapter_id: int | None = None,
) -> Override | None:
    """The active override for `question` after `history` (oldest message first), if any.

    Give the history as it goes into `Inputs.history`: the key is made from that. What the adapter
    that will answer has learned is left to it.
    """
    row = one(
        db,
        f"""select {_COLUMNS} from overrides where workspace_id = ? and question_key = ?
        and history_key = ? and status = 'active' and {_NOT_LEARNED}""",
        workspace_id,
        normalise(question),
        history_key(question, history),
        adapter_id,
    )
    return Override(**row) if row else None


def overrides_meaning(
    db: Database, workspace_id: int, meaning_key: str, *, adapter_id: int | None = None
) -> list[Override]:
    """The active overrides with this key, newest first.

    Without those whose own question the adapter that will answer has learned.
    """
    found = rows(
        db,
        f"""select {_COLUMNS} from overrides where workspace_id = ? and meaning_key = ?
        and status = 'active' and {_NOT_LEARNED} order by id desc""",
        workspace_id,
        meaning_key,
        adapter_id,
    )
    return [Override(**row) for row in found]


def history_before(db: Database, override: Override) -> tuple[ChatMessage, ...]:
    """What was said before the question that the override is of; () for an opening one."""
    row = one(
        db,
        """select m.inputs from feedback f join messages m on m.id = f.message_id
        where f.id = ? and m.inputs is not null""",
        override.feedback_id,
    )
    return inputs_from_json(row["inputs"]).history if row else ()


def unread_overrides(db: Database, workspace_id: int, limit: int) -> list[Override]:
    """Up to `limit` active overrides that have no second key yet."""
    found = rows(
        db,
        f"""select {_COLUMNS} from overrides where workspace_id = ? and meaning_key is null
        and status = 'active' order by id desc limit ?""",
        workspace_id,
        limit,
    )
    return [Override(**row) for row in found]


def put_meanings(db: Database, meaning_keys: Mapping[int, str]) -> None:
    """Give overrides, by id, their second key; '' for one that no other question is to find."""
    with write_transaction(db):
        for override_id, key in meaning_keys.items():
            write(db, "update overrides set meaning_key = ? where id = ?", key, override_id)


def rests_on_changed(db: Database, feedback_id: int) -> bool:
    """Whether a passage that this feedback was made from stands in no chunk any more.

    That is a first look, for `storage.stale` to look closer where it is so.
    """
    return (
        one(
            db,
            """select 1 from feedback_passages p join feedback f on f.id = p.feedback_id
            where p.feedback_id = ? and not exists (
                select 1 from chunks c where c.workspace_id = f.workspace_id and c.hash = p.hash
            )""",
            feedback_id,
        )
        is not None
    )


def note_learned(db: Database, adapter_id: int, feedback_ids: Iterable[int]) -> None:
    """An adapter answers right without these overrides, given by their feedback: they may rest."""
    with write_transaction(db):
        for feedback_id in feedback_ids:
            write(
                db,
                """insert or ignore into learned_overrides (override_id, adapter_id)
                select id, ? from overrides where feedback_id = ? and status = 'active'""",
                adapter_id,
                feedback_id,
            )


def has_learned(db: Database, adapter_id: int, override_id: int) -> bool:
    """Whether this override rests while this adapter serves."""
    sql = "select 1 from learned_overrides where adapter_id = ? and override_id = ?"
    return one(db, sql, adapter_id, override_id) is not None


def override(db: Database, override_id: int) -> Override:
    """The override with this id; NotFound otherwise."""
    row = one(db, f"select {_COLUMNS} from overrides where id = ?", override_id)
    if row is None:
        raise NotFound(
            f"There is no override {override_id}: "
            "`apprentice overrides list` shows those there are."
        )
    return Override(**row)


def override_of(db: Database, feedback_id: int) -> Override | None:
    """The override of this feedback, a retired one too; None when it never had one."""
    row = one(db, f"select {_COLUMNS} from overrides where feedback_id = ?", feedback_id)
    return Override(**row) if row else None


def list_overrides(
    db: Database,
    workspace_id: int,
    *,
    status: str | None = "active",
    limit: int = -1,
    before: int | None = None,
) -> list[Override]:
    """The workspace's overrides, newest first; `status=None` gives the retired ones too.

    `limit` of them at most (-1: all), and only those with an id under `before`.
    """
    found = rows(
        db,
        f"""select {_COLUMNS} from overrides where workspace_id = ?1
        and (?2 is null or status = ?2) and (?3 is null or id < ?3) order by id desc limit ?4""",
        workspace_id,
        status,
        before,
        limit,
    )
    return [Override(**row) for row in found]


def put_override(
    db: Database,
    workspace_id: int,
    *,
    feedback_id: int,
    question: str,
    keys: tuple[str, str],
    answer: str,
) -> Override:
    """Serve `answer` from now on; `keys` are the question's and the history's.

    The feedback's own earlier override is overwritten; one from other feedback with the same keys
    is retired as replaced.
    """
    with write_transaction(db):
        write(
            db,
            f"""update overrides set status = 'retired', retired_because = 'replaced',
            retired_at = {NOW} where workspace_id = ? and question_key = ? and history_key = ?
            and status = 'active' and feedback_id != ?""",
            workspace_id,
            *keys,
            feedback_id,
        )
        write(db, "delete from overrides where feedback_id = ?", feedback_id)
        override_id = insert(
            db,
            "overrides",
            workspace_id=workspace_id,
            feedback_id=feedback_id,
            question=clean(question),
            question_key=keys[0],
            history_key=keys[1],
            answer=clean(answer),
        )
    return override(db, override_id)


def retire(db: Database, override_id: int, *, actor: str) -> Override:
    """Serve it no more, because somebody asked for that; the correction stays approved.

    A retired one stays as it was. NotFound for an unknown id.
    """
    with write_transaction(db):
        known = override(db, override_id)
        if known.status == "active":
            write(
                db,
                f"""update overrides set status = 'retired', retired_because = 'asked',
                retired_at = {NOW} where id = ?""",
                known.id,
            )
            audit(db, actor, "override retired", f"override:{known.id}")
    return override(db, override_id)


def withdraw(db: Database, feedback_id: int) -> None:
    """Retire the override of feedback that was rejected; the one that it had replaced returns."""
    with write_transaction(db):
        own = one(db, "select * from overrides where feedback_id = ?", feedback_id)
        if own is None:
            return
        write(
            db,
            f"""update overrides set status = 'retired', retired_because = 'rejected',
            retired_at = {NOW} where id = ?""",
            own["id"],
        )
        if own["status"] == "active":
            _bring_back(db, own["workspace_id"], own["question_key"], own["history_key"])


def _bring_back(db: Database, workspace_id: int, *keys: str) -> None:
    write(
        db,
        """update overrides set status = 'active', retired_because = null, retired_at = null
        where id = (
            select o.id from overrides o join feedback f on f.id = o.feedback_id
            where o.workspace_id = ? and o.question_key = ? and o.history_key = ?
            and o.retired_because = 'replaced'
            order by f.reviewed_at desc, f.id desc limit 1
        )""",
        workspace_id,
        *keys,
    )
