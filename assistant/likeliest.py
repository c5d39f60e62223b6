"""The likeliest of several answers, where the model wavers on its way to a short one.

Greedy decoding takes each word as it comes. Where two taught answers begin alike, the word that
parts them is chosen before the model has weighed what follows, and what follows then fits neither:
of 42 new wordings an adapter answered 28 rightly so, while for 36 it found the right one the
likeliest of eight taught answers. So at the places where another word was near, that word is taken
too and the answer finished; the likeliest whole answer is given. A best-first search: it finds what
a beam would, and costs nothing where the model is sure.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from pathlib import Path

from assistant.app import App
from assistant.declared_checks import Check, checks_at_hand
from assistant.engines.protocol import Chosen, Engine, Piece, Sampling
from storage.records import Workspace
from tuning.checks import fault
from tuning.json_check import bare
from tuning.sql_check import compiles, looks_like_sql

LONGEST = 96
"""Tokens of an answer that is weighed; a longer one streams on as it came."""
TELLING = 40
"""Characters by which an exact answer shows itself as one; anything else streams on from there."""
EXACT = {"sql", "json"}
"""Checks of answers that are right or wrong as a whole; others stream word by word."""

Begin = Callable[[Sequence[int], int], Iterator[Piece]]
"""(token ids after the prompt, tokens at most) -> the greedy rest, with its runners-up."""


@dataclass(frozen=True)
class Weighing:
    """How many other answers are weighed, and the checks that the chosen one should not fail."""

    alternatives: int = 0
    checks: tuple[Check, ...] = ()


GREEDY = Weighing()


def weighing(app: App, workspace: Workspace) -> Weighing:
    """What a workspace has declared: only exact answers are weighed."""
    settings = workspace.settings
    if not any(check.get("type") in EXACT for check in settings.checks):
        return GREEDY
    exact = tuple(one for one in checks_at_hand(app, workspace) if one.get("type") in EXACT)
    return Weighing(settings.alternatives, exact)


def stream(
    engine: Engine,
    prompt_ids: Sequence[int],
    adapter_id: int | None,
    sampling: Sampling,
    cancel: threading.Event,
    *,
    how: Weighing,
    decode: Callable[[Sequence[int]], str],
) -> Iterator[Piece]:
    """As `engine.stream`, with other answers weighed against a short greedy one that is exact.

    One that passes its checks goes before any that does not: a query that the database refuses is
    no answer (Wang et al. 2018, arXiv:1807.03100). Prose, the base, which was taught no answers,
    and a temperature above 0 are streamed as they are. Another answer than the greedy one comes as
    one piece; `decode` gives the text of token ids. Raises what `engine.stream` raises.
    """

    def begin(ids: Sequence[int], most: int) -> Iterator[Piece]:
        told = replace(sampling, max_tokens=most, runners_up=True)
        return engine.stream([*prompt_ids, *ids], adapter_id, told, (), cancel)

    weighed = how.alternatives and how.checks and adapter_id is not None
    if not weighed or sampling.temperature > 0:
        yield from engine.stream(prompt_ids, adapter_id, sampling, (), cancel)
        return
    with closing(begin((), sampling.max_tokens)) as pieces:  # type: ignore[type-var]
        held = _held(pieces, how.checks)
        greedy = _whole(held)
        checks = _attempted(how.checks, _text(held)) if greedy else ()
        search = _Search(begin, greedy, checks, decode)
        better = search.better(how.alternatives) if checks else None
        if better is None:
            yield from held
            yield from pieces
        else:
            yield Piece(decode(better[:-1]), len(better), "stop")


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
"""(whether it passes the checks, natural-log probability, token ids with their end)"""


@dataclass
class _Search:
    """The places to turn off from the answers found so far, the likeliest beginning first."""

    begin: Begin
    greedy: tuple[Chosen, ...]
    checks: tuple[Check, ...]
    decode: Callable[[Sequence[int]], str]
    _waiting: list[tuple[float, tuple[int, ...]]] = field(default_factory=list)

    def better(self, alternatives: int) -> tuple[int, ...] | None:
        """Token ids of a better answer than the greedy one, its end among them, or None.

        A beginning is no less likely than what it ends in, so the search is over when the
        likeliest beginning left is less likely than the best answer, unless that one fails.
        """
        best = found = self._finished((), 0.0, self.greedy)
        for _ in range(alternatives):
            if not self._waiting or (best[0] and -self._waiting[0][0] <= best[1]):
                break
            unlikely, ids = heappop(self._waiting)
            rest = self._rest(ids)
            if rest is not None:
                best = max(best, self._finished(ids, -unlikely, rest))
        return None if best == found else best[2]

    def _rest(self, ids: tuple[int, ...]) -> tuple[Chosen, ...] | None:
        """What greedily follows a beginning; None when the model does not come to an end."""
        if ids[-1] == self.greedy[-1].token:  # the end itself
            return ()
        return _whole(list(self.begin(ids, max(1, LONGEST - len(ids))))) or None

    def _finished(self, begun: tuple[int, ...], log_prob: float, rest: Sequence[Chosen]) -> _Found:
        """An answer as it is compared; its turn-offs are kept for later."""
        ids = begun
        for one in rest:
            heappush(self._waiting, (-(log_prob + one.second_log_prob), (*ids, one.second)))
            log_prob += one.log_prob
            ids = (*ids, one.token)
        text = self.decode(ids[:-1])
        return all(_passes(check, text) for check in self.checks), log_prob, ids
