"""Erasures: what is to go, the rows that go, and how far each one is.

An erasure is a row whose state says which steps are over, so that one that was cut off is
finished by doing the rest: `asked` -> in one transaction the rows go and adapters are tainted ->
`rows` -> index, bundles and weights go -> `files` -> the files are searched, the certificate is
written -> `done`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from sqlite_utils import Database

from storage.adapters import taint
from storage.audit import audit
from storage.database import NEXT, NOW, insert, one, rows, write, write_transaction
from storage.erased_text import digest, mark, own_words, pieces, rewrite
from storage.erasure_scope import (
    ErasureKind,
    Scope,
    anything,
    facts_of,
    rows_of,
    running_rounds_with,
)
from storage.errors import BadInput, NotFound, Refused
from storage.overrides import withdraw
from storage.text import clean, to_json

ErasureState = Literal["asked", "rows", "files", "done"]
_COLUMNS = """id, kind, subject, subject_hash, actor, state, retrain, detail, asked_at, erased_at,
finished_at"""


@dataclass(frozen=True)
class Erasure:
    """One erasure. `detail` holds ids and hashes, never words."""

    id: int
    kind: ErasureKind
    subject: str
    """The id asked for. A contributor's is its hash once the rows are gone."""
    subject_hash: str
    actor: str
    state: ErasureState
    retrain: Literal["no", "wanted", "done"]
    asked_at: str
    erased_at: str | None = None
    finished_at: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)


def ask_erasure(db: Database, kind: str, subject: str, *, actor: str) -> Erasure:
    """Note that this shall be erased; one that was asked for and not finished comes back.

    BadInput for another kind, NotFound when there is nothing of that id and never was. One that
    is done comes back as it is when nothing has been added since.
    """
    if kind not in get_args(ErasureKind):
        raise BadInput(
            f"{kind!r} cannot be erased: give feedback, a conversation or a contributor."
        )
    subject = clean(subject)
    with write_transaction(db):
        earlier = _newest(db, kind, digest(subject))
        if earlier and (earlier.state != "done" or not anything(db, kind, subject)):
            return earlier
        if not anything(db, kind, subject):
            return _taken_along(db, kind, subject)
        erasure_id = insert(
            db,
            "erasures",
            kind=kind,
            subject=subject,
            subject_hash=digest(subject),
            actor=clean(actor),
        )
        shown = digest(subject) if kind == "contributor" else subject
        audit(db, actor, "erasure asked", f"erasure:{erasure_id}", {"kind": kind, "subject": shown})
    return erasure(db, erasure_id)


def erasure(db: Database, erasure_id: int) -> Erasure:
    """The erasure with this id; NotFound otherwise."""
    row = one(db, f"select {_COLUMNS} from erasures where id = ?", erasure_id)
    if row is None:
        raise NotFound(f"There is no erasure {erasure_id}.")
    return _erasure(row)


def list_erasures(db: Database) -> list[Erasure]:
    """All of them, newest first."""
    return [_erasure(row) for row in rows(db, f"select {_COLUMNS} from erasures order by id desc")]


def erase_rows(db: Database, erasure_id: int, scope: Scope, *, actor: str) -> Erasure:
    """Delete the rows of `scope`, rewrite what quotes them, taint and replace adapters. At once.

    Refused while a round that uses one of the rows is running, and when the rows are gone already.
    """
    with write_transaction(db):
        known = erasure(db, erasure_id)
        if known.state != "asked":
            raise Refused(f"The rows of erasure {erasure_id} are gone already.")
        _no_running_round(db, scope)
        detail = facts_of(db, scope)
        _forget_quotes(db, scope)
        for feedback_id in scope.feedback:
            withdraw(db, feedback_id)
        _delete(db, "feedback", scope.feedback)
        _delete(db, "conversations", scope.conversations)
        own = words_sought(db, scope.words, scope.replies)
        detail["texts"] = {"own": len(own), "rewritten": rewrite(db, own)}
        serving = taint(db, scope.adapters, actor=actor)
        detail["serving"] = {str(key): value for key, value in serving.items()}
        subject = known.subject_hash if known.kind == "contributor" else known.subject
        write(
            db,
            f"""update erasures set state = 'rows', subject = ?, detail = ?, erased_at = {NEXT}
            where id = ?""",
            subject,
            to_json(detail),
            erasure_id,
        )
        ids = {name: detail[name] for name in ("feedback", "conversations", "rounds", "adapters")}
        audit(db, actor, "rows erased", f"erasure:{erasure_id}", ids)
    return erasure(db, erasure_id)


def words_sought(db: Database, words: Sequence[str], replies: Sequence[str]) -> list[str]:
    """Of the words of rows that are gone, those that must be found nowhere, the longest first."""
    own = own_words(db, pieces(words)) + own_words(db, pieces(replies), machine_made=True)
    return sorted(dict.fromkeys(own), key=len, reverse=True)


def unfinished(db: Database) -> list[Erasure]:
    """Those that were cut off, oldest first."""
    return [known for known in reversed(list_erasures(db)) if known.state != "done"]


def refuse_emptied(db: Database, round_id: int) -> None:
    """Refused for a round whose bundle went with something that was erased."""
    for known in list_erasures(db):
        if round_id in known.detail.get("rounds", ()):
            raise Refused(
                f"The bundle of round {round_id} held what was erased (certificate {known.id}) and "
                "is deleted: start a new round with `apprentice tune`."
            )


def erased_examples(db: Database) -> dict[tuple[int, str], int]:
    """(round, pair hash) -> the feedback id that a round's example had before it was erased."""
    return {
        (example["round"], example["hash"]): example["feedback"]
        for known in list_erasures(db)
        for example in known.detail.get("examples", ())
    }


def set_state(db: Database, erasure_id: int, state: ErasureState) -> Erasure:
    """Note which steps are over."""
    with write_transaction(db):
        write(
            db,
            f"""update erasures set state = ?,
            finished_at = case ? when 'done' then {NOW} else finished_at end where id = ?""",
            state,
            state,
            erasure_id,
        )
    return erasure(db, erasure_id)


def note(db: Database, erasure_id: int, **facts: Any) -> Erasure:
    """Add to its detail: ids, hashes, figures."""
    with write_transaction(db):
        detail = {**erasure(db, erasure_id).detail, **facts}
        write(db, "update erasures set detail = ? where id = ?", to_json(detail), erasure_id)
    return erasure(db, erasure_id)


def set_retrain(db: Database, erasure_id: int, retrain: Literal["no", "wanted", "done"]) -> Erasure:
    """Whether a round without the rows is wanted, or over."""
    with write_transaction(db):
        write(db, "update erasures set retrain = ? where id = ?", retrain, erasure_id)
    return erasure(db, erasure_id)


def _forget_quotes(db: Database, scope: Scope) -> None:
    """What holds the words under the rows' ids: however short they are, they go."""
    given = to_json(list(scope.feedback))
    for row in rows_of(db, "feedback", scope.feedback):
        group = mark(row["group"])
        write(db, 'update round_examples set "group" = ? where feedback_id = ?', group, row["id"])
        write(
            db,
            """update evaluations set answer = ? where round_id in (select value from json_each(?))
            and (case_id = ? or case_id like ? || '~%')""",
            "[erased]",
            to_json(list(scope.rounds)),
            str(row["id"]),
            str(row["id"]),
        )
    write(
        db,
        """update messages set content = '[erased]' where override_id in (
            select id from overrides where feedback_id in (select value from json_each(?))
        )""",
        given,
    )
    _forget_examples(db, set(scope.feedback))
    _forget_phrases(db, scope)


def _forget_phrases(db: Database, scope: Scope) -> None:
    """What rounds were refused for, as these rows had it: it is shorter than what is looked for."""
    erased = set(scope.feedback)
    given = to_json(list(scope.rounds))
    sql = "select id, reasons, scores from rounds where id in (select value from json_each(?))"
    for row in rows(db, sql, given):
        scores, reasons = json.loads(row["scores"]), json.loads(row["reasons"])
        for tried in scores.get("probes", ()):
            phrase = tried["phrase"]
            if tried["kind"] != "secret" and erased & set(tried["feedback_ids"]):
                reasons = [said.replace(f"“{phrase}”", f"“{mark(phrase)}”") for said in reasons]
                tried["phrase"] = mark(phrase)
        values = (to_json(reasons), to_json(scores), row["id"])
        write(db, "update rounds set reasons = ?, scores = ? where id = ?", *values)


def _forget_examples(db: Database, feedback: set[int]) -> None:
    """Prompts that showed an erased correction as an example: marks in its place, no token ids."""
    prompts = rows(db, """select id, inputs from messages where inputs like '%"feedback_id":%'""")
    for row in prompts:
        inputs = json.loads(row["inputs"])
        shown = [one for one in inputs.get("examples", ()) if one.get("feedback_id") in feedback]
        for example in shown:
            example["question"] = mark(example["question"])
            example["answer"] = mark(example["answer"])
        if shown:
            write(
                db,
                "update messages set inputs = ?, sent_ids = null where id = ?",
                to_json(inputs),
                row["id"],
            )


def _no_running_round(db: Database, scope: Scope) -> None:
    running = running_rounds_with(db, scope)
    if running:
        raise Refused(
            f"Round {running[0]} is learning from what is to be erased: "
            f"`apprentice rounds cancel {running[0]}`, then erase again."
        )


def _delete(db: Database, table: str, ids: Sequence[Any]) -> None:
    sql = f"delete from {table} where id in (select value from json_each(?))"
    write(db, sql, to_json(list(ids)))


def _newest(db: Database, kind: str, subject_hash: str) -> Erasure | None:
    row = one(
        db,
        f"select {_COLUMNS} from erasures where kind = ? and subject_hash = ? order by id desc",
        kind,
        subject_hash,
    )
    return _erasure(row) if row else None


def _taken_along(db: Database, kind: str, subject: str) -> Erasure:
    """The erasure that took this one along with others; NotFound when none did."""
    for earlier in list_erasures(db):
        taken = earlier.detail.get(f"{kind}s" if kind == "conversation" else kind, ())
        if subject in map(str, taken):
            return earlier
    remedy = {
        "feedback": "`apprentice feedback list` shows what there is",
        "conversation": "it may be deleted already",
        "contributor": "`apprentice feedback list` shows who gave feedback",
    }
    what = {"feedback": "no feedback", "conversation": "no conversation"}.get(kind, "nothing of")
    raise NotFound(f"There is {what} {subject[:64]!r}: {remedy[kind]}.")


def _erasure(row: Mapping[str, Any]) -> Erasure:
    return Erasure(**{**row, "detail": json.loads(row["detail"])})
