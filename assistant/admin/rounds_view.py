"""A round in words: the plan, how far it is, how it was judged. HTML from rows, escaped. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from assistant.admin.feedback_view import day_and_time
from assistant.admin.loss_plot import loss_plot
from assistant.admin.scores import score_table, training_facts
from assistant.admin.tables import bar, facts
from assistant.chat_view import one_line
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


def running(item: TuningRound, job: Job, losses: Sequence[tuple[int, float]]) -> str:
    """The bar and the plot of a round that is not finished."""
    ends = " · stopping" if job.cancel_requested else ""
    note = job.note or ("waiting to start" if job.state == "queued" else "starting")
    resumed = "".join(f'<p class="note">{one_line(said)}</p>' for said in _resumption(item))
    return f"<h4>Round {item.id}</h4>{resumed}{bar(job.progress, note + ends)}{loss_plot(losses)}"


def history(found: Sequence[tuple[TuningRound, Sequence[tuple[int, float]]]]) -> str:
    """The finished rounds, newest first, each with its reasons and its loss to unfold."""
    if not found:
        return '<p class="note">No round yet.</p>'
    return "".join(_finished(item, losses) for item, losses in found)


def _finished(item: TuningRound, losses: Sequence[tuple[int, float]]) -> str:
    said = _said(item)
    notes = [*item.config.get("notes", []), *_resumption(item), *item.scores.get("notes", [])]
    reasons = [*item.reasons, *notes, *([item.error] if item.error else [])]
    listed = "".join(f"<li>{one_line(reason)}</li>" for reason in reasons)
    took = _minutes(item)
    return (
        f'<div class="round"><p><strong>Round {item.id}: {said}.</strong>'
        f' <span class="note">{day_and_time(item.created_at)} UTC{took}</span></p>'
        f"{f'<ul>{listed}</ul>' if listed else ''}"
        f"<details><summary>Numbers</summary>{_numbers(item)}{loss_plot(losses)}</details></div>"
    )


def _resumption(item: TuningRound) -> list[str]:
    """What became of a round whose process was killed, in a sentence; none for any other."""
    return [item.config["resumption"]] if "resumption" in item.config else []


def _said(item: TuningRound) -> str:
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
    scores = item.scores.get("scores")
    measured = score_table(scores) if isinstance(scores, dict) else ""
    return measured + training_facts(item.scores, item.config)
