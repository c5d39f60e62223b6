"""JSON extraction: a request becomes an intent with its slots (SNIPS, Coucke et al. 2018)."""

import json
from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from tests.benchmarks.skill import (
    Cases,
    Item,
    Reply,
    Score,
    Scores,
    Skill,
    draw,
    in_folder,
    read_rows,
    share,
)
from tuning.checks import judge
from tuning.json_check import parse

FILE = "json_extraction_snips_train.jsonl"
TAUGHT, ASKED = 150, 105
INTENTS = (
    "AddToPlaylist",
    "BookRestaurant",
    "GetWeather",
    "PlayMusic",
    "RateBook",
    "SearchCreativeWork",
    "SearchScreeningEvent",
)
INSTRUCTIONS = (
    'Turn each request into one JSON object with the keys "intent" and "slots" and write nothing '
    f"else. The intent is one of {', '.join(INTENTS)}. The slots are what the request says about "
    "it, by name; copy their values from the request as they stand there."
)
SCHEMA = {
    "type": "object",
    "required": ["intent", "slots"],
    "properties": {"intent": {"enum": list(INTENTS)}, "slots": {"type": "object"}},
    "additionalProperties": False,
}


def read_frames(folder: Path | None) -> Cases:
    """FILE: every intent as often as the others, as far as the numbers go."""
    rows = draw(read_rows(in_folder(folder, FILE)), "text")
    by_intent = [[row for row in rows if row["target"]["intent"] == name] for name in INTENTS]
    mixed = [row for row in chain(*zip_longest(*by_intent)) if row]
    items = [Item(row["text"], json.dumps(row["target"], ensure_ascii=False)) for row in mixed]
    return Cases(tuple(items[:TAUGHT]), tuple(items[TAUGHT : TAUGHT + ASKED]))


def measure_frames(cases: Cases, replies: Sequence[Reply]) -> Scores:
    """Valid JSON, exact frames, right intents, and micro F1 of slots with their values."""
    exact = [
        judge({"type": "json"}, item.answer, reply.answer)
        for item, reply in zip(cases.asked, replies, strict=True)
    ]
    wanted = [json.loads(item.answer) for item in cases.asked]
    given = [frame(reply.answer) for reply in replies]
    intents = [
        one is not None and one.get("intent") == right["intent"]
        for one, right in zip(given, wanted, strict=True)
    ]
    return {
        "valid JSON": share([one is not None for one in given]),
        "exact frames": share(exact),
        "right intent": share(intents),
        "slot F1": _slot_f1(wanted, given),
    }


def frame(answer: str) -> dict[str, Any] | None:
    """The JSON object of an answer, which may stand in a Markdown fence; None for anything else."""
    try:
        value = parse(answer)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _slot_f1(wanted: Sequence[dict[str, Any]], given: Sequence[dict[str, Any] | None]) -> Score:
    right = [slots(one) for one in wanted]
    said = [slots(one or {}) for one in given]
    common = sum(len(one & two) for one, two in zip(right, said, strict=True))
    every = sum(map(len, right)) + sum(map(len, said))
    value = 2 * common / every if every else 0.0
    return Score(value, f"{value:.3f}")


def slots(found: dict[str, Any]) -> set[tuple[str, str]]:
    """(name, value) of each slot; a list is as many of them."""
    pairs = found.get("slots")
    if not isinstance(pairs, dict):
        return set()
    every = [
        (name, one)
        for name, value in pairs.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    return {(name, str(one)) for name, one in every}


FRAMES = Skill(
    name="json",
    instructions=INSTRUCTIONS,
    checks=[{"type": "json", "schema": SCHEMA}],
    read=read_frames,
    measure=measure_frames,
    judged_by="exact frames",
    minutes=15.0,
    max_tokens=120,
    example_tokens=400,
    aims={"valid JSON": 0.99},
)
