"""What an adapter learned from, in words. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import Any

from assistant.admin.tables import facts, table

SHOWN = 200
"""Rows of the table; the counts above it are of all."""
LONGEST = 120
"""Characters of a question or a text that are shown."""


def lineage_view(adapter_id: int, taught: Sequence[Mapping[str, Any]]) -> str:
    """The rows of `apprentice lineage` as counts, documents and a table; HTML, escaped."""
    rows = [one for one in taught if "removed" not in one]
    trained = [one for one in rows if one["split"] == "train"]
    read = Counter(name for one in taught for name in one["documents"])
    counts = facts(
        [
            ("Learned", len(trained)),
            ("Kept out, to judge by", len(rows) - len(trained)),
            ("Erased since", sum(one["erased"] for one in rows)),
            ("Documents in their prompts", ", ".join(read) or "none"),
        ]
    )
    listed = table(
        ("Judgement", "Question", "Taught", "Use", "By", "Approved by", "Round"),
        [_row(one) for one in rows[:SHOWN]],
        empty=f"Nothing here says what adapter {adapter_id} learned from: it was imported.",
    )
    return (
        f"<h2>What adapter {adapter_id} learned from</h2>{counts}{listed}{_rest(rows, adapter_id)}"
    )


def _row(one: Mapping[str, Any]) -> tuple[Any, ...]:
    said = "erased" if one["erased"] else _short(one["question"])
    return (
        one["feedback"] or "–",
        said,
        _short(one["taught"]),
        "trained" if one["split"] == "train" else f"kept out: {one['split']}",
        one["contributor"] or "–",
        ", ".join(one["approved_by"]) or "–",
        one["round"],
    )


def _short(text: str | None) -> str:
    return shorten(text or "–", LONGEST, placeholder="…")


def _rest(rows: Sequence[Mapping[str, Any]], adapter_id: int) -> str:
    if len(rows) <= SHOWN:
        return ""
    return (
        f'<p class="note">{len(rows) - SHOWN} more: '
        f"<code>apprentice lineage {adapter_id}</code> lists them all.</p>"
    )
