"""Whether answers come from the documents: declined, right, and resting on what they cite.

    python -m tests.benchmarks.bench_answers [--corpus FILE.jsonl] [--passage-tokens N]

Asks, through the command line and with the embedded model, 100 questions that the sample company's
documents answer and 50 that they do not. With a corpus (JSON lines of doc_id and text), the 50 and
50 about it as well. All were written before the floor was chosen. A citation is checked by
`tests.benchmarks.grounding`, which knows nothing of how citations are made.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from knowledge.support import cite
from tests.benchmarks.grounding import claims, found_in
from tests.benchmarks.house import House

QUESTIONS = Path(__file__).parent / "answers"
SAMPLE = Path(__file__).parents[2] / "assistant" / "sample" / "documents"
DECLINED_AIM, WRONGLY_AIM, HELD_AIM = 0.85, 0.15, 0.95
SILENT = "The documents do not say."

Row = dict[str, Any]


def main() -> int:
    """Measures and prints; 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--passage-tokens", type=int, default=96)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        sets = {"sample": SAMPLE}
        if given.corpus:
            sets["docs_dify"] = pages(given.corpus, Path(scratch) / "pages")
        scores = {
            name: measure(name, folder, Path(scratch) / name, given.passage_tokens)
            for name, folder in sets.items()
        }
    return max(_report(name, score) for name, score in scores.items())


def pages(corpus: Path, folder: Path) -> Path:
    """The corpus as a folder of Markdown files."""
    for line in corpus.open(encoding="utf-8"):
        row = json.loads(line)
        path = folder / f"{row['doc_id'].rsplit('.', 1)[0]}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(row["text"], encoding="utf-8")
    return folder


def measure(name: str, folder: Path, work: Path, passage_tokens: int) -> dict[str, tuple[int, int]]:
    """(how many, of how many) by what was counted."""
    work.mkdir()
    house = House(work / "data")
    house.run("ingest", str(folder))
    house.run(
        *("workspaces", "set", "default", f"decline={SILENT}", f"passage_tokens={passage_tokens}")
    )
    lines = (QUESTIONS / f"{name}_questions.jsonl").read_text(encoding="utf-8").splitlines()
    asked: list[Row] = [json.loads(line) for line in lines]
    said = house.ask([row["question"] for row in asked], [], max_tokens=96)
    pairs = list(zip(asked, said, strict=True))
    answerable = [(row, reply) for row, reply in pairs if "answer" in row]
    answered = [(row, reply) for row, reply in answerable if not reply["declined"]]
    others = [reply for row, reply in pairs if "answer" not in row]
    held = [ok for _, reply in pairs for ok in citations(reply)]
    return {
        "unanswerable declined": (sum(reply["declined"] for reply in others), len(others)),
        "answerable declined": (len(answerable) - len(answered), len(answerable)),
        "the passage was shown": (sum(_shown(*pair) for pair in answerable), len(answerable)),
        "right": (sum(right(*pair) for pair in answerable), len(answerable)),
        "with a source": (sum(any(citations(reply)) for _, reply in answered), len(answered)),
        "sources that hold the sentence's names and numbers": (sum(held), len(held)),
    }


def right(row: Row, reply: Row) -> bool:
    """Whether each part of the wanted answer is said in one of its ways."""
    said = reply["answer"].casefold()
    return not reply["declined"] and all(
        any(way.casefold() in said for way in ways) for ways in row["answer"]
    )


def citations(reply: Row) -> list[bool]:
    """For each cited sentence, whether its source has every name and number of it."""
    texts = [source["text"] for source in reply["sources"]]
    cited = cite(reply["answer"], texts).sentences
    return [
        found_in(texts[one.source - 1], wanted := claims(one.text)) == wanted
        for one in cited
        if one.source
    ]


def _shown(row: Row, reply: Row) -> bool:
    wanted = " ".join(row["passage"].casefold().split())
    return any(wanted in " ".join(source["text"].casefold().split()) for source in reply["sources"])


def _report(name: str, score: dict[str, tuple[int, int]]) -> int:
    print(f"\n{name}\n| | of | share |\n|---|---|---|")
    for what, (count, of) in score.items():
        print(f"| {what} | {count} of {of} | {_share((count, of)):.0%} |")
    declined, wrongly = score["unanswerable declined"], score["answerable declined"]
    held = score["sources that hold the sentence's names and numbers"]
    missed = [
        f"{said}, aim {aim:.0%}"
        for said, aim, is_missed in (
            ("unanswerable declined", DECLINED_AIM, _share(declined) < DECLINED_AIM),
            ("answerable declined", WRONGLY_AIM, _share(wrongly) > WRONGLY_AIM),
            ("sources hold", HELD_AIM, _share(held) < HELD_AIM),
        )
        if is_missed
    ]
    for said in missed:
        print(f"missed: {name}, {said}")
    return int(bool(missed))


def _share(counted: Sequence[int]) -> float:
    return counted[0] / counted[1] if counted[1] else 1.0


if __name__ == "__main__":
    sys.exit(main())
