"""The likeliest of several answers, where the model wavers on its way to a short one.

Greedy decoding takes each word as it comes. Where two taught answers begin alike, the word that
parts them is chosen before the model has weighed what follows, and what follows then fits neither:
of 42 new wordings an adapter answered 28 rightly so, while for 36 it found the right one the
likeliest of eight taught answers. So at the places where another word was near, that word is taken
too and the answer finished; the likeliest whole answer is given. A best-first search: it finds what
a beam would, and costs nothing where the model is sure. The answers that people approved for near
questions are looked for as well, and go before others by some nats, the more the nearer.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from pathlib import Path

from assistant.app import App
from assistant.declared_checks import Check, checks_at_hand
from assistant.engines.protocol import Chosen, Engine, Piece, Sampling
from assistant.retrieval import approved_near
from knowledge.chroma_place import IndexAway
from storage.errors import ApprenticeError
from storage.records import Workspace
from tuning.checks import fault
from tuning.json_check import bare
from tuning.sql_check import compiles, looks_like_sql

log = logging.getLogger(__name__)

LONGEST = 256
"""Tokens of an answer that is weighed; a longer one streams on as it came."""
TELLING = 40
"""Characters by which an exact answer shows itself as one; anything else streams on from there."""
EXACT = {"sql", "json"}
"""Checks of answers that are right or wrong as a whole; others stream word by word."""
NEAR_FROM, NEAR_NATS = 0.6, 15.0
"""An answer that a person approved for a near question goes before any other by so many nats for
each 1.0 of cosine similarity of the two questions above NEAR_FROM: as in a language model with
neighbours (Khandelwal et al. 2020, arXiv:1911.00172) what is nearer weighs more. With it 39 of 42
and 23 of 30 new wordings were right on two databases, with 3 nats at any distance 40 and 19."""

Begin = Callable[[Sequence[int], int], Iterator[Piece]]
"""(token ids after the prompt, tokens at most) -> the greedy rest, with its runners-up."""


Approved = tuple[tuple[tuple[int, ...], float], ...]
"""Answers that were approved for near questions: token ids, their end among them, and the nats by
which each goes before others."""


@dataclass(frozen=True)
class Weighing:
    """How many other answers are weighed, and the checks that the chosen one should not fail."""

    alternatives: int = 0
    checks: tuple[Check, ...] = ()
    approved: Approved = ()


GREEDY = Weighing()


def weighs(workspace: Workspace) -> bool:
    """Whether a workspace's answers are weighed: only exact ones are."""
    settings = workspace.settings
    return settings.alternatives > 0 and any(one.get("type") in EXACT for one in settings.checks)


def weighing(app: App, workspace: Workspace, question: str = "") -> Weighing:
    """What a workspace has declared, with the answers approved for what is near to `question`."""
    if not weighs(workspace):
        return GREEDY
    exact = tuple(one for one in checks_at_hand(app, workspace) if one.get("type") in EXACT)
    near: tuple[tuple[str, float], ...] = ()
    if question:
        with closing(app.db()) as db, suppress(IndexAway):  # weighed without them, as it was said
            near = approved_near(app, db, workspace, question)
    return Weighing(workspace.settings.alternatives, exact, as_ids(app, near))


def as_ids(app: App, near: Sequence[tuple[str, float]]) -> Approved:
    """Approved answers, each with its question's similarity, in the tokens of this app's base."""
    return tuple(
        (
            tuple(app.tokenizer.completion_ids(answer)),
            max(0.0, NEAR_NATS * (similarity - NEAR_FROM)),
        )
        for answer, similarity in near
    )


def stream(
    engine: Engine,
    prompt_ids: Sequence[int],
    adapter_id: int | None,
    sampling: Sampling,
    cancel: threading.Event,
    *,
    stop: Sequence[str] = (),
    how: Weighing,
    decode: Callable[[Sequence[int]], str],
) -> Iterator[Piece]:
    """As `engine.stream`, with other answers weighed against a short greedy one that is exact.

    One that passes its checks goes before any that does not: a query that the database refuses is
    no answer (Wang et al. 2018, arXiv:1807.03100). Prose, the base, which was taught no answers,
    a temperature above 0 and stop texts: all stream as they are. Another answer than the greedy one
    comes as one piece; `decode` gives the text of token ids. With a schema other answers are made
    freely, as no engine can hold one to it from its middle, and none that does not fit is given.
    Raises what `engine.stream` raises.
    """

    def begin(ids: Sequence[int], most: int) -> Iterator[Piece]:
        schema = None if ids else sampling.schema
        told = replace(sampling, max_tokens=most, runners_up=True, schema=schema)
        return engine.stream([*prompt_ids, *ids], adapter_id, told, (), cancel)

    weighed = how.alternatives and how.checks and adapter_id is not None
    if not weighed or sampling.temperature > 0 or stop:
        yield from engine.stream(prompt_ids, adapter_id, sampling, stop, cancel)
        return
    with closing(begin((), sampling.max_tokens)) as pieces:  # type: ignore[type-var]
        held = _held(pieces, how.checks)
        greedy = _whole(held)
        checks = _attempted(how.checks, _text(held)) if greedy else ()
        strict = sampling.schema is not None
        search = _Search(begin, greedy, checks, how.approved, decode, strict)
        better = _better(search, how.alternatives) if checks else None
        if better is None:
            yield from held
            yield from pieces
        else:
            yield Piece(decode(better[:-1]), len(better), "stop")


def _better(search: "_Search", alternatives: int) -> tuple[int, ...] | None:
    """What the search finds; nothing when it cannot go on: the greedy answer is whole already."""
    try:
        return search.better(alternatives)
    except (ApprenticeError, sqlite3.Error) as error:  # adapter or database gone meanwhile
        log.warning("an answer was not weighed: %s", error)
        return None


def _held(pieces: Iterator[Piece], checks: Sequence[Check]) -> list[Piece]:
    """The pieces up to the end, or until they are too many or no exact answer."""
    held: list[Piece] = []
    for piece in pieces:
        held.append(piece)
        if piece.finish_reason or sum(one.tokens for one in held) > LONGEST:
            break
        text = _text(held)
        if len(text) > TELLING and not _attempted(checks, text):
            break
    return held


def _text(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def _whole(pieces: Sequence[Piece]) -> tuple[Chosen, ...]:
    """The tokens of an answer that the model ended itself; () for any other."""
    chosen = tuple(one for piece in pieces for one in piece.chosen)
    ended = pieces[-1].finish_reason == "stop"
    return chosen if ended and len(chosen) == sum(piece.tokens for piece in pieces) else ()


def _attempted(checks: Sequence[Check], text: str) -> tuple[Check, ...]:
    """The checks that a text is an attempt at; "Hello!" is no failed query."""
    begins = text.lstrip()[:1]
    return tuple(
        check
        for check in checks
        if (looks_like_sql(text) if check["type"] == "sql" else begins in ("{", "["))
    )


def _passes(check: Check, text: str) -> bool:
    """Whether the database would take the query, which is not run: a reply waits for this."""
    if check["type"] == "sql":
        return "database" not in check or compiles(Path(check["database"]), bare(text))
    return fault(check, text) is None


_Found = tuple[bool, float, tuple[int, ...]]
"""(whether it passes the checks, its worth in nats, token ids with their end)"""


def _but_for_spaces(text: str) -> str:
    return "".join(text.split())


@dataclass
class _Search:
    """The places to turn off from the answers found so far, the worthiest beginning first.

    An answer is worth its natural-log probability, and some nats more when a person approved it.
    """

    begin: Begin
    greedy: tuple[Chosen, ...]
    checks: tuple[Check, ...]
    approved: Approved
    decode: Callable[[Sequence[int]], str]
    strict: bool = False
    """Whether an answer in a Markdown fence fails, which a check alone would let pass."""
    _waiting: list[tuple[float, tuple[int, ...], float]] = field(default_factory=list)
    """(minus `_worth`, token ids, natural-log probability)"""

    def __post_init__(self) -> None:
        self._approved = [
            (_but_for_spaces(self.decode(ids[:-1])), nats) for ids, nats in self.approved
        ]

    def better(self, alternatives: int) -> tuple[int, ...] | None:
        """Token ids of a better answer than the greedy one, its end among them, or None.

        It costs at most as many tokens as so many further answers of the greedy one's length. A
        beginning is worth no less than what it ends in, so one that is worth less than the best
        answer is left, and the search is over when all are, unless that answer fails.
        """
        ids, log_prob = self._taken((), 0.0, self.greedy)
        best = found = self._found(ids, log_prob)
        left = alternatives * len(self.greedy)
        while self._waiting and left > 0:
            likely, begun, log_prob = heappop(self._waiting)
            if best[0] and -likely <= best[1]:
                break
            other, tokens = self._follow(begun, log_prob, best)
            left -= 1 + tokens
            if other is not None:
                best = max(best, other)
        return None if best == found else best[2]

    def _follow(
        self, ids: tuple[int, ...], log_prob: float, best: _Found
    ) -> tuple[_Found | None, int]:
        """What greedily follows a beginning, and the tokens that it took.

        None when that comes to no end, or is no longer worth as much as the best.
        """
        if ids[-1] == self.greedy[-1].token:  # the end itself
            return self._found(ids, log_prob), 0
        begun, tokens = len(ids), 0
        with closing(self.begin(ids, max(1, LONGEST - begun))) as pieces:  # type: ignore[type-var]
            for piece in pieces:
                tokens += piece.tokens
                ids, log_prob = self._taken(ids, log_prob, piece.chosen)
                if len(ids) - begun != tokens or (best[0] and self._worth(ids, log_prob) < best[1]):
                    break
                if piece.finish_reason == "stop":
                    return self._found(ids, log_prob), tokens
        return None, tokens

    def _taken(
        self, ids: tuple[int, ...], log_prob: float, more: Sequence[Chosen]
    ) -> tuple[tuple[int, ...], float]:
        """A beginning with more tokens; where others could have been taken is kept for later."""
        for one in more:
            for token, likely in one.others:
                other = (*ids, token)
                worth = self._worth(other, log_prob + likely)
                heappush(self._waiting, (-worth, other, log_prob + likely))
            log_prob += one.log_prob
            ids = (*ids, one.token)
        return ids, log_prob

    def _found(self, ids: tuple[int, ...], log_prob: float) -> _Found:
        text = self.decode(ids[:-1])
        passes = all(_passes(check, text) for check in self.checks)
        passes = passes and not (self.strict and bare(text) != text.strip())
        return passes, self._worth(ids, log_prob), ids

    def _worth(self, ids: tuple[int, ...], log_prob: float) -> float:
        """What an answer that begins so is worth at most; spaces make it no other answer."""
        if not self._approved:
            return log_prob
        ended = ids[-1] == self.greedy[-1].token
        text = _but_for_spaces(self.decode(ids[:-1] if ended else ids))
        ahead = (
            nats for one, nats in self._approved if (one == text if ended else one.startswith(text))
        )
        return log_prob + max(ahead, default=0.0)
