"""What a round teaches beside SQL: five skills, each before and after, on items it never saw.

    python -m tests.benchmarks.bench_skills [--cases FOLDER] [--skill NAME]... [--work DIR]
                                            [--set KEY=VALUE]... [--taught N] [--asked N]

Each skill has a data directory of its own and everything goes through the command line, as a new
user would do it: the workspace gets instructions and a check, the taught pairs are posted as
corrections, `tune` runs, and `ask` is asked the others by the base, by the base with the nearest
corrections in its prompt, and by what was taught alone. FOLDER holds the data of `json`, `legal`
and `medical`; `voice` and `bullets` bring their own. What is done stays in the work folder, so a
run that was stopped goes on where it was.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.benchmarks.bullets import BULLETS
from tests.benchmarks.frames import FRAMES
from tests.benchmarks.house import House, Results
from tests.benchmarks.skill import Cases, Item, Reply, Scores, Skill
from tests.benchmarks.summaries import LEGAL, MEDICAL
from tests.benchmarks.voice import VOICE

SKILLS = {skill.name: skill for skill in (FRAMES, LEGAL, MEDICAL, VOICE, BULLETS)}
BASE, EXAMPLES, ALONE = "base", "base with examples", "ours alone"
WANTED = "as wanted"
BASE_ALONE = ["--adapter", "base", "--no-overrides", "--no-examples"]


@dataclass(frozen=True)
class Outcome:
    """A skill's scores by way of answering, and the round that taught it."""

    skill: Skill
    cases: Cases
    scores: dict[str, Scores]
    round: dict[str, Any]


def main() -> int:
    """Runs what is not done yet and prints the tables; 1 when an aim is missed."""
    given = _arguments()
    outcomes = []
    for name in given.skill or SKILLS:
        skill = SKILLS[name]
        work = given.work / name
        every = skill.read(given.cases)
        cases = Cases(every.taught[: given.taught], every.asked[: given.asked])
        outcomes.append(run(skill, cases, work, given.set))
        print(f"\n{name}\n{table(outcomes[-1])}", flush=True)
    print(f"\nall skills\n{summary(outcomes)}")
    missed = [miss for outcome in outcomes for miss in misses(outcome)]
    print("\n".join(missed) or "every aim is met")
    return bool(missed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=Path)
    parser.add_argument("--skill", action="append", choices=list(SKILLS))
    parser.add_argument("--work", type=Path, default=Path("bench-skills"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--taught", type=int, help="pairs a skill at most, for a trial")
    parser.add_argument("--asked", type=int, help="items a skill at most, for a trial")
    return parser.parse_args()


def run(skill: Skill, cases: Cases, work: Path, dials: Sequence[str]) -> Outcome:
    """Every way of answering, each once."""
    work.mkdir(parents=True, exist_ok=True)
    known = Results(work / "results.json")
    house = House(work / "data")
    known.once("set up", lambda: _set_up(house, skill))
    if skill.write:
        every = [*cases.taught, *cases.asked]
        shown = known.once("passages", lambda: _ask(house, skill, every, BASE_ALONE, max_tokens=1))
        cases = written(skill, cases, [passages for _, passages in shown])
    known.once("corrections", lambda: _teach(house, cases))
    every_dial = [f"max_minutes={skill.minutes}", *dials]
    facts = known.once("round", lambda: house.tune([f"--set={dial}" for dial in every_dial]))
    ways = {
        BASE: BASE_ALONE,
        EXAMPLES: ["--adapter", "base", "--no-overrides"],
        ALONE: ["--adapter", str(facts["adapter"]), "--no-overrides", "--no-examples"],
    }
    replies: dict[str, list[Reply]] = {}
    for way, options in ways.items():
        tokens = skill.example_tokens if way == EXAMPLES else 0
        said = known.once(way, lambda: _ask(house, skill, cases.asked, options, tokens))  # noqa: B023  called at once
        replies[way] = [Reply(answer, tuple(shown)) for answer, shown in said]
    if skill.ceiling:
        pairs = zip(cases.asked, replies[BASE], strict=True)
        replies[WANTED] = [Reply(item.answer, reply.sources) for item, reply in pairs]
    return Outcome(
        skill, cases, {way: skill.measure(cases, said) for way, said in replies.items()}, facts
    )


def _set_up(house: House, skill: Skill) -> list[dict[str, Any]]:
    """The workspace and its documents; safe to do again."""
    values = {
        "instructions": skill.instructions,
        "checks": json.dumps(skill.checks),
        "max_tokens": skill.max_tokens,
    }
    pairs = [f"{key}={value}" for key, value in values.items()]
    house.run("workspaces", "set", "default", *pairs, *skill.settings)
    return house.run("ingest", str(skill.documents)) if skill.documents else []


def written(skill: Skill, cases: Cases, shown: Sequence[Sequence[str]]) -> Cases:
    """The cases with the answers that the passages shown allow; those that allow none left out."""
    assert skill.write is not None
    every = [*cases.taught, *cases.asked]
    written = [
        replace(item, answer=skill.write(item, passages))
        for item, passages in zip(every, shown, strict=True)
    ]
    cut = len(cases.taught)
    return Cases(
        tuple(item for item in written[:cut] if item.answer),
        tuple(item for item in written[cut:] if item.answer),
    )


def _teach(house: House, cases: Cases) -> dict[str, Any]:
    """What the import of the corrections said; safe to do again."""
    rows = [
        {"question": item.question, "correction": item.answer, "group": f"pair {number}"}
        for number, item in enumerate(cases.taught)
    ]
    return house.teach(rows)[-1]


def _ask(
    house: House,
    skill: Skill,
    items: Sequence[Item],
    options: Sequence[str],
    example_tokens: int = 0,
    max_tokens: int = 0,
) -> list[tuple[str, list[str]]]:
    """(answer, passages shown) for each item."""
    said = house.ask(
        [item.question for item in items],
        options,
        max_tokens=max_tokens or skill.max_tokens,
        example_tokens=example_tokens,
    )
    return [(one["answer"], [source["text"] for source in one["sources"]]) for one in said]


def table(outcome: Outcome) -> str:
    """A line per way of answering, a column per measure."""
    names = list(outcome.scores[BASE])
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for way, scores in outcome.scores.items():
        lines.append(f"| {way} | {' | '.join(scores[name].text for name in names)} |")
    return "\n".join(lines)


def summary(outcomes: Sequence[Outcome]) -> str:
    """A line per skill: what it is judged by, by way of answering."""
    ways = (BASE, EXAMPLES, ALONE)
    lines = [f"| skill | taught | asked | measure | {' | '.join(ways)} | round, minutes |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for one in outcomes:
        for name in dict.fromkeys([*one.skill.aims, one.skill.judged_by]):
            figures = " | ".join(one.scores[way][name].text for way in ways)
            lines.append(
                f"| {one.skill.name} | {one.round['pairs']['train']} | {len(one.cases.asked)} | "
                f"{name} | {figures} | {one.round['seconds'] / 60:.1f} |"
            )
    return "\n".join(lines)


def misses(outcome: Outcome) -> list[str]:
    """The aims that were missed, in words."""
    skill, scores = outcome.skill, outcome.scores
    missed = [
        f"missed: {skill.name}, {name} {scores[ALONE][name].text}, aim {least:.0%}"
        for name, least in skill.aims.items()
        if scores[ALONE][name].value < least
    ]
    for way in (BASE, EXAMPLES):
        mine, theirs = (scores[one][skill.judged_by] for one in (ALONE, way))
        if mine.value <= theirs.value:
            missed.append(
                f"missed: {skill.name}, {skill.judged_by} {mine.text}, {way} {theirs.text}"
            )
    return missed


if __name__ == "__main__":
    sys.exit(main())
