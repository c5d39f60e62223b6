"""Rounds that start by themselves: which workspace is due, and when the next one would start.

Nothing is remembered but rows: a time is due when it lies after the last round's start, so a server
that was down at two in the morning starts the missed round once, within the grace.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta

from sqlite_utils import Database

from assistant.app import App
from storage import jobs, rounds
from storage.conversations import last_reply
from storage.errors import ApprenticeError
from storage.pairs import pairs_since_last_round
from storage.records import Workspace
from storage.round_times import last_end, last_start
from storage.schedules import in_idle_hours, next_time, pairs_of
from storage.workspace_settings import WorkspaceSettings
from storage.workspaces import list_workspaces, set_at

log = logging.getLogger(__name__)

GRACE = timedelta(hours=12)
"""How late a round by the clock may start, after a time when the server or the hours forbade it."""
QUIET = timedelta(minutes=5)
"""Time without a reply after which nobody chats."""
RESTS: Mapping[str, timedelta] = {"failed": timedelta(hours=1), "cancelled": timedelta(days=1)}
"""How long a round by count waits after one that broke off: what failed may fail again, and what
a person cancelled is not wanted the same day. A crontab has its own times."""
Refusals = dict[int, tuple[int, WorkspaceSettings]]
"""Workspace id -> at how many new pairs and with which settings its round was refused, so that it
is told once."""


def due(app: App, now: datetime | None = None) -> list[Workspace]:
    """Workspaces whose round should start now. `now` is in local time, with its zone."""
    now = now or datetime.now().astimezone()
    with closing(app.db()) as db:
        busy = {job.workspace_id for job in jobs.running_jobs(db) if job.kind == rounds.JOB_KIND}
        return [
            workspace
            for workspace in list_workspaces(db)
            if workspace.id not in busy
            and _wanted(db, workspace, now)
            and undisturbing(db, workspace, now)
        ]


def start_due(app: App, refused: Refusals) -> None:
    """Start the rounds that are due; nothing that goes wrong here ends the pages."""
    try:
        from assistant.rounds import start_round

        for workspace in due(app):
            with closing(app.db()) as db:
                pairs = pairs_since_last_round(db, workspace.id)
            if refused.get(workspace.id) == (pairs, workspace.settings):
                continue
            try:
                start_round(app, workspace, actor="schedule")
            except ApprenticeError as error:
                refused[workspace.id] = (pairs, workspace.settings)
                log.warning("no round for %s: %s", workspace.name, error)
    except Exception:
        log.exception("the schedule of rounds failed")


def next_planned(db: Database, workspace: Workspace, now: datetime | None = None) -> str:
    """When the next round starts by itself, as a sentence; '' without a schedule."""
    now = now or datetime.now().astimezone()
    when = hours_of(workspace)
    new, every = pairs_since_last_round(db, workspace.id), _every(workspace)
    if every:
        left = every - new
        rests = _rests_until(db, workspace, now)
        if left <= 0 and rests is not None and rests > now:
            at = f"{rests.astimezone(now.tzinfo):%d %B, %H:%M}"
            return f"A round is due; the last one broke off, so it starts after {at}{when}."
        if left <= 0:
            return f"A round is due and starts by itself{when}."
        return f"A round starts by itself after {left} more approved corrections{when}."
    if not workspace.settings.schedule:
        return ""
    time = next_time(workspace.settings.schedule, now)
    if time is None:
        return ""
    said = f"The next round is planned for {time:%A %d %B, %H:%M}{when}"
    return f"{said}, if a correction has been approved by then." if not new else f"{said}."


def hours_of(workspace: Workspace) -> str:
    """In which hours its rounds start by themselves, to end a sentence with; '' at any time."""
    hours = workspace.settings.idle_hours
    return f" between {hours.replace('-', ' and ')} o'clock, when nobody chats" if hours else ""


def _wanted(db: Database, workspace: Workspace, now: datetime) -> bool:
    """Whether pairs or the clock ask for a round; without a new pair there is nothing to teach."""
    new, every = pairs_since_last_round(db, workspace.id), _every(workspace)
    if every:
        rests = _rests_until(db, workspace, now)
        return new >= every and (rests is None or rests <= now)
    crontab = workspace.settings.schedule
    begun = last_start(db, workspace.id, _iso(now))
    since = [begun, set_at(db, workspace.id, "schedule")]
    return bool(crontab and new) and time_came(crontab, since, now)


def _every(workspace: Workspace) -> int:
    """After how many pairs a round starts; 0 when the clock decides, or nothing does."""
    schedule = workspace.settings.schedule
    return pairs_of(schedule) if schedule else workspace.settings.tune_after


def _rests_until(db: Database, workspace: Workspace, now: datetime) -> datetime | None:
    """Until when no round by count starts, because the last one broke off; None otherwise."""
    ended = last_end(db, workspace.id)
    if ended is None or ended[0] not in RESTS or _time(ended[1]) > now:
        return None
    return _time(ended[1]) + RESTS[ended[0]]


def time_came(crontab: str, since: Sequence[str | None], now: datetime) -> bool:
    """Whether a time of the crontab line lies in the grace before `now`, after all of `since`.

    Those are the times of the last start, and of the setting. One that lies ahead was noted before
    the clock was set back, and does not count.
    """
    # a second on, so that the time which started the last one does not start another
    known = [_time(at) + timedelta(seconds=1) for at in since if at and _time(at) <= now]
    time = next_time(crontab, max([now - GRACE, *known]).astimezone(now.tzinfo), now.tzinfo)
    return time is not None and time <= now


def undisturbing(db: Database, workspace: Workspace, now: datetime) -> bool:
    """With idle hours set: it is one of them, and nobody was answered lately, here or next door."""
    hours = workspace.settings.idle_hours
    if not hours:
        return True
    last = last_reply(db)
    quiet = last is None or abs(now - _time(last)) > QUIET
    return quiet and in_idle_hours(hours, now)


def _iso(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time(iso: str) -> datetime:
    return datetime.fromisoformat(iso.replace("Z", "+00:00"))
