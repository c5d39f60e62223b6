"""Adapters in words. Pure."""

from collections.abc import Collection, Mapping, Sequence

from assistant.admin.feedback_view import day_and_time
from assistant.admin.scores import candidate_line
from assistant.admin.tables import table
from storage.records import Adapter

STATUS_NAMES = {
    "candidate": "candidate",
    "serving": "serving now",
    "retired": "served before",
    "rejected": "rejected",
    "tainted": "tainted: it learned something that was erased",
}


def adapter_label(item: Adapter) -> str:
    """One line for a list to choose from."""
    return f"{item.id} · {STATUS_NAMES[item.status]} · {day_and_time(item.created_at)}"


def adapter_table(
    found: Sequence[Adapter],
    verdicts: Mapping[int, str | None],
    imported: Collection[int] = (),
) -> str:
    """The adapters, newest first, with what their rounds said of them.

    `imported` are the rounds that only judged an adapter and did not make it.
    """
    rows = [
        (
            item.id,
            STATUS_NAMES[item.status],
            _origin(item, imported),
            (verdicts.get(item.round_id) if item.round_id else None) or "not judged",
            candidate_line(item.metrics),
            item.method,
            day_and_time(item.created_at),
        )
        for item in found
    ]
    return table(
        ("Adapter", "Status", "From", "The gate said", "Right", "Method", "Made (UTC)"),
        rows,
        empty="No adapter yet: the base model answers. A round makes one.",
    )


def _origin(item: Adapter, imported: Collection[int]) -> str:
    if item.round_id is None:
        return "imported"
    return (
        f"imported, round {item.round_id}"
        if item.round_id in imported
        else f"round {item.round_id}"
    )
