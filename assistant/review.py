"""What a reviewer is told before a correction is approved, and the approval itself.

Four things are looked at: its own check, pages that it may contradict, pairs that say the same
(one of them trains), and pairs that answer the same question differently. Nothing but the check
keeps it from being approved, and that only until a person says why.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlite_utils import Database

from assistant.app import App
from assistant.declared_checks import declared_checks
from assistant.overriding import read_overrides
from assistant.retrieval import retrieve
from knowledge.contradictions import PageContradiction, page_contradictions
from knowledge.corrections import add_questions, near_questions, sync_corrections
from knowledge.figures import figures
from storage import feedback as judgements
from storage.attachments import NOT_LEARNED, made_with_files
from storage.database import write_transaction
from storage.drafted_questions import reword
from storage.errors import BadInput
from storage.outside import free
from storage.pairs import Rival, pair_questions, rivals
from storage.records import Feedback, Workspace
from storage.seen import refuse_changed
from storage.text import clean

if TYPE_CHECKING:
    import numpy as np

NEARLY_SAME = 0.97
"""Cosine from which two questions are the same one, for a warning about different answers.

Of 19,900 pairs of the questions of five companies with different answers 3 are above it ("... as
Clara", "... as Clara, not including Clara").
"""
MERGED = 0.99
"""Cosine from which two questions with one answer are one wording: an article more, `5` for `five`.

Higher, because a round needs its other wordings: "How do I reach a person?" and "Please tell me how
to reach a person?" are at 0.971. Of 371 pairs of wordings with one answer 1 is above it.
"""
SAME_NEED = 0.6
"""Cosine from which two questions with the very same answer are wordings of one need: all of the
191 such pairs of the four databases, 74 of the 180 of the sample company."""
NEAR = 20
"""Nearest questions that are looked at."""


@dataclass(frozen=True)
class Review:
    """What is known about a correction before it is approved."""

    check: str
    """The type of the check that judges it."""
    fault: str | None
    """Why it fails that check, in words; None when it does not, or there is no correction."""
    pages: tuple[PageContradiction, ...] = ()
    """Sentences of the documents that it may contradict."""
    same_as: int | None = None
    """The pair that says the same: it trains, and this one is its duplicate."""
    group: str | None = None
    """The need of a pair with the same answer to a near question; None: nothing to suggest."""
    otherwise: tuple[Rival, ...] = ()
    """Pairs that answer the same question differently."""
    never: str = ""
    """Why it cannot be approved at all."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence for each thing that a reviewer should know, the check's apart."""
        told = [
            f"the same question was corrected differently on {one.reviewed_at[:10]} "
            f"(feedback {one.feedback_id}): {_short(one.chosen)!r}."
            for one in self.otherwise
        ]
        told += [
            f"this may contradict {page.document}: there {_short(page.written)!r}, "
            f"here {_short(page.said)!r}."
            for page in self.pages
        ]
        if self.same_as is not None:
            told.append(f"the same as feedback {self.same_as}, which trains in its place.")
        return tuple(told)


@dataclass(frozen=True)
class _Looked:
    """What does not depend on what else is approved: looked at once, outside a transaction."""

    text: str
    check: str
    fault: str | None
    pages: tuple[PageContradiction, ...]
    vector: "np.ndarray"


class Reviews:
    """Reviews of one workspace's feedback, one after another.

    It holds the vectors of what was approved through it, so that a file of corrections is
    compared with itself too before the index knows it.
    """

    def __init__(self, app: App, db: Database, workspace: Workspace) -> None:
        self._app = app
        self._db = db
        self._workspace = workspace
        self._looked: dict[tuple[int, str, str], _Looked] = {}
        self._new: dict[int, np.ndarray] = {}
        sync_corrections(db, app.index, app.embedder, workspace.id)

    def look(
        self, item: Feedback, correction: str | None = None, question: str | None = None
    ) -> Review:
        """Look at feedback as it would be approved; the texts are a reviewer's wording.

        The check and the pages are looked at once, so a second call costs little.
        """
        if made_with_files(self._db, [item.message_id]):
            return Review("exact", None, never=NOT_LEARNED)
        text = judgements.wanted(item, correction)
        if text is None:
            return Review("exact", None)
        if question is not None:
            item = replace(item, question=clean(question).strip())
        known = self._looked.get(_key(item, text))
        if known is None:
            known = self._looked[_key(item, text)] = self._look(item, text)
        near = self._near(known.vector)
        others = [(one, near.get(one.feedback_id, 1.0)) for one in rivals(self._db, item.id, near)]
        return Review(
            known.check, known.fault, known.pages, **_compared(item.question, text, others)
        )

    def approve(
        self,
        item: Feedback,
        *,
        reviewer: str,
        correction: str | None = None,
        group: str | None = None,
        despite_check: str | None = None,
        question: str | None = None,
        alone: bool = False,
        seen: str | None = None,
    ) -> tuple[Feedback, Review]:
        """Approve it, and say what was known then; a first of two yeses leaves it waiting.

        `alone`: the reviewer looked at this one by itself, so no cap of a round leaves it out once
        it is approved. `seen` is the mark of the row as it was looked at: Changed where somebody
        else decided since.

        A suggested need is taken where nobody named one. Refused when it fails its own check,
        unless `despite_check` says why it may be taught all the same. `question` words a drafted
        request anew (see `storage.drafted_questions`); refused, it stays as it was.
        """
        self.look(item, correction, question)  # the slow part, before nobody else may write
        with write_transaction(self._db):
            refuse_changed(self._db, judgements.feedback(self._db, item.id), seen)
            if question is not None:
                item = reword(self._db, item.id, question, actor=reviewer)
            review = self.look(item, correction)
            unnamed = item.group == judgements.default_group(item.question)
            done = judgements.approve(
                self._db,
                item.id,
                reviewer=reviewer,
                correction=correction,
                group=group or (review.group if unnamed else None),
                fault=review.fault,
                despite_check=despite_check,
                same_as=review.same_as,
            )
            live = done.status == "approved"
            if live and (alone or done.approved_correction not in (None, done.correction)):
                free(self._db, [item.id], reviewer=reviewer)
        known = self._looked.get(_key(item, judgements.wanted(item, correction) or ""))
        if live and known is not None and review.same_as is None:
            self._new[item.id] = known.vector
        return done, review

    def close(self) -> None:
        """Give the vectors of what was approved to the index, so that none is computed again.

        What it asks is read as well, so that it answers in other words from the next question on.
        """
        import numpy as np

        while read_overrides(self._db, self._workspace):
            pass
        asked = pair_questions(self._db, self._workspace.id, [*self._new])
        kept = {id: vector for id, vector in self._new.items() if id in asked}
        if kept:
            questions = {id: asked[id] for id in kept}
            vectors = np.stack(list(kept.values()))
            app = self._app
            add_questions(app.index, app.embedder, self._workspace.id, questions, vectors)

    def _look(self, item: Feedback, text: str) -> _Looked:
        kind, fault = own_check(self._app, self._workspace, text)
        pages = () if kind in ("sql", "json") else self._pages(item, text)
        vector = self._app.embedder.embed([item.question])[0]
        return _Looked(text, kind, fault, pages, vector)

    def _pages(self, item: Feedback, text: str) -> tuple[PageContradiction, ...]:
        """Against what is found for the question today, as a reader would find it."""
        if not figures(text):
            return ()
        passages = retrieve(self._app, self._db, self._workspace, item.question)
        embed = self._app.embedder.embed
        return tuple(page_contradictions(item.question, text, passages, embed))

    def _near(self, vector: "np.ndarray") -> dict[int, float]:
        """The nearest questions of pairs, those approved just now too."""
        app = self._app
        near = near_questions(app.index, app.embedder, self._workspace.id, vector, NEAR)
        return near | {id: float(other @ vector) for id, other in self._new.items()}


def _key(item: Feedback, text: str) -> tuple[int, str, str]:
    return item.id, item.question, text


def own_check(app: App, workspace: Workspace, text: str) -> tuple[str, str | None]:
    """The type of the check that judges this text in the workspace, and why the text fails it.

    A check that cannot be used, its database gone, is passed by nothing.
    """
    from tuning.checks import check_for, fault

    try:
        check = check_for(text, declared_checks(app, workspace))
        return str(check["type"]), fault(check, text)
    except BadInput as error:
        return "own", f"it cannot be checked: {str(error).rstrip('.')}"


def _compared(question: str, text: str, others: Collection[tuple[Rival, float]]) -> dict[str, Any]:
    """What the pairs with the same history say to the same or a near question."""
    same: list[Rival] = []
    otherwise: list[Rival] = []
    for one, near in others:
        agrees = _same_answer(one.chosen, text)
        if _one_question(question, one, near, MERGED if agrees else NEARLY_SAME):
            (same if agrees else otherwise).append(one)
    needs = [
        (near, one.group)
        for one, near in others
        if near >= SAME_NEED and _same_answer(one.chosen, text)
    ]
    return {
        "same_as": same[0].feedback_id if same else None,
        "group": max(needs)[1] if needs else None,
        "otherwise": tuple(otherwise),
    }


def _one_question(question: str, other: Rival, near: float, least: float) -> bool:
    """Nearly the same words about other numbers are another question."""
    if other.same_question:
        return True
    return near >= least and figures(question) == figures(other.question)


def _same_answer(one: str, other: str) -> bool:
    """But for white space; not for case, which is often what was corrected."""
    return one.split() == other.split()


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 120 else text[:119] + "…"
