"""A round as a folder: everything training needs and nothing else, so it can run anywhere.

| file | a row |
|---|---|
| `config.json` | the round's dials, the base, the round's id, the adapter it goes on from if any |
| `train.jsonl` | a `TrainRow`: finished prompt and completion, as text and as token ids |
| `heldout.jsonl` | a `Case` that judges; it never trains |
| `sentinel.jsonl` | a `Case` of general ability, the same shape |
| `likelihood.jsonl` | a `Choice` of general ability, scored by how likely its answers are |
"""

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from storage.errors import BadInput, NotFound
from storage.records import ChatMessage
from storage.wheel import file_sha256
from tuning.config import RoundConfig
from tuning.evaluate import Case
from tuning.sentinel import Choice

FORMAT = 1
"""Version of the folder's layout."""
RowKind = Literal["correction", "preference", "thumb", "variant", "raft", "replay", "rejected"]
TAUGHT: tuple[RowKind, ...] = ("correction", "preference", "thumb")
"""Kinds of rows that stand for something that a person approved; the others go with them."""


@dataclass(frozen=True)
class TrainRow:
    """One prompt with the completion to learn.

    A `preference` is a reply that was liked better than another one, a `thumb` a reply with the
    `label` that it got. A `variant` is the pair `of` with its question in other words, or its
    answer begun after another need's question; a `raft` row is that pair with its passages left
    out, or with others among them. A `replay` row holds what the base itself says to an ordinary
    prompt, so that the round does not make it forget. `rejected_ids` are the beginning of the wrong
    answer. A `rejected` row is made of them in a step, and never in a bundle.
    """

    id: str
    group: str
    messages: tuple[ChatMessage, ...]
    prompt_ids: tuple[int, ...]
    completion: str
    completion_ids: tuple[int, ...]
    rejected: str | None = None
    kind: RowKind = "correction"
    of: str | None = None
    rejected_ids: tuple[int, ...] = ()
    label: bool | None = None


@dataclass(frozen=True)
class Bundle:
    """What `read_bundle` found in a folder."""

    folder: Path
    config: RoundConfig
    base_fingerprint: str
    base_model: str
    round_id: int | None
    train: tuple[TrainRow, ...]
    heldout: tuple[Case, ...]
    sentinel: tuple[Case, ...]
    likelihood: tuple[Choice, ...] = ()
    start: str | None = None
    """Hash of the manifest of the adapter that training goes on from; None: from the base."""


def write_bundle(
    folder: Path,
    *,
    config: RoundConfig,
    base_fingerprint: str,
    base_model: str = "",
    round_id: int | None = None,
    train: Sequence[TrainRow],
    heldout: Sequence[Case],
    sentinel: Sequence[Case] = (),
    likelihood: Sequence[Choice] = (),
    start: str | None = None,
) -> Bundle:
    """The round written to `folder`, which must not hold anything yet. All of it or nothing.

    Raises BadInput when there is nothing to train on, when a row is no use (empty prompt or
    completion), when something held out would train, or when the folder is taken.
    """
    bundle = Bundle(
        folder=folder,
        config=config,
        base_fingerprint=base_fingerprint,
        base_model=base_model,
        round_id=round_id,
        train=tuple(train),
        heldout=tuple(heldout),
        sentinel=tuple(sentinel),
        likelihood=tuple(likelihood),
        start=start,
    )
    check_bundle(bundle)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write_lines(part / "train.jsonl", train)
        _write_lines(part / "heldout.jsonl", heldout)
        _write_lines(part / "sentinel.jsonl", sentinel)
        _write_lines(part / "likelihood.jsonl", likelihood)
        _write(part / "config.json", json.dumps(_facts(bundle), indent=1))
        os.replace(part, folder)
    except OSError as error:
        raise BadInput(f"The bundle cannot be written to {folder}: {error.strerror}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return bundle


def read_bundle(folder: Path) -> Bundle:
    """The bundle in `folder`. Raises NotFound without one, BadInput for a damaged one."""
    if not (folder / "config.json").is_file():
        raise NotFound(f"There is no bundle in {folder}: it has no config.json.")
    try:
        facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise BadInput(f"The bundle in {folder} has format {facts['format']}, not {FORMAT}.")
        bundle = Bundle(
            folder=folder,
            config=_config(facts["config"]),
            base_fingerprint=facts["base_fingerprint"],
            base_model=facts["base_model"],
            round_id=facts["round"],
            train=tuple(_train_row(row) for row in _read_lines(folder / "train.jsonl")),
            heldout=tuple(_case(row) for row in _read_lines(folder / "heldout.jsonl")),
            sentinel=tuple(_case(row) for row in _read_lines(folder / "sentinel.jsonl")),
            likelihood=_likelihood(folder),
            start=facts.get("start"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"The bundle in {folder} is damaged: {error!r}.") from error
    check_bundle(bundle)
    return bundle


def bundle_hash(folder: Path) -> str:
    """The sha256 over every file of a bundle and its name: what an adapter says it learned from."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        digest.update(f"{path.name} {file_sha256(path)}\n".encode())
    return digest.hexdigest()


def check_bundle(bundle: Bundle) -> None:
    """Raises BadInput for a bundle that must not train; see `write_bundle`."""
    if not any(row.kind in TAUGHT for row in bundle.train):
        raise BadInput("The bundle has no corrections to train on; approve some first.")
    if len({row.id for row in bundle.train}) != len(bundle.train):
        raise BadInput("Two training rows of the bundle have the same id.")
    pairs = {row.id for row in bundle.train if row.kind == "correction"}
    for row in bundle.train:
        if not row.prompt_ids or not row.completion_ids:
            raise BadInput(f"The training row {row.id!r} has an empty prompt or completion.")
        if (row.kind in ("variant", "raft")) != (row.of in pairs):
            raise BadInput(f"The training row {row.id!r} is no variant of a correction here.")
        if (row.kind == "thumb") != (row.label is not None) or row.kind == "rejected":
            raise BadInput(f"The training row {row.id!r} has no label, or one too many.")
    _check_objective(bundle)
    _check_leaks(bundle)


def _check_objective(bundle: Bundle) -> None:
    """The rows have what the losses compare."""
    if sum(row.kind == "thumb" for row in bundle.train) == 1:
        raise BadInput("The bundle has one thumb, and KTO measures thumbs by each other.")
    compared = [row for row in bundle.train if row.kind in TAUGHT and row.rejected_ids]
    if bundle.config.objective == "dpo" and not compared:
        raise BadInput("The bundle has no rejected answer, and DPO compares each pair with one.")


def _check_leaks(bundle: Bundle) -> None:
    """Nothing that judges may train: not by id, not by prompt, not by a need held out whole."""
    cases = (*bundle.heldout, *bundle.sentinel)
    ids = {case.id for case in cases}
    prompts = {case.prompt_ids for case in cases} | {one.prompt_ids for one in bundle.likelihood}
    questions = {asked(case.messages) for case in cases}
    groups = {case.group for case in bundle.heldout if case.slice == "new needs"}
    for row in bundle.train:
        taught = row.kind != "replay"
        if (
            row.id in ids
            or row.of in ids
            or row.prompt_ids in prompts
            or asked(row.messages) in questions
            or (taught and row.group in groups)
        ):
            raise BadInput(f"The training row {row.id!r} is also held out; a pair can be one only.")


def asked(messages: Sequence[ChatMessage]) -> tuple[int, str]:
    """The conversation's length with its last question, words compared without case.

    What trains and what judges may not be the same by this.
    """
    last = messages[-1]["content"] if messages else ""
    return len(messages), " ".join(last.casefold().split())


def _config(dials: dict[str, Any]) -> RoundConfig:
    """The round's dials; one that bundles had once and that did nothing is passed over."""
    return RoundConfig.from_json({name: dials[name] for name in dials if name != "held_out"})


def _facts(bundle: Bundle) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "round": bundle.round_id,
        "base_fingerprint": bundle.base_fingerprint,
        "base_model": bundle.base_model,
        "start": bundle.start,
        "config": bundle.config.to_json(),
    }


def _train_row(row: dict[str, Any]) -> TrainRow:
    row = {"rejected_ids": (), **row}
    ids = ("prompt_ids", "completion_ids", "rejected_ids")
    return TrainRow(**{**row, **_tuples(row, "messages", *ids)})


def _case(row: dict[str, Any]) -> Case:
    names = ("messages", "prompt_ids", "few_shot_ids", "bare_ids")
    return Case(**{**row, **_tuples(row, *(name for name in names if name in row))})


def _likelihood(folder: Path) -> tuple[Choice, ...]:
    """The file's choices; a bundle of an earlier release has no such file."""
    if not (folder / "likelihood.jsonl").exists():
        return ()
    rows = _read_lines(folder / "likelihood.jsonl")
    return tuple(
        Choice(
            **{**row, **_tuples(row, "prompt_ids"), "options": tuple(map(tuple, row["options"]))}
        )
        for row in rows
    )


def _tuples(row: dict[str, Any], *names: str) -> dict[str, tuple[Any, ...]]:
    return {name: tuple(row[name]) for name in names}


def _write_lines(path: Path, rows: Iterable[TrainRow | Case | Choice]) -> None:
    lines = (json.dumps(dataclasses.asdict(row), ensure_ascii=False) + "\n" for row in rows)
    _write(path, "".join(lines))


def _read_lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
