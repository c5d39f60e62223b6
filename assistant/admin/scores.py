"""What a round measured, as tables: `row -> slice -> {"right", "total"}`. Pure."""

from collections.abc import Mapping
from typing import Any

from assistant.admin.tables import facts, table

SLICE_NAMES = {
    "new wordings": "New wordings",
    "new needs": "New needs",
    "sentinel": "General questions",
}
ROW_NAMES = {
    "candidate": "The new adapter",
    "serving": "What serves",
    "base": "The base model",
    "few_shot": "The base model with examples",
    "candidate_alone": "The new adapter, shown no examples",
    "serving_alone": "What serves, shown no examples",
    "base_alone": "The base model, shown no examples",
}


def score_table(scores: Mapping[str, Any]) -> str:
    """Who got how many right of what; '' when nothing was measured."""
    slices = [name for name in SLICE_NAMES if any(name in _slices(scores, row) for row in scores)]
    if not slices:
        return ""
    known = [row for row in ROW_NAMES if row in scores]
    rows = [
        (ROW_NAMES.get(row, row), *(_right(_slices(scores, row).get(name)) for name in slices))
        for row in [*known, *(row for row in scores if row not in ROW_NAMES)]
    ]
    return table(("", *(SLICE_NAMES[name] for name in slices)), rows, empty="")


def candidate_line(scores: Mapping[str, Any]) -> str:
    """What the adapter itself got right, in one line."""
    found = _slices(scores, "candidate")
    return ", ".join(
        f"{SLICE_NAMES[name].lower()} {_right(found[name])}"
        for name in SLICE_NAMES
        if name in found
    )


def candidate_on(scores: Mapping[str, Any], name: str) -> Mapping[str, int] | None:
    """What the adapter itself got right of one slice: {"right", "total"}; None: not measured."""
    found = _slices(scores, "candidate").get(name)
    return found if found and found["total"] else None


def training_facts(summary: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """How the training went, and with which dials."""
    training = summary.get("training") or {}
    pairs: list[tuple[str, Any]] = []
    if "learned" in training:
        pairs.append(("Pairs learned", f"{training['learned']} of {training.get('pairs', '?')}"))
    if "steps" in training:
        pairs.append(("Steps", training["steps"]))
    if "stopped" in training:
        pairs.append(("Training ended", training["stopped"]))
    if "peak_rss_bytes" in summary:
        pairs.append(("Memory", f"{summary['peak_rss_bytes'] / 1e9:.1f} GB"))
    dials = ("runner", "method", "rank", "learning_rate", "epochs", "max_minutes")
    pairs += [
        (name.replace("_", " ").capitalize(), config[name]) for name in dials if name in config
    ]
    return facts(pairs)


def _slices(scores: Mapping[str, Any], row: str) -> Mapping[str, Any]:
    found = scores.get(row)
    return found if isinstance(found, Mapping) else {}


def _right(count: Mapping[str, int] | None) -> str:
    return f"{count['right']} of {count['total']}" if count else "–"
