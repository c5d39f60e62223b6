"""The certificate of an erasure: what was asked, what was done, what still holds the words.

It names ids and hashes, and quotes nothing. As JSON for programs and as Markdown for the person
who asked.
"""

import json
from typing import Any

from sqlite_utils import Database

from storage.backup import recorded_backups
from storage.copies import copies_of, feedback_exports
from storage.datadir import DataDir
from storage.durable import put_text
from storage.erased_text import SHORTEST
from storage.erasure import Erasure

NOT_UNLEARNING = (
    "The weights that learned from the rows were deleted. What serves now was made without them. "
    "This is retraining, and not unlearning: nothing was removed from inside a model."
)
NOT_OURS = (
    "Copies that left the data directory are not in our hands. They are listed as far as they are "
    "on record; delete them where they lie."
)
LIMITS = (
    f"Searched were texts of {SHORTEST} characters and more that nobody else wrote, byte by byte, "
    "in every file of the data directory but the base models, the ingested documents and the "
    "backups; of very many, the longest. Free blocks of the disk, what a person has copied by "
    "hand, and the files of a Chroma server, where one keeps the vectors, were not looked at."
)


def certificate(db: Database, datadir: DataDir, known: Erasure) -> dict[str, Any]:
    """The erasure's facts as plain values."""
    detail = known.detail
    return {
        "certificate": known.id,
        "kind": known.kind,
        "subject": known.subject,
        "asked_by": known.actor,
        "asked_at": known.asked_at,
        "erased_at": known.erased_at,
        "finished_at": known.finished_at,
        "rows": detail["rows"],
        "learned_as": detail["examples"],
        "texts": detail.get("texts", {}),
        "rounds_emptied": detail["rounds"],
        "adapters_tainted": detail["adapters"],
        "serving_now": {key: value or "base" for key, value in detail.get("serving", {}).items()},
        "retrained": detail.get("retrained", []),
        "still_held": still_held(db, datadir, known),
        "verified": detail.get("verified", False),
        "searched": {"texts": detail.get("sought", 0), "found_in": detail.get("left", {})},
        "statements": [NOT_UNLEARNING, NOT_OURS, LIMITS],
    }


def still_held(db: Database, datadir: DataDir, known: Erasure) -> list[dict[str, Any]]:
    """Backups, exports, pushes and bundles made before the rows went, with what to do."""
    before = known.erased_at or ""
    recorded = recorded_backups(db)
    held: list[dict[str, Any]] = [
        {"what": "backup", "place": item.path, "at": item.created_at, "remedy": "backup purge"}
        for item in recorded
        if item.created_at < before
    ]
    held += [
        {"what": "unknown file among the backups", "place": str(path), "remedy": "look at it"}
        for path in sorted(datadir.backups.absolute().rglob("*"))
        if path.is_file() and str(path) not in {item.path for item in recorded}
    ]
    for item in copies_of(db, known.detail["adapters"], known.detail["rounds"]):
        what = {"export": "exported adapter", "push": "pushed adapter", "bundle": "exported bundle"}
        held.append(_copy(what[item.kind], item.place, item.created_at))
    for item in feedback_exports(db, before):
        if item.format.startswith("map."):  # of questions, judged or not
            held.append(_copy("saved map of questions", item.place, item.created_at))
        elif item.format == "backup":
            held.append(_copy("downloaded backup", item.place, item.created_at))
        elif known.detail["feedback"]:
            held.append(_copy("exported feedback", item.place, item.created_at))
    return held


def write_certificate(db: Database, datadir: DataDir, known: Erasure) -> dict[str, Any]:
    """Write `certificates/<id>.json` and `.md` anew; returns the facts."""
    facts = certificate(db, datadir, known)
    path = datadir.certificates / f"{known.id}.json"
    put_text(path, json.dumps(facts, indent=1, ensure_ascii=False))
    put_text(path.with_suffix(".md"), as_markdown(facts))
    return facts


def as_markdown(facts: dict[str, Any]) -> str:
    """The certificate for a person."""
    lines = [
        f"# Certificate of erasure {facts['certificate']}",
        f"Asked: {facts['kind']} `{facts['subject']}`, by `{facts['asked_by']}`, "
        f"{facts['asked_at']}. Rows gone: {facts['erased_at']}. "
        f"Finished: {facts['finished_at'] or 'not yet'}.",
        "## What was erased",
        *(f"- {row['table']} `{row['id']}` (sha256 `{row['hash']}`)" for row in facts["rows"]),
        "## What had learned from it",
        *_learned(facts),
        "## What serves now",
        *(f"- workspace {key}: {_serving(value)}" for key, value in facts["serving_now"].items()),
        "## Retrained",
        *([_retrained(item) for item in facts["retrained"]] or ["- nothing was retrained"]),
        "## What still holds it",
        *([_held(item) for item in facts["still_held"]] or ["- nothing on record"]),
        "## How it was verified",
        *_verified(facts),
        *facts["statements"],
    ]
    return "\n\n".join(_joined(lines)) + "\n"


def _learned(facts: dict[str, Any]) -> list[str]:
    tainted = [
        f"- adapter {number}: its weights are deleted, it can never serve again"
        for number in facts["adapters_tainted"]
    ]
    emptied = [
        f"- round {number}: its bundle, logs and checkpoints are deleted"
        for number in facts["rounds_emptied"]
    ]
    return tainted + emptied or ["- no adapter and no round"]


def _serving(value: object) -> str:
    return "the base model" if value == "base" else f"adapter {value}"


def _retrained(item: dict[str, Any]) -> str:
    if item.get("round") is None:
        return f"- {item['workspace']}: no round was started: {item['error']}"
    if "error" in item:
        return f"- {item['workspace']}: round {item['round']} broke off: {item['error']}"
    if "running" in item:
        return f"- {item['workspace']}: round {item['round']} is running"
    return (
        f"- {item['workspace']}: round {item['round']} made adapter {item['adapter']} "
        f"without the rows; the gate said {item['verdict']}"
    )


def _held(item: dict[str, Any]) -> str:
    return f"- {item['what']}: `{item['place']}`; remedy: {item['remedy']}"


def _verified(facts: dict[str, Any]) -> list[str]:
    searched = facts["searched"]
    if facts["verified"]:
        return [f"- {searched['texts']} texts were searched for, and found in no file"]
    found = [f"- still found in `{name}`" for name in searched["found_in"]]
    return found or ["- not verified: the write-ahead log could not be emptied; erase again"]


def _joined(lines: list[str]) -> list[str]:
    """List items stay together, everything else stands apart."""
    joined: list[str] = []
    for line in lines:
        if line.startswith("- ") and joined and joined[-1].startswith("- "):
            joined[-1] += f"\n{line}"
        else:
            joined.append(line)
    return joined


def _copy(what: str, place: str, at: str) -> dict[str, Any]:
    return {"what": what, "place": place, "at": at, "remedy": "delete it there"}
