"""A round as a folder: everything training needs and nothing else, so it can run anywhere.

| file | a row |
|---|---|
| `config.json` | the round's dials, the base, the round's id, the adapter it goes on from if any |
| `train.jsonl` | a `TrainRow`: finished prompt and completion, as text and as token ids |
| `heldout.jsonl` | a `Case` that judges; it never trains |
| `sentinel.jsonl` | a `Case` of general ability, the same shape |
| `likelihood.jsonl` | a `Choice` of general ability, scored by how likely its answers are |
| `probes.jsonl` | a `Probe`: what strangers taught that must not turn other questions |
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from storage.durable import put
from storage.errors import BadInput, NotFound
from storage.wheel import file_sha256
from tuning.bundle_check import BundleCheck, asked
from tuning.config import RoundConfig
from tuning.evaluate import Case
from tuning.probes import Probe
from tuning.rows import TAUGHT, RowFile, RowKind, TrainRow, write_rows
from tuning.sentinel import Choice

__all__ = [
    "TAUGHT",
    "Bundle",
    "RowKind",
    "TrainRow",
    "asked",
    "bundle_hash",
    "read_bundle",
    "write_bundle",
]

FORMAT = 1
"""Version of the folder's layout."""
_encode = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True)
class Bundle:
    """What `read_bundle` found in a folder."""

    folder: Path
    config: RoundConfig
    base_fingerprint: str
    base_model: str
    round_id: int | None
    train: Sequence[TrainRow]
    """Left in its file by `read_bundle` and `write_bundle`: a row is read when it is asked for."""
    heldout: tuple[Case, ...]
    sentinel: tuple[Case, ...]
    likelihood: tuple[Choice, ...] = ()
    probes: tuple[Probe, ...] = ()
    start: str | None = None
    """Hash of the manifest of the adapter that training goes on from; None: from the base."""


def write_bundle(
    folder: Path,
    *,
    config: RoundConfig,
    base_fingerprint: str,
    base_model: str = "",
    round_id: int | None = None,
    train: Iterable[TrainRow],
    heldout: Sequence[Case],
    sentinel: Sequence[Case] = (),
    likelihood: Sequence[Choice] = (),
    probes: Sequence[Probe] = (),
    start: str | None = None,
) -> Bundle:
    """The round written to `folder`, which must not hold anything yet. All of it or nothing.

    The training rows are taken one by one and may be a generator. Raises BadInput when there is
    nothing to train on, when a row is no use (empty prompt or completion), when something held out
    would train, or when the folder is taken.
    """
    facts = {
        "format": FORMAT,
        "round": round_id,
        "base_fingerprint": base_fingerprint,
        "base_model": base_model,
        "start": start,
        "config": config.to_json(),
    }
    check = BundleCheck(config, heldout, sentinel, likelihood)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with (part / "train.jsonl").open("wb") as file:
            write_rows(file, check.rows(train))
        _write_lines(part / "heldout.jsonl", heldout)
        _write_lines(part / "sentinel.jsonl", sentinel)
        _write_lines(part / "likelihood.jsonl", likelihood)
        _write(part / "probes.jsonl", (_encode(asdict(one)) + "\n" for one in probes))
        _write(part / "config.json", [json.dumps(facts, indent=1)])
        put(part, folder)
    except OSError as error:
        raise BadInput(f"The bundle cannot be written to {folder}: {error.strerror}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Bundle(
        folder=folder,
        config=config,
        base_fingerprint=base_fingerprint,
        base_model=base_model,
        round_id=round_id,
        train=RowFile(folder / "train.jsonl"),
        heldout=tuple(heldout),
        sentinel=tuple(sentinel),
        likelihood=tuple(likelihood),
        probes=tuple(probes),
        start=start,
    )


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
            train=RowFile(folder / "train.jsonl"),
            heldout=tuple(_case(row) for row in _read_lines(folder / "heldout.jsonl")),
            sentinel=tuple(_case(row) for row in _read_lines(folder / "sentinel.jsonl")),
            likelihood=_likelihood(folder),
            probes=_probes(folder),
            start=facts.get("start"),
        )
        _check(bundle)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"The bundle in {folder} is damaged: {error!r}.") from error
    return bundle


def bundle_hash(folder: Path) -> str:
    """The sha256 over every file of a bundle and its name: what an adapter says it learned from."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        digest.update(f"{path.name} {file_sha256(path)}\n".encode())
    return digest.hexdigest()


def _check(bundle: Bundle) -> None:
    """Raises for a bundle that must not train, and for rows that are none."""
    check = BundleCheck(bundle.config, bundle.heldout, bundle.sentinel, bundle.likelihood)
    for row in bundle.train:
        check.row(row)
    check.end()


def _config(dials: dict[str, Any]) -> RoundConfig:
    """The round's dials; one that bundles had once and that did nothing is passed over."""
    return RoundConfig.from_json({name: dials[name] for name in dials if name != "held_out"})


def _case(row: dict[str, Any]) -> Case:
    names = ("messages", "prompt_ids", "few_shot_ids", "bare_ids")
    approved = tuple((answer, similarity) for answer, similarity in row.get("approved", ()))
    made = _tuples(row, *(name for name in names if name in row))
    return Case(**{**row, **made, "approved": approved})


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


def _probes(folder: Path) -> tuple[Probe, ...]:
    """The file's probes; a bundle of an earlier release has no such file."""
    if not (folder / "probes.jsonl").exists():
        return ()
    return tuple(
        Probe(
            **{
                **row,
                **_tuples(row, "feedback_ids", "telling"),
                "asked": tuple(map(_case, row["asked"])),
            }
        )
        for row in _read_lines(folder / "probes.jsonl")
    )


def _tuples(row: dict[str, Any], *names: str) -> dict[str, tuple[Any, ...]]:
    return {name: tuple(row[name]) for name in names}


def _write_lines(path: Path, rows: Iterable[Case | Choice]) -> None:
    _write(path, (_encode(vars(row)) + "\n" for row in rows))


def _read_lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def _write(path: Path, texts: Iterable[str]) -> None:
    with path.open("wb") as file:
        file.writelines(text.encode() for text in texts)
