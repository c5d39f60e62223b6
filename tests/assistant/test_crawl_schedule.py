"""Websites that are taken in again by themselves: when, once, and that it happens."""

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from assistant.crawl_schedule import crawls_due, next_crawl, start_crawls
from assistant.schedule import GRACE
from assistant.website import KIND, last_website
from storage import jobs
from storage.database import write, write_transaction
from storage.documents import list_documents
from storage.workspaces import set_workspace, workspace_by_id
from tests.website import website

NIGHT = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


@pytest.fixture
def site():
    with website() as site:
        site.page("/", "Sails")
        yield site


@pytest.fixture
def settings(settings, site):
    return settings.model_copy(update={"site_private_hosts": site.host, "site_delay_s": 0.0})


def plan(db, site, crontab="0 3 * * *", since="2026-11-01T00:00:00.000Z"):
    set_workspace(db, "default", "sites", f'["{site.address}/"]')
    set_workspace(db, "default", "crawl_schedule", crontab)
    with write_transaction(db):
        write(db, "update settings set updated_at = ?", since)


def due(app, now):
    return [workspace.name for workspace in crawls_due(app, now)]


def test_at_its_time_once_and_a_missed_one_within_the_grace(app, db, site):
    assert due(app, NIGHT) == []
    plan(db, site)
    assert due(app, NIGHT - timedelta(minutes=1)) == []
    assert due(app, NIGHT) == due(app, NIGHT + GRACE) == ["default"]
    assert due(app, NIGHT + GRACE + timedelta(minutes=1)) == []
    job = jobs.create_job(db, KIND, 1)
    assert due(app, NIGHT + timedelta(minutes=1)) == [], "it goes on"
    jobs.finish_job(db, job.id, "failed")
    with write_transaction(db):
        write(db, "update jobs set created_at = '2026-11-21T03:00:01.000Z'")
    assert due(app, NIGHT + timedelta(minutes=1)) == [], "it was tried"
    assert due(app, NIGHT + timedelta(days=1)) == ["default"]


def test_not_before_it_was_set_and_not_without_a_site(app, db, site):
    plan(db, site, since="2026-11-21T03:30:00.000Z")
    assert due(app, NIGHT + timedelta(hours=1)) == []
    set_workspace(db, "default", "sites", "[]")
    assert due(app, NIGHT + timedelta(days=1)) == []


def test_what_is_due_is_taken_in(app, db, site):
    plan(db, site, "* * * * *")
    start_crawls(app)
    while (job := last_website(db, 1)).finished_at is None:
        time.sleep(0.05)
    assert (job.state, job.note) == ("done", "1 added")
    assert [item.source_url for item in list_documents(db, 1)] == [f"{site.address}/"]
    start_crawls(app)
    with closing(app.db()) as other:
        assert last_website(other, 1).id == job.id, "a minute has not passed"


def test_an_address_that_cannot_be_is_told_once(app, db):
    set_workspace(db, "default", "sites", '["https://a.example:99999/"]')
    set_workspace(db, "default", "crawl_schedule", "* * * * *")
    with write_transaction(db):
        write(db, "update settings set updated_at = '2026-11-01T00:00:00.000Z'")
    for _ in range(2):
        start_crawls(app)
        while (job := last_website(db, 1)).finished_at is None:
            time.sleep(0.05)
    assert job.state == "failed" and "is no address of a website" in job.error
    assert len(jobs.list_jobs(db)) == 1


def test_when_it_is_next(app, db, site):
    assert next_crawl(workspace_by_id(db, 1)) == ""
    plan(db, site)
    said = next_crawl(workspace_by_id(db, 1), NIGHT + timedelta(minutes=1))
    assert said == f"Taken in again Sunday 22 November, 03:00: {site.address}/."
