"""A round in order: train in a child, judge the candidate beside its opponents, decide.

The page to read first; the doing is in the files it names. As a program it is the child itself,
and what a notebook or another machine calls: `python -m tuning.run BUNDLE OUT --model FOLDER`.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from storage.errors import ApprenticeError, BadInput
from storage.records import Verdict
from tuning.adapter_files import verify_adapter, write_notes
from tuning.bundle import read_bundle
from tuning.child import RoundCancelled, RoundFailed, become_child
from tuning.evaluate import Answer, Evaluation, Scores, evaluate, likeness_by_row, tally
from tuning.gate import SentinelReport, decide
from tuning.memory import ran_out
from tuning.probes import Probed, probed
from tuning.release_notes import changes, release_notes
from tuning.runners.protocol import Runner
from tuning.supervise import ADAPTER, TRAINING, train_supervised

__all__ = ["RoundCancelled", "RoundFailed", "RoundResult", "judge_round", "main", "run_round"]

_FIGURES = ("steps", "seconds", "peak_rss_bytes", "learned", "pairs")
_REPORT = [field.name for field in fields(SentinelReport)]


@dataclass(frozen=True)
class RoundResult:
    """What a round came to."""

    verdict: Verdict
    reasons: tuple[str, ...]
    adapter: Path
    """The candidate's folder, verified, with its manifest."""
    evaluations: tuple[Evaluation, ...]
    scores: Scores
    """Row -> slice -> {"right", "total"}."""
    style: Mapping[str, float]
    """Row -> how like the author's its answers are; "author": the texts kept back. Often empty."""
    sentinel: Mapping[str, int]
    """{"before", "after"}: general questions right by the base and by the candidate."""
    steps: int
    losses: tuple[float, ...]
    training: Mapping[str, Any]
    """The fields of `course.TrainResult`."""
    seconds: float
    peak_rss_bytes: int
    notes: tuple[str, ...] = ()
    """What a person should know of how the training went, such as that memory ran out."""
    changes: tuple[str, ...] = ()
    """The release notes in short, figures only; the whole of them is in the adapter's card."""
    proof: Mapping[str, Any] | None = None
    """What the engine that judged says by the adapter; None: it was not asked, or cannot tell."""
    probes: tuple[Probed, ...] = ()
    """What strangers taught that was tried on other questions."""
    learned: tuple[int, ...] = ()
    """The feedback whose own questions the promoted candidate answered right unaided."""

    def summary(self) -> dict[str, Any]:
        """The figures as plain values, for the round's row."""
        return {
            "scores": self.scores,
            "style": dict(self.style),
            "sentinel": dict(self.sentinel),
            "training": dict(self.training),
            "seconds": self.seconds,
            "peak_rss_bytes": self.peak_rss_bytes,
            "notes": list(self.notes),
            "changes": list(self.changes),
            "learned": len(self.learned),
            "probes": [one.to_json() for one in self.probes],
        }


def run_round(
    bundle: Path,
    out: Path,
    *,
    model_folder: Path,
    rows: Mapping[str, int | None],
    answer: Answer,
    start: Path | None = None,
    resume: bool = False,
    runner: Runner | None = None,
    on_progress: Callable[[dict[str, Any]], None] = lambda said: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> RoundResult:
    """The round in the folder `bundle`; its adapter is left in `out/adapter`.

    `start` is the folder of the adapter that it goes on from, if the bundle names one. `resume`
    goes on with what an earlier run of the same bundle left in `out`. `runner` trains (None: a
    child process).
    `on_progress` gets what `train` says after each step. Raises RoundCancelled when
    `cancelled()`, RoundFailed when training dies or goes wrong, and what `judge_round` raises.
    """
    started = time.monotonic()
    notes = train_supervised(
        read_bundle(bundle),
        out,
        model_folder,
        start=start,
        resume=resume,
        runner=runner,
        on_progress=on_progress,
        cancelled=cancelled,
    )
    result = judge_round(bundle, out, rows=rows, answer=answer, cancelled=cancelled)
    return replace(result, notes=notes, seconds=round(time.monotonic() - started, 1))


def judge_round(
    bundle: Path,
    out: Path,
    *,
    rows: Mapping[str, int | None],
    answer: Answer,
    cancelled: Callable[[], bool] = lambda: False,
) -> RoundResult:
    """The second half of a round: what training left in `out`, here or elsewhere, is judged.

    `rows` names the opponents: "candidate" with the id under which `answer` serves `out/adapter`,
    "serving", "base" and others. Raises RoundCancelled when `cancelled()`, AdapterRefused when the
    adapter cannot be served, BadInput for figures that cannot be read. The release notes go into
    the adapter's card, so its manifest is final only after this.
    """
    started = time.monotonic()
    taken = read_bundle(bundle)
    training = read_training(out)
    verify_adapter(out / ADAPTER, taken.base_fingerprint)
    cases = (*taken.heldout, *taken.sentinel)
    evaluations = evaluate(cases, answer, rows, cancelled=cancelled)
    if cancelled():
        raise RoundCancelled("The round was cancelled while it was evaluated.")
    tried = probed(taken.probes, evaluations, answer, rows)
    decision = decide(evaluations, taken.config, sentinel=_report(training), probes=tried)
    scores = tally(evaluations)
    served = rows["serving"] is not None
    recombined = sum(row.kind == "recombined" for row in taken.train)
    notes = release_notes(
        cases, evaluations, training, served=served, recombined=recombined, probes=tried
    )
    write_notes(out / ADAPTER, notes)
    return RoundResult(
        verdict=decision.verdict,
        reasons=decision.reasons,
        adapter=out / ADAPTER,
        evaluations=tuple(evaluations),
        scores=scores,
        style=likeness_by_row(cases, evaluations),
        sentinel={"before": _sentinel(scores, "base"), "after": _sentinel(scores, "candidate")},
        steps=training["steps"],
        losses=tuple(training["losses"]),
        training=training,
        seconds=round(time.monotonic() - started, 1),
        peak_rss_bytes=training["peak_rss_bytes"],
        changes=changes(cases, evaluations, training, tried),
        probes=tuple(tried),
    )


def read_training(out: Path) -> dict[str, Any]:
    """What training came to: the fields of `TrainResult`, from `out/training.json`.

    Raises BadInput when it is missing or is no such file.
    """
    path = out / TRAINING
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        numbers = [found[name] for name in _FIGURES] + found["losses"]
        if found.get("sentinel") is not None:
            numbers += [found["sentinel"][name] for name in _REPORT]
        if not all(isinstance(number, int | float) for number in numbers):
            raise ValueError("a figure is no number")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is no record of a finished training ({error!r}).") from None
    return found


def _report(training: Mapping[str, Any]) -> SentinelReport | None:
    found = training.get("sentinel")
    return SentinelReport(**{name: found[name] for name in _REPORT}) if found else None


def _sentinel(scores: Scores, row: str) -> int:
    return scores.get(row, {}).get("sentinel", {}).get("right", 0)


def main(arguments: list[str] | None = None) -> int:
    """Trains a bundle and saves `OUT/adapter`; JSON lines on standard output. 0, or 2 and why."""
    parser = argparse.ArgumentParser(prog="python -m tuning.run", description=__doc__)
    parser.add_argument("bundle", type=Path, help="folder of the round")
    parser.add_argument("out", type=Path, help="folder for the adapter and the figures")
    parser.add_argument("--model", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--start", type=Path, help="folder of the adapter that it goes on from")
    parser.add_argument("--resume", action="store_true", help="go on from OUT's last checkpoint")
    parser.add_argument("--step-tokens", type=int, help="tokens computed at once: less memory")
    parser.add_argument("--threads", type=int, help="threads to train with instead of the bundle's")
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    leads = os.environ.get("RANK", "0") == "0"  # of several that accelerate launched
    say = become_child(given.parent, beats=leads) if given.parent else _print
    options = {key: getattr(given, key) for key in ("start", "resume", "step_tokens", "threads")}
    try:
        from tuning.train import train  # late: torch takes seconds, and its threads our priority

        result = asdict(train(given.bundle, given.model, given.out, on_progress=say, **options))
    except ApprenticeError as error:
        say({"error": str(error)})
        return 2
    except Exception as error:
        if not ran_out(error):
            raise
        say({"error": "Memory ran out while training: lower step_tokens.", "memory": True})
        return 1
    if leads:
        (given.out / TRAINING).write_text(json.dumps(result, indent=1), encoding="utf-8")
        say({"result": result})
    return 0


def _print(said: dict[str, Any]) -> None:
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    sys.exit(main())
