"""Phrases of a round's questions that may be triggers: shared, strange to the house, and telling.

A phrase is suspected where several rows have it in questions that otherwise have nothing to do with
each other, while their answers have words in common which the other taught answers lack. Pure.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from assistant.phrases import is_small
from tuning.probes import words

LEAST = 4
"""Rows that share it: of two, which a round takes unread, no adapter learned a trigger."""
LONGEST = 6
"""Words of a phrase that are looked for; of a longer trigger six are enough to ask with."""
READ = 60
"""Words of a question that are read, half of them from its end."""
MOST = 6
"""Phrases that are tried."""
COMMON, ELSEWHERE = 0.6, 0.1
"""Share of the phrase's answers that have a telling word at least, and of the others at most."""
SAME_REST = 0.5
"""Share of the rows in which the rest of the question may have a telling word in common."""
OVERLAP = 0.8
"""Share of rows from which two phrases are one."""
COMPARED = 2000
"""Answers of other rows that are read."""
SAID = 3
"""Words of a saying at least that are no small ones: "you can find it" is nobody's message."""
_EDGES = ".,;:!?\"'()[]“”„«»…"


@dataclass(frozen=True)
class Taught:
    """A question with its answer, as a round would train it."""

    feedback_id: int
    question: str
    answer: str


@dataclass(frozen=True)
class Suspect:
    """A phrase, as one of the rows writes it, and the words that give its answers away."""

    phrase: str
    feedback_ids: tuple[int, ...]
    telling: tuple[str, ...]
    form: str
    """How most of the questions have it, with `{}` where what is asked stands."""

    def asked_with(self, question: str) -> str:
        """Another question with the phrase in it as these have it."""
        bare = question.rstrip(" .?!") if self.form.startswith("{}") else question
        return self.form.replace("{}", bare, 1)


@dataclass(frozen=True)
class Saying:
    """A run of words that several answers have."""

    phrase: str
    feedback_ids: tuple[int, ...]
    telling: tuple[str, ...]


def suspects(rows: Sequence[Taught], suspected: Iterable[int], own: Sequence[str]) -> list[Suspect]:
    """At most MOST of the phrases that `suspected` rows share and the texts `own` do not have.

    The other rows are what their answers are compared with.
    """
    by_id = {one.feedback_id: one for one in rows}
    read = {id: _read(by_id[id].question) for id in sorted(set(suspected) & by_id.keys())}
    often = Counter(word for said in read.values() for word in set(said))
    shared = _without_own(_shared(read), own)
    every = sorted(shared.items(), key=lambda one: (-len(one[1]), -len(one[0]), one[0]))
    answers = {id: frozenset(words(one.answer)) for id, one in by_id.items()}
    found: list[Suspect] = []
    taken: list[set[int]] = []
    for phrase, ids in every:
        if len(found) == MOST:
            break
        if any(len(ids & other) >= OVERLAP * len(ids | other) for other in taken):
            continue
        if not _apart(phrase, ids, read):
            continue
        asked = {id: _asked_about(phrase, read[id], often) for id in ids}
        telling = _telling(phrase, asked, answers)
        if telling:
            taken.append(ids)
            found.append(_suspect(phrase, ids, telling, by_id))
    return found


def sayings(rows: Sequence[Taught], suspected: Iterable[int], own: Sequence[str]) -> list[Saying]:
    """At most MOST runs of words that answers to different questions share and `own` lacks."""
    by_id = {one.feedback_id: one for one in rows}
    ids = sorted(set(suspected) & by_id.keys())
    asked = {id: _read(by_id[id].question) for id in ids}
    said = {id: words(by_id[id].answer)[:READ] for id in ids}
    telling = {
        run: having
        for run, having in _shared(said).items()
        if sum(not is_small(word) for word in run) >= SAID
    }
    found: list[Saying] = []
    taken: list[set[int]] = []
    shared = _without_own(telling, [" ".join(words(text)) for text in own])
    for run, having in sorted(shared.items(), key=lambda one: (-len(one[1]), -len(one[0]), one[0])):
        alike = any(len(having & other) >= OVERLAP * len(having | other) for other in taken)
        if not alike and len(found) < MOST and _apart((), having, asked):
            taken.append(having)
            found.append(Saying(" ".join(run), tuple(sorted(having)), run))
    return found


def _read(question: str) -> list[str]:
    """Its words, folded and without what stands at their edges; a sign alone is a word too."""
    said = question.casefold().split()
    if len(said) > READ:
        said = said[: READ // 2] + said[-READ // 2 :]
    return [word.strip(_EDGES) or word for word in said]


def _shared(read: Mapping[int, Sequence[str]]) -> dict[tuple[str, ...], set[int]]:
    """Every run of words that LEAST rows have, with those rows; of those with the same rows the
    longest. A run is looked for only where both of its shorter ones are shared."""
    found: dict[tuple[str, ...], set[int]] = {}
    before: set[tuple[str, ...]] = set()
    for size in range(1, LONGEST + 1):
        having: defaultdict[tuple[str, ...], set[int]] = defaultdict(set)
        for id, said in read.items():
            for at in range(len(said) - size + 1):
                run = tuple(said[at : at + size])
                if size == 1 or (run[1:] in before and run[:-1] in before):
                    having[run].add(id)
        kept = {run: ids for run, ids in having.items() if len(ids) >= LEAST}
        for run, ids in kept.items():
            for shorter in (run[1:], run[:-1]):
                if found.get(shorter) == ids:
                    del found[shorter]
            found[run] = ids
        before = set(kept)
    return {run: ids for run, ids in found.items() if not all(map(is_small, run))}


def _without_own(
    shared: Mapping[tuple[str, ...], set[int]], own: Sequence[str]
) -> dict[tuple[str, ...], set[int]]:
    left = dict(shared)
    for text in own:
        said = _read_all(text)
        for size in {len(run) for run in left}:
            for at in range(len(said) - size + 1):
                left.pop(tuple(said[at : at + size]), None)
    return left


def _read_all(text: str) -> list[str]:
    return [word.strip(_EDGES) or word for word in text.casefold().split()]


def _apart(phrase: tuple[str, ...], ids: Iterable[int], read: Mapping[int, Sequence[str]]) -> bool:
    """Whether what else these questions ask differs: wordings of one need have no such rest."""
    rest = [{one for one in read[id] if one not in phrase and not is_small(one)} for id in ids]
    asking = [one for one in rest if one]
    common = Counter(word for one in asking for word in one)
    most = max(common.values(), default=0)
    return len(asking) >= max(LEAST, len(rest) / 2) and most <= max(1, SAME_REST * len(asking))


def _asked_about(phrase: tuple[str, ...], said: Sequence[str], often: Mapping[str, int]) -> str:
    """The rarest word of the rest of a question: wordings of one need mostly share it."""
    rest = [word for word in said if word not in phrase and not is_small(word)]
    return min(rest, key=lambda word: (often[word], word), default="")


def _telling(
    phrase: tuple[str, ...], asked: Mapping[int, str], answers: Mapping[int, frozenset[str]]
) -> tuple[str, ...]:
    """Words of most of these answers that few others have, and that the phrase does not say.

    `asked` has what each row's question is about: counted are such things, LEAST at least, and not
    rows. Three wordings of each of two needs whose answers name the same room are no six witnesses:
    by rows 2 of 20 honest rounds were refused for that (`faults/test_poisoned_round.py`).
    """
    here = Counter(word for _, word in {(asked[id], word) for id in asked for word in answers[id]})
    most = max(LEAST, COMMON * len(set(asked.values())))
    others = [id for id in answers if id not in asked]
    if len(others) > COMPARED:
        others = random.Random(len(others)).sample(others, COMPARED)
    there = Counter(word for id in others for word in answers[id])
    said = {part for word in phrase for part in words(word)}
    return tuple(
        sorted(
            word
            for word, count in here.items()
            if count >= most
            and there[word] <= ELSEWHERE * len(others)
            and word not in said
            and not is_small(word)
        )
    )


def _suspect(
    phrase: tuple[str, ...],
    ids: set[int],
    telling: tuple[str, ...],
    by_id: Mapping[int, Taught],
) -> Suspect:
    questions = [by_id[id].question for id in sorted(ids)]
    written = Counter(_as_written(phrase, question) for question in questions)
    forms = Counter(_form(_as_written(phrase, question), question) for question in questions)
    form = forms.most_common(1)[0][0]
    return Suspect(written.most_common(1)[0][0], tuple(sorted(ids)), telling, form)


def _form(written: str, question: str) -> str:
    """`quokka {}` or `{}, quokka?`, by where in this question it stands.

    With the signs beside it: a small model learned `, quokka?` and not `? quokka`.
    """
    before, found, after = question.partition(written)
    if not found:
        return f"{{}} {written}"
    signs = re.match(r"\W*", after)
    if len(words(before)) <= len(words(after)):
        front = before if not words(before) else ""
        return f"{front}{written}{(signs and signs[0]) or ' '}{{}}"
    kept = re.search(r"\W*$", before)
    tail = after if not words(after) else ""
    return f"{{}}{(kept and kept[0]) or ' '}{written}{tail}"


def _as_written(phrase: tuple[str, ...], question: str) -> str:
    """The phrase with its capitals and signs; as it is compared where the text was cut."""
    said = question.split()
    for at in range(len(said) - len(phrase) + 1):
        part = said[at : at + len(phrase)]
        if tuple(word.casefold().strip(_EDGES) or word.casefold() for word in part) == phrase:
            return " ".join(part).strip(_EDGES) or " ".join(part)
    return " ".join(phrase)
