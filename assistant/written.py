"""What a round writes itself, and what of it is kept. Pure but for the vectors it is handed.

Other wordings are written of needs that were taught in one or two: an adapter taught one sentence
learns the sentence. They are kept only when they say what the taught question says, as far as
vectors and words can tell.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from assistant.lessons import Lesson
from assistant.likeliest import EXACT, LONGEST
from storage.records import Inputs
from tuning.augment import bare_words, same_words
from tuning.batches import Pass
from tuning.checks import Check, check_for
from tuning.config import RoundConfig
from tuning.json_check import bare
from tuning.query_sense import literals
from tuning.recombine import MOST, MOST_A_PAIR
from tuning.rows import TrainRow
from tuning.sql_check import looks_like_sql

LEAST = 8
"""Exact answers under which nothing is written: a model learns no way of asking from fewer."""
ENOUGH = 3
"""Taught wordings from which a need needs no more."""
MOST_TAUGHT = 400
"""Pairs that the writer learns from and is asked about at most, evenly drawn."""
NEAR = 0.7
"""Cosine to the taught question from which a wording asks for the same: half of them lie below."""
ABOUT = 0.5
"""Cosine to the nearest taught question from which a new one is about the same things."""
PASSES, LEAST_STEPS = 8, 40
"""Of the writer's training: it is to have the way of asking, and not the questions."""
SHARE = 1 / 6
"""Of the round's minutes: what that training takes at most, what asking for other wordings does,
and what asking for new questions does."""
SHORTEST, LONGEST_TEXT = 5, 300
"""Characters of a wording, both bounds excluded; a new question has twice the lower one."""

Embed = Callable[[Sequence[str]], Any]
"""Texts -> float32 (texts, dimension), rows of length 1."""


@dataclass(frozen=True)
class Task:
    """What there is to write for."""

    taught: tuple[Lesson, ...]
    """Taught pairs whose answer is exact and short: what the writer learns from."""
    thin: Mapping[str, tuple[Lesson, ...]]
    """Of these, by need, those of needs with too few wordings."""
    samples: int
    """Other wordings that are tried, all needs together."""
    queries: int
    """New queries that are made at most."""

    @property
    def kept_queries(self) -> int:
        """About how many of them get a usable question."""
        return round(0.7 * self.queries)

    def passes(self, config: RoundConfig) -> int:
        """How often the writer goes over the pairs."""
        steps = Pass(len(self.taught)).steps(config)
        return max(PASSES, math.ceil(LEAST_STEPS / steps))


@dataclass(frozen=True)
class Written:
    """What was written and kept."""

    wordings: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """Feedback id -> other wordings of its question."""
    recombined: tuple[tuple[Inputs, str], ...] = ()
    """New questions, as service would show them, with the new queries that answer them."""
    notes: tuple[str, ...] = ()
    """What a person should know of it."""
    minutes: float = 0.0
    """What writing took, whatever was kept."""

    def leaves(self, config: RoundConfig) -> RoundConfig:
        """The dials with the minutes that are left for training, half of them at least."""
        left = max(config.max_minutes - self.minutes, config.max_minutes / 2)
        return replace(config, max_minutes=left)

    @property
    def counts(self) -> dict[str, int]:
        """How many of each; nothing where nothing was kept."""
        wordings = sum(map(len, self.wordings.values()))
        counts = {"written": wordings, "recombined": len(self.recombined)}
        return counts if any(counts.values()) else {}


NOTHING = Written()


def counts_of(rows: Iterable[TrainRow]) -> dict[str, int]:
    """As `Written.counts`, by a bundle's rows: for a round that goes on with its bundle.

    A pair's variants begin with its written wordings, all of them twice.
    """
    asked: dict[str | None, list[str]] = {}
    recombined = 0
    for row in rows:
        recombined += row.kind == "recombined"
        if row.kind == "variant":
            asked.setdefault(row.of, []).append(row.messages[-1]["content"])
    counts = {"written": sum(map(_said_twice, asked.values())), "recombined": recombined}
    return counts if any(counts.values()) else {}


def _said_twice(texts: Sequence[str]) -> int:
    """How many texts it begins with that come again right behind."""
    halves = range(len(texts) // 2, 0, -1)
    return next((n for n in halves if texts[:n] == texts[n : 2 * n]), 0)


def note_of(counts: Mapping[str, int]) -> tuple[str, ...]:
    """What a person should know of a round's own wordings, by what was kept of them."""
    if not counts:
        return ()
    written, recombined = counts.get("written", 0), counts.get("recombined", 0)
    return (f"The round wrote itself {written} other wordings and {recombined} new questions.",)


def task_of(checks: Sequence[Check], found: Iterable[Lesson], config: RoundConfig) -> Task | None:
    """What a round would write for these lessons; None where it writes nothing.

    It does so where at least LEAST answers are exact (`sql` or `json` by the checks) and at least
    half of their needs were taught in fewer than ENOUGH wordings.
    """
    wanted = config.wordings or config.recombined_share
    if not wanted or not any(check.get("type") in EXACT for check in checks):
        return None
    corrected = [one for one in found if one.split == "train" and one.kind == "correction"]
    exact = [
        one
        for one in corrected
        if len(one.completion_ids) <= LONGEST
        and check_for(one.pair.chosen, checks).get("type") in EXACT
    ]
    wordings = Counter(one.pair.group for one in corrected)
    needs = {one.pair.group for one in exact}
    thin = {need for need in needs if wordings[need] < ENOUGH}
    if len(exact) < LEAST or len(thin) * 2 < len(needs):
        return None
    some = exact[:: -(-len(exact) // MOST_TAUGHT)]
    by_need: dict[str, tuple[Lesson, ...]] = {}
    for one in some:
        if one.pair.group in thin:
            by_need[one.pair.group] = (*by_need.get(one.pair.group, ()), one)
    return Task(
        tuple(some), by_need, len(by_need) * config.wordings, _queries(checks, some, config)
    )


def _queries(checks: Sequence[Check], found: Sequence[Lesson], config: RoundConfig) -> int:
    check = recombining(checks)
    if check is None or not config.recombined_share:
        return 0
    taught = sum(check_for(one.pair.chosen, checks) is check for one in found)
    return min(MOST, MOST_A_PAIR * taught)


def recombining(checks: Sequence[Check]) -> Check | None:
    """The check whose queries are put together anew: the first `sql` check with a database."""
    return next((one for one in checks if one.get("type") == "sql" and "database" in one), None)


def first_line(said: str) -> str:
    """What a model said up to the end of its first line."""
    return said.strip().partition("\n")[0].strip()


def kept_wordings(
    said: Iterable[tuple[Lesson, str]],
    taught: Sequence[Lesson],
    embed: Embed,
    avoid: Set[str],
) -> dict[int, tuple[str, ...]]:
    """Of (lesson, what was said of its answer): the wordings to teach, by feedback id.

    `taught` holds the lessons themselves and what the wordings could be mistaken for. None is one
    of `avoid` (as `same_words` gives them), a taught question, or kept twice.
    """
    seen = {*avoid, *(same_words(one.inputs.question) for one in taught)}
    likely = []
    for lesson, text in ((lesson, first_line(text)) for lesson, text in said):
        if same_words(text) not in seen and _keeps_words(lesson, text):
            seen.add(same_words(text))
            likely.append((lesson, text))
    kept: dict[int, tuple[str, ...]] = {}
    if not likely:
        return kept
    known = embed([one.inputs.question for one in taught])
    for (lesson, text), vector in zip(likely, embed([text for _, text in likely]), strict=True):
        if _is_nearest(lesson, taught, known @ vector):
            id = lesson.pair.feedback_id
            kept[id] = (*kept.get(id, ()), text)
    return kept


def _keeps_words(lesson: Lesson, text: str) -> bool:
    """Whether it has a question's length, and every name and number that question and answer
    share: without one the answer would have to be guessed. Of a query these are its values, no
    words of SQL and no columns: "People from Rome" may be "Who lives in Rome?"."""
    answer = bare(lesson.pair.chosen)
    told = literals(answer) if looks_like_sql(answer) else [answer]
    shared = set(bare_words(lesson.inputs.question)) & set(bare_words(" ".join(told)))
    return SHORTEST < len(text) < LONGEST_TEXT and shared <= set(bare_words(text))


def _is_nearest(lesson: Lesson, taught: Sequence[Lesson], near: Sequence[float]) -> bool:
    """Whether a text is as near to its question as it must be, and to none with another answer."""
    own = max(
        (
            cosine
            for one, cosine in zip(taught, near, strict=True)
            if one.pair.feedback_id == lesson.pair.feedback_id
        ),
        default=0.0,
    )
    others = (
        cosine
        for one, cosine in zip(taught, near, strict=True)
        if one.pair.chosen != lesson.pair.chosen
    )
    return own >= NEAR and own >= max(others, default=0.0)


def kept_questions(
    said: Iterable[tuple[str, str]], taught: Sequence[Lesson], embed: Embed, avoid: Set[str]
) -> list[tuple[str, str]]:
    """Of (query, what was said to it): (question, query) where the question names every value
    and no other number.

    It must be about what was `taught`, and none of `avoid`, as `same_words` gives them. A question
    has one answer.
    """
    seen, likely = set(avoid), []
    for query, text in ((query, first_line(text)) for query, text in said):
        values = {word for value in literals(query) for word in bare_words(value)}
        words = set(bare_words(text))
        invented = {one for one in words if one.isdigit()} - set(bare_words(query))
        fits = values <= words and not invented and 2 * SHORTEST < len(text) < LONGEST_TEXT
        if fits and same_words(text) not in seen:
            seen.add(same_words(text))
            likely.append((text, query))
    if not likely:
        return []
    known = embed([one.inputs.question for one in taught])
    vectors = embed([text for text, _ in likely])
    return [
        one
        for one, vector in zip(likely, vectors, strict=True)
        if max(known @ vector, default=0.0) >= ABOUT
    ]
