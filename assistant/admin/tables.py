"""Small pieces of HTML that the admin's tabs share. Pure; every cell is escaped."""

from collections.abc import Sequence
from typing import Any

from assistant.admin.feedback_view import day_and_time
from assistant.chat_view import one_line
from storage.records import Job


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> str:
    """A table, or the sentence `empty` when there are no rows."""
    if not rows:
        return f'<p class="note">{one_line(empty)}</p>'
    top = "".join(f'<th scope="col">{one_line(name)}</th>' for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{one_line(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table class="plain"><tr>{top}</tr>{body}</table></div>'


def facts(pairs: Sequence[tuple[str, Any]]) -> str:
    """Names with their values, one under the other."""
    inside = "".join(
        f"<dt>{one_line(name)}</dt><dd>{one_line(str(value))}</dd>" for name, value in pairs
    )
    return f'<dl class="facts">{inside}</dl>'


def bar(share: float, note: str) -> str:
    """A progress bar with a word on what is being done."""
    percent = round(100 * share)
    return (
        f'<div class="progress"><progress value="{percent}" max="100">{percent}%</progress>'
        f"<span>{percent}% · {one_line(note)}</span></div>"
    )


def job_state(job: Job, what: str) -> str:
    """How far a job is, or how it ended; `what` names it once it has."""
    if job.state in ("queued", "running"):
        stops = " · stopping" if job.cancel_requested else ""
        return bar(job.progress, (job.note or "waiting") + stops)
    said = job.note if job.state == "done" and job.note else job.state
    ended = f"{what}, {day_and_time(job.finished_at)} UTC: {said.rstrip('.')}."
    problems = "".join(
        f'<p role="alert">{one_line(line)}</p>' for line in (job.error or "").splitlines()
    )
    return f'<p class="note">{one_line(ended)}</p>{problems}'
