"""Small pieces of HTML that the admin's tabs share. Pure; every cell is escaped."""

import re
from collections.abc import Sequence
from typing import Any

from assistant.admin.feedback_view import day_and_time
from assistant.chat_view import one_line
from storage.records import Job

_ENDLESS = re.compile(r"(?<=\S{40})(?=\S)")
_WHEN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")
LOADING = '<p class="note">Looking it up…</p>'
"""What stands where a tab's list comes, until it is there."""


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> str:
    """A table, or the sentence `empty` when there are no rows."""
    if not rows:
        return f'<p class="note">{one_line(empty)}</p>'
    top = "".join(f'<th scope="col">{one_line(name)}</th>' for name in head)
    body = "".join("<tr>" + "".join(_cell(str(cell)) for cell in row) + "</tr>" for row in rows)
    whole = f'<table class="plain"><tr>{top}</tr>{body}</table>'
    # one that is wider than a phone is scrolled by the keyboard too
    return f'<div class="scroll" tabindex="0">{whole}</div>'


def _cell(text: str) -> str:
    """A word without an end may be broken, which the column would grow by; a time may not."""
    if _WHEN.fullmatch(text):
        return f'<td class="when">{text}</td>'
    broken = one_line(_ENDLESS.sub("\0", text.replace("\0", ""))).replace("\0", "<wbr>")
    return f"<td>{broken}</td>"


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
