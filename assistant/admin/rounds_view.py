"""A round in words: the plan, how far it is, how it was judged. HTML from rows, escaped. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from assistant.admin.before_after_plot import before_after_plot
from assistant.admin.feedback_view import day_and_time
from assistant.admin.loss_plot import CURVES, loss_plot, right_by_round
from assistant.admin.scores import score_table, training_facts
from assistant.admin.tables import bar, facts
from assistant.chat_view import one_line
from assistant.plots import figure
from storage.records import Job, TuningRound

if TYPE_CHECKING:
    from assistant.round_plan import RoundPlan

VERDICTS = {
    "promote": "Promoted, better than what served",
    "reject": "Not taken",
    "not enough evidence": "Not enough evidence to take it",
}
ADVICE = {
    "document": "Look at the documents first",
    "prompt": "Try an instruction first",
    "examples": "Try examples first",
    "train": "Train",
    "wait": "Nothing new to teach",
}
ENDS = {"failed": "Failed", "cancelled": "Cancelled", "done": "Done"}


def plan_summary(plan: "RoundPlan") -> str:
    """What a round would do and cost."""
    said = facts(
        [
            ("Corrections to learn", plan.train),
            ("Kept out, to judge by", plan.held_out),
            ("Paraphrases to judge by", plan.paraphrases),
            ("Needs", plan.needs),
            ("Judged replies to learn from", len(plan.judged)),
            ("Objective", plan.config.objective),
            ("Method", plan.config.method),
            ("Trained by", f"{plan.runner}: {plan.trained_by}"),
            ("Answered by", plan.served_by),
            ("Ordinary questions replayed", plan.replay),
            ("Starts from", f"adapter {plan.start.id}" if plan.start else "the base model"),
            ("Time", f"about {plan.minutes:g} minutes ({plan.measured})"),
            ("Memory", f"about {plan.memory_bytes / 1e9:.1f} GB"),
        ]
    )
    notes = "".join(f"<li>{one_line(note)}</li>" for note in plan.notes)
    listed = f"<ul>{notes}</ul>" if notes else ""
    return (
        f"{said}{listed}<p><strong>{ADVICE[plan.advice_kind]}.</strong> {one_line(plan.advice)}</p>"
    )


Measured = Mapping[str, Sequence[tuple[int, float]]]
"""By name, the (step, value) pairs that a round noted."""


def running(item: TuningRound, job: Job, measured: Measured, log: str = "") -> str:
    """The bar and the plots of a round that is not finished, and the end of its log."""
    ends = " · stopping" if job.cancel_requested else ""
    note = job.note or ("waiting to start" if job.state == "queued" else "starting")
    resumed = "".join(f'<p class="note">{one_line(said)}</p>' for said in _resumption(item))
    far = bar(job.progress, note + ends)
    head = f"<h2>Round {item.id}</h2>{_compares(item)}{resumed}"
    return f"{head}{far}{_curves(item, measured)}{log_tail(log)}"


def _compares(item: TuningRound) -> str:
    """What a round is there for that trains another one again; '' for any other."""
    if "blames" not in item.config:
        return ""
    count = len(item.config.get("left_out", []))
    rows = f"{count} rows" if count != 1 else "1 row"
    return (
        f'<p class="note">Trains round {item.config["blames"]} again without {rows}, to compare. '
        "Nothing of it serves.</p>"
    )


def log_tail(log: str) -> str:
    """The last lines of a round's log, to unfold; '' for none."""
    if not log:
        return ""
    return f'<details><summary>Log</summary><div class="passage">{one_line(log)}</div></details>'


def _from_round_to_round(newest_first: Sequence[TuningRound]) -> str:
    drawn = right_by_round(newest_first)
    if not drawn.svg:
        return ""
    shown = figure(drawn, "history", workspace=newest_first[0].workspace_id)
    return f"<details><summary>From round to round</summary>{shown}</details>"


def _curves(item: TuningRound, measured: Measured) -> str:
    return "".join(
        figure(loss_plot(measured.get(noted, ()), called), name, round=item.id)
        for name, (noted, called) in CURVES.items()
    )


def history(found: Sequence[tuple[TuningRound, Measured]]) -> str:
    """The finished rounds, newest first, each with its reasons and its plots to unfold."""
    if not found:
        return '<p class="note">No round yet.</p>'
    listed = "".join(_finished(item, measured) for item, measured in found)
    return _from_round_to_round([item for item, _ in found]) + listed


def _finished(item: TuningRound, measured: Measured) -> str:
    said = _said(item)
    notes = [*item.config.get("notes", []), *_resumption(item), *item.scores.get("notes", [])]
    reasons = [*item.reasons, *notes, *([item.error] if item.error else [])]
    listed = "".join(f"<li>{one_line(reason)}</li>" for reason in reasons)
    took = _minutes(item)
    bars = figure(before_after_plot(_scores(item)), "rounds", round=item.id)
    return (
        f'<div class="round"><p><strong>Round {item.id}: {said}.</strong>'
        f' <span class="note">{day_and_time(item.created_at)} UTC{took}</span></p>'
        f"{f'<ul>{listed}</ul>' if listed else ''}{bars}"
        f"<details><summary>Numbers</summary>{_numbers(item)}{_curves(item, measured)}</details>"
        "</div>"
    )


def _resumption(item: TuningRound) -> list[str]:
    """What became of a round whose process was killed, in a sentence; none for any other."""
    return [item.config["resumption"]] if "resumption" in item.config else []


def _said(item: TuningRound) -> str:
    if "blames" in item.config and item.state == "done":
        return f"round {item.config['blames']} trained again without some rows"
    if item.verdict is None:
        return ENDS[item.state]
    if "imported" in item.config:
        return f"imported adapter {item.config['imported']} judged: {item.verdict}"
    return VERDICTS[item.verdict]


def _minutes(item: TuningRound) -> str:
    if not item.finished_at:
        return ""
    seconds = _time(item.finished_at) - _time(item.created_at)
    return f" · {max(1, round(seconds / 60))} min"


def _time(iso: str) -> float:
    return datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp()


def _numbers(item: TuningRound) -> str:
    return score_table(_scores(item)) + training_facts(item.scores, item.config)


def _scores(item: TuningRound) -> Mapping[str, Any]:
    found = item.scores.get("scores")
    return found if isinstance(found, dict) else {}
