"""Answers as bullets, each with its source: [2] is the second passage that the prompt shows.

Written for this benchmark: the pages of a climbing hall and questions about them. Which passages a
question gets, and in which order, is known only after it was asked; so what is wanted is kept as
facts, and the marker of each is found among the passages that were shown, as a person who corrects
an answer reads it off the sources below.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.grounding import claims, found_in, held_words
from tests.benchmarks.skill import (
    HERE,
    Cases,
    Item,
    Reply,
    Scores,
    Skill,
    read_rows,
    share,
)

INSTRUCTIONS = (
    "You answer questions about the climbing hall from the documents that you are shown. Answer "
    "with one to three bullets and nothing else. Each is one line: a dash, one sentence with what "
    "the documents say, and at its end the number of its source, like [2]."
)
PATTERN = r"\A(?:- [^\n]+ \[\d\](?:\n(?!\Z)|\Z))+\Z"
HELD_WORDS = 0.7
"""Share of a bullet's words of four letters and more that its source must hold, beside all of its
figures and names. Wording may differ; the matter may not."""
_BULLET = re.compile(r"- (?P<said>.+) \[(?P<source>\d+)\]")


def read_bullets(folder: Path | None) -> Cases:
    """The hall's own questions; no folder is needed."""
    taught, asked = (
        tuple(
            Item(row["question"], facts=tuple(row["facts"]))
            for row in read_rows(HERE / "bullets" / name)
        )
        for name in ("taught.jsonl", "asked.jsonl")
    )
    return Cases(taught, asked)


def cited(item: Item, shown: Sequence[str]) -> str:
    """The item's facts that the passages hold, as bullets with their sources; "" for none."""
    lines = []
    for fact in item.facts:
        sources = [number for number, text in enumerate(shown, start=1) if holds(text, fact)]
        if sources:
            best = max(sources, key=lambda number: held_words(shown[number - 1], fact))
            lines.append(f"- {fact} [{best}]")
    return "\n".join(lines)


def holds(text: str, sentence: str) -> bool:
    """Whether `text` has every figure and name of the sentence and most of its long words."""
    wanted = claims(sentence)
    return found_in(text, wanted) == wanted and held_words(text, sentence) >= HELD_WORDS


def measure_bullets(cases: Cases, replies: Sequence[Reply]) -> Scores:
    """The form, the sources, and the wanted facts that were shown: by answer, bullet and fact."""
    pairs = list(zip(cases.asked, replies, strict=True))
    form = [is_bullets(reply.answer) for _, reply in pairs]
    lines = [[_right(line, reply.sources) for line in _lines(reply.answer)] for _, reply in pairs]
    facts = [[_said(fact, reply) for fact in _shown(item, reply)] for item, reply in pairs]
    return {
        "every check": share(
            [
                one and all(right) and any(said)
                for one, right, said in zip(form, lines, facts, strict=True)
            ]
        ),
        "bullets and nothing else": share(form),
        "only right sources": share([bool(right) and all(right) for right in lines]),
        "something wanted": share([any(said) for said in facts]),
        "lines with their right source": share([one for right in lines for one in right]),
        "facts not of [1]": share(
            [_cited_right(fact, reply) for item, reply in pairs for fact in _not_first(item, reply)]
        ),
        "wanted facts": share([one for said in facts for one in said]),
    }


def is_bullets(answer: str) -> bool:
    """Whether every line is a bullet that ends with a source."""
    lines = _lines(answer)
    return bool(lines) and all(_BULLET.fullmatch(line) for line in lines)


def _lines(answer: str) -> list[str]:
    return [line.strip() for line in answer.splitlines() if line.strip()]


def _right(line: str, sources: Sequence[str]) -> bool:
    """Whether the line cites a passage that was shown and that holds what it says."""
    found = _BULLET.fullmatch(line)
    if not found or not 1 <= int(found["source"]) <= len(sources):
        return False
    return holds(sources[int(found["source"]) - 1], found["said"])


def _shown(item: Item, reply: Reply) -> list[str]:
    return [fact for fact in item.facts if any(holds(passage, fact) for passage in reply.sources)]


def _not_first(item: Item, reply: Reply) -> list[str]:
    """The facts that another passage than the first holds: "[1]" after everything is no skill."""
    return [fact for fact in _shown(item, reply) if not holds(reply.sources[0], fact)]


def _cited_right(fact: str, reply: Reply) -> bool:
    lines = [line for line in _lines(reply.answer) if holds(line, fact)]
    return any(_right(line, reply.sources) for line in lines)


def _said(fact: str, reply: Reply) -> bool:
    return any(holds(line, fact) for line in _lines(reply.answer))


BULLETS = Skill(
    name="bullets",
    instructions=INSTRUCTIONS,
    checks=[{"type": "regex", "pattern": PATTERN}],
    read=read_bullets,
    measure=measure_bullets,
    judged_by="every check",
    minutes=15.0,
    max_tokens=120,
    example_tokens=400,
    settings=["passage_tokens=200", "top_k=3"],
    documents=HERE / "bullets/documents",
    write=cited,
)
