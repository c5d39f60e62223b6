"""Corrections made from passages that have changed since, until a person has decided.

A passage is stale when no chunk of the workspace is what it was, and a line or sentence of it no
longer stands in its document: a document that was only cut at other places changes nothing. Stale
corrections train as before, but do not answer at once (`assistant.overriding`), until somebody
keeps, edits or rejects them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlite_utils import Database

from storage.audit import audit
from storage.database import NOW, one, rows, write, write_transaction
from storage.documents import chunks_of, live_chunks
from storage.errors import Refused
from storage.inputs import inputs_from_json
from storage.records import Chunk, Inputs, Passage
from storage.text import clean

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_MOST_OVERLAP = 64
"""Words that two neighbouring chunks may share."""


@dataclass(frozen=True)
class StalePassage:
    """A passage that feedback was made from, and what its document says there today."""

    feedback_id: int
    document: str
    hash: str
    was: str
    now: str
    """The nearest text that the document holds today; '' when the document is gone."""
    seen: str
    """The hash of `now`, '' without any: keeping is about this text and no later one."""

    @property
    def removed(self) -> bool:
        """Whether there is nothing left of it."""
        return not self.now


def stale_passages(
    db: Database, workspace_id: int, feedback_id: int | None = None
) -> list[StalePassage]:
    """What approved feedback of the workspace was made from and has changed, by feedback id.

    Feedback that neither trains nor answers, because a newer one took its place, is left out.
    Passages that came with an imported row are no document's, so they never change.
    """
    found = rows(
        db,
        """select fp.feedback_id, fp.hash, fp.document_id, m.inputs, k.seen
        from gone_chunks g
        join feedback_passages fp on fp.hash = g.hash and (? is null or fp.feedback_id = ?)
        join feedback f on f.id = fp.feedback_id
        join messages m on m.id = f.message_id
        left join kept_passages k on k.feedback_id = fp.feedback_id and k.hash = fp.hash
        where g.workspace_id = ? and f.workspace_id = g.workspace_id and f.status = 'approved'
        and (exists (select 1 from overrides o where o.feedback_id = f.id and o.status = 'active')
            or exists (select 1 from pairs p where p.feedback_id = f.id)
            or f.id in (select feedback_id from thumbs where workspace_id = ?))
        order by fp.feedback_id, fp.hash""",
        feedback_id,
        feedback_id,
        workspace_id,
        workspace_id,
    )
    documents = _Documents(db, workspace_id)
    stale = []
    for row in found:
        passage = _passage(row)
        if passage is None:
            continue
        chunks = documents.chunks(row["document_id"], passage.document)
        if _still_there(passage.text, documents.text(chunks)):
            continue
        now, seen = _nearest(passage.text, chunks)
        if row["seen"] != seen:
            known = (row["feedback_id"], passage.document, passage.hash)
            stale.append(StalePassage(*known, was=passage.text, now=now, seen=seen))
    return stale


def stale_feedback(db: Database, workspace_id: int) -> list[int]:
    """The ids of approved feedback that waits for a decision, the newest first."""
    return sorted({one.feedback_id for one in stale_passages(db, workspace_id)}, reverse=True)


def keep(db: Database, feedback_id: int, *, actor: str) -> list[StalePassage]:
    """It is right as it is although its passages changed; a later change asks again.

    Returns what was kept. Refused when nothing about it is stale.
    """
    with write_transaction(db):
        kept = accept_passages(db, feedback_id, actor=actor)
        if not kept:
            raise Refused(
                f"Feedback {feedback_id} is not stale: `apprentice feedback stale` shows what is."
            )
        audit(db, actor, "feedback kept", f"feedback:{feedback_id}", {"passages": len(kept)})
    return kept


def accept_passages(db: Database, feedback_id: int, *, actor: str) -> list[StalePassage]:
    """Note that a person has seen how its passages read today; returns those that had changed."""
    with write_transaction(db):
        known = one(db, "select workspace_id from feedback where id = ?", feedback_id)
        changed = stale_passages(db, known["workspace_id"], feedback_id) if known else []
        for passage in changed:
            write(
                db,
                f"""insert into kept_passages (feedback_id, hash, seen, kept_by) values (?, ?, ?, ?)
                on conflict do update set seen = excluded.seen, kept_by = excluded.kept_by,
                kept_at = {NOW}""",
                feedback_id,
                passage.hash,
                passage.seen,
                clean(actor),
            )
    return changed


def as_decided(db: Database, workspace_id: int, inputs: dict[int, Inputs]) -> dict[int, Inputs]:
    """Inputs by feedback id, with passages as they read when a person kept or edited the pair.

    What was decided upon is what service shows today, so that is what a round should show too.
    """
    kept = rows(
        db,
        """select k.feedback_id, k.hash, min(c.id) as chunk_id, k.seen
        from kept_passages k join feedback f on f.id = k.feedback_id
        left join chunks c on c.workspace_id = f.workspace_id and c.hash = k.seen
        where f.workspace_id = ? and k.feedback_id in (select value from json_each(?))
        group by k.feedback_id, k.hash""",
        workspace_id,
        orjson.dumps(list(inputs)).decode(),
    )
    live = live_chunks(db, workspace_id, [row["chunk_id"] for row in kept if row["chunk_id"]])
    decided = dict(inputs)
    for row in kept:
        known = decided.get(row["feedback_id"])
        now = live.get(row["chunk_id"])
        # neither there nor gone on purpose: it has changed once more and is stale again
        if known is not None and (now is not None or row["seen"] == ""):
            passages = _replaced(known.passages, row["hash"], now)
            decided[row["feedback_id"]] = replace(known, passages=passages)
    return decided


def _replaced(passages: Iterable[Passage], hash: str, now: Passage | None) -> tuple[Passage, ...]:
    changed = [now if passage.hash == hash else passage for passage in passages]
    return tuple({passage.hash: passage for passage in changed if passage is not None}.values())


def _passage(row: dict[str, Any]) -> Passage | None:
    """The passage as the reply was made from it; None for one that is no document's."""
    inputs = inputs_from_json(row["inputs"]) if row["inputs"] else None
    for passage in inputs.passages if inputs else ():
        if passage.hash == row["hash"] and passage.document_id:
            return passage
    return None


class _Documents:
    """What the documents of a workspace say today, each read once."""

    def __init__(self, db: Database, workspace_id: int) -> None:
        self._db = db
        self._workspace_id = workspace_id
        self._chunks: dict[tuple[int | None, str], list[Chunk]] = {}
        self._texts: dict[int, str] = {}

    def chunks(self, document_id: int | None, name: str) -> list[Chunk]:
        """Of the document with this id, or of one that took its name after it was removed."""
        key = (document_id, name)
        if key not in self._chunks:
            row = one(
                self._db,
                "select id from documents where workspace_id = ? and (id = ? or name = ?)"
                " order by id = ? desc",
                *(self._workspace_id, document_id, name, document_id),
            )
            self._chunks[key] = chunks_of(self._db, row["id"]) if row else []
        return self._chunks[key]

    def text(self, chunks: list[Chunk]) -> str:
        """Their words in order with their headings, without what neighbours share."""
        if not chunks:
            return ""
        first = chunks[0].id
        if first not in self._texts:
            self._texts[first] = _together(chunks)
        return self._texts[first]


def _together(chunks: list[Chunk]) -> str:
    words: list[str] = []
    heading = None
    for chunk in chunks:
        own = chunk.text.split()
        if chunk.heading != heading:
            heading = chunk.heading
            words += heading.split()
        else:
            most = min(len(own), len(words), _MOST_OVERLAP)
            shared = next((n for n in range(most, 0, -1) if words[-n:] == own[:n]), 0)
            own = own[shared:]
        words += own
    return " ".join(words)


def _still_there(was: str, text: str) -> bool:
    pieces = (" ".join(piece.split()) for piece in _SENTENCE_END.split(was))
    return all(piece in text for piece in pieces)


def _nearest(was: str, chunks: list[Chunk]) -> tuple[str, str]:
    """Text and hash of the chunk that shares most words with what was; ('', '') for none."""
    wanted = set(was.casefold().split())
    best, text, seen = 0.0, "", ""
    for chunk in chunks:
        words = set(chunk.shown.casefold().split())
        shared = len(wanted & words) / max(1, len(wanted | words))
        if shared > best:
            best, text, seen = shared, chunk.shown, chunk.hash
    return text, seen
