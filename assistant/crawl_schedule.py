"""Websites that are taken in again by themselves: whose time has come, and when it is next."""

import logging
from contextlib import closing
from datetime import datetime

from sqlite_utils import Database

from assistant.app import App
from assistant.schedule import time_came
from assistant.website import Website, last_website, start_websites
from storage.records import Workspace
from storage.schedules import next_time
from storage.workspaces import list_workspaces, set_at

log = logging.getLogger(__name__)


def crawls_due(app: App, now: datetime | None = None) -> list[Workspace]:
    """Workspaces whose websites should be taken in now. `now` is in local time, with its zone.

    A time that was missed is made up for once, within `schedule.GRACE`.
    """
    now = now or datetime.now().astimezone()
    with closing(app.db()) as db:
        return [item for item in list_workspaces(db) if _is_due(db, item, now)]


def start_crawls(app: App) -> None:
    """Start the walks that are due; nothing that goes wrong here ends the pages."""
    try:
        for workspace in crawls_due(app):
            settings = workspace.settings
            sites = [Website(address, settings.site_pages) for address in settings.sites]
            start_websites(app, workspace, sites)
    except Exception:
        log.exception("the schedule of websites failed")


def next_crawl(workspace: Workspace, now: datetime | None = None) -> str:
    """When its websites are taken in next, as a sentence; '' if never."""
    settings = workspace.settings
    now = now or datetime.now().astimezone()
    time = next_time(settings.crawl_schedule, now) if settings.crawl_schedule else None
    if time is None or not settings.sites:
        return ""
    return f"Taken in again {time:%A %d %B, %H:%M}: {', '.join(settings.sites)}."


def _is_due(db: Database, workspace: Workspace, now: datetime) -> bool:
    settings = workspace.settings
    if not (settings.sites and settings.crawl_schedule):
        return False
    last = last_website(db, workspace.id)
    if last is not None and last.finished_at is None:
        return False
    begun = last.created_at if last else None
    since = [begun, set_at(db, workspace.id, "crawl_schedule")]
    return time_came(settings.crawl_schedule, since, now)
