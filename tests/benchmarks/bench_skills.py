"""What a round teaches beside SQL: five skills, each before and after, on items it never saw.

    python -m tests.benchmarks.bench_skills [--cases FOLDER] [--skill NAME]... [--work DIR]
                                            [--set KEY=VALUE]... [--taught N] [--asked N]

Each skill has a data directory of its own and everything goes through the command line, as a new
user would do it: the workspace gets instructions and a check, the taught pairs are posted as
corrections, `tune` runs, and `ask` is asked the others by the base, by the base with the nearest
corrections in its prompt, and by what was taught alone. FOLDER holds the data of `json`, `legal`
and `medical`. What is done stays in the work folder, so a run that was stopped goes on where it
was.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.frames import FRAMES
from tests.benchmarks.house import House, Results
from tests.benchmarks.skill import Cases, Reply, Scores, Skill
from tests.benchmarks.summaries import LEGAL, MEDICAL

SKILLS = {skill.name: skill for skill in (FRAMES, LEGAL, MEDICAL)}
BASE, EXAMPLES, ALONE = "base", "base with examples", "ours alone"
WANTED = "as wanted"


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
    known.once("set up", lambda: _set_up(house, skill, cases))
    every_dial = [f"max_minutes={skill.minutes}", *dials]
    facts = known.once("round", lambda: house.tune([f"--set={dial}" for dial in every_dial]))
    ways = {
        BASE: ["--adapter", "base", "--no-overrides", "--no-examples"],
        EXAMPLES: ["--adapter", "base", "--no-overrides"],
        ALONE: ["--adapter", str(facts["adapter"]), "--no-overrides", "--no-examples"],
    }
    scores = {}
    for way, options in ways.items():
        said = known.once(way, lambda: _ask(house, skill, cases, way, options))  # noqa: B023  called at once
        scores[way] = skill.measure(cases, [Reply(one, tuple(shown)) for one, shown in said])
    if skill.ceiling:
        scores[WANTED] = skill.measure(cases, [Reply(item.answer) for item in cases.asked])
    return Outcome(skill, cases, scores, facts)


def _set_up(house: House, skill: Skill, cases: Cases) -> dict[str, Any]:
    """The workspace and its corrections; safe to do again. What the import said."""
    house.run(
        "workspaces",
        "set",
        "default",
        f"instructions={skill.instructions}",
        f"checks={json.dumps(skill.checks)}",
        f"max_tokens={skill.max_tokens}",
        *skill.settings,
    )
    rows = [
        {"question": item.question, "correction": item.answer, "group": f"pair {number}"}
        for number, item in enumerate(cases.taught)
    ]
    return house.teach(rows)[-1]


def _ask(
    house: House, skill: Skill, cases: Cases, way: str, options: Sequence[str]
) -> list[tuple[str, list[str]]]:
    """(answer, passages shown) for each item that is asked."""
    said = house.ask(
        [item.question for item in cases.asked],
        options,
        max_tokens=skill.max_tokens,
        example_tokens=skill.example_tokens if way == EXAMPLES else 0,
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
    lines = [f"| skill | taught | asked | measure | {' | '.join(ways)} | minutes |"]
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
