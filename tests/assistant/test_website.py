"""A website of one's own among the documents: in, looked after, out again."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from assistant.app import open_app
from assistant.verbs import run_here
from assistant.website import KIND, Website, last_website, start_websites
from storage import jobs
from storage.documents import document_by_name
from storage.errors import ApprenticeError, BadInput, Refused
from tests.assistant.command_line import run_verb
from tests.website import website


@pytest.fixture
def site():
    with website() as site:
        site.page("/", "Sails", "/returns", "/warranty", "/private", "/")
        site.page("/returns", "Goods go back within 45 days", ETag='"1"')
        site.page("/warranty", "A sail is under warranty for two years")
        site.put("/robots.txt", "User-agent: *\nDisallow: /private")
        yield site


@pytest.fixture
def settings(settings, site):
    """The test's site may be visited, without a pause."""
    return settings.model_copy(update={"site_private_hosts": site.host, "site_delay_s": 0.0})


def take(app, site, **more):
    results, code = run_verb(
        app, "ingest", workspace="default", paths=[], site=site.address, **more
    )
    *pages, counts = results
    statuses = {page["document"].removeprefix(site.host): page["status"] for page in pages}
    return statuses, counts, code


def ended(db, job):
    while (now := jobs.job(db, job.id)).finished_at is None:
        time.sleep(0.05)
    return now


def test_a_site_goes_in_and_is_looked_after(app, site, db):
    statuses, counts, code = take(app, site)
    assert code == 0
    assert statuses == {
        "/": "added",
        "/returns": "added",
        "/warranty": "added",
        "/private": "skipped",
    }
    assert (counts["added"], counts["skipped"], counts["unvisited"]) == (3, 1, 0)
    assert document_by_name(db, 1, f"{site.host}/returns").etag == '"1"'

    # another day: one page says other words, one has other bytes only, one is gone
    site.page("/returns", "Goods go back within 60 days", ETag='"2"')
    site.page("/", "Sails", "/returns", "/returns", "/private", "/", head="<!-- made at noon -->")
    del site.pages["/warranty"]
    statuses, counts, _ = take(app, site)
    assert statuses == {
        "/": "unchanged",
        "/returns": "replaced",
        "/warranty": "removed",
        "/private": "skipped",
    }
    assert counts["removed"] == 1
    found, _ = run_verb(app, "search", workspace="default", query="how long is the warranty")
    assert "two years" not in str(found) and "60 days" in str(found)
    assert document_by_name(db, 1, f"{site.host}/returns").etag == '"2"'

    site.asked.clear()
    assert set(take(app, site)[0].values()) == {"unchanged", "skipped"}
    asked = dict(site.asked)
    assert asked["/returns"]["If-None-Match"] == '"2"'
    job = last_website(db, 1)
    assert (job.state, job.progress, job.note) == ("done", 1.0, "2 unchanged, 1 skipped")


def test_what_answers_says_which_page_it_is_from(app, site):
    take(app, site)
    page = f"{site.address}/warranty"
    (first, *_), _ = run_verb(app, "search", workspace="default", query="sail under warranty")
    assert (first["url"], first["document"]) == (page, f"{site.host}/warranty")
    question = "Is a sail under warranty for two years?"
    (answer,), _ = run_verb(app, "ask", workspace="default", question=question, max_tokens=2)
    assert answer["sources"][0]["url"] == page


def test_nothing_is_lost_when_the_site_is_away_or_broken(app, site):
    take(app, site)
    site.put("/robots.txt", b"", 503)
    with pytest.raises(BadInput, match=r"Nothing was taken in\. .* answers 503"):
        take(app, site)
    pages = dict(site.pages)
    site.pages.clear()
    with pytest.raises(BadInput, match="is not there"):
        take(app, site)
    site.pages.update(pages)
    site.put("/robots.txt", b"")
    site.put("/returns", b"", 500)
    _, counts, code = take(app, site)
    assert (counts["failed"], code) == (1, 1)
    listed, _ = run_verb(app, "documents list", workspace="default")
    assert f"{site.host}/returns" in {row["name"] for row in listed}
    with closing(app.db()) as db:
        assert [job.state for job in jobs.list_jobs(db)] == ["done", "failed", "failed", "done"]


def test_a_file_called_like_a_page_that_is_gone_stays(app, site, tmp_path):
    folder = tmp_path / "files" / site.host
    folder.mkdir(parents=True)
    (folder / "gone.md").write_text("# Notes\n\nKept.")
    site.page("/", "Sails", "/gone.md")
    run_verb(app, "ingest", workspace="default", paths=[str(tmp_path / "files")])
    assert take(app, site)[0]["/gone.md"] == "skipped"


@pytest.mark.parametrize(
    "given, said",
    [
        ({}, "Give files or folders, or --site"),
        ({"paths": ["a"], "site": "https://example.com/"}, "not both"),
        ({"paths": ["a"], "max_pages": 3}, "are for a website"),
        ({"site": "example.com"}, "'example.com' is no address of a website"),
        ({"site": "https://a.example/", "hosts": ["https://b.example"]}, "is no host"),
    ],
)
def test_what_cannot_be_is_said(app, given, said):
    with pytest.raises(BadInput, match=said):
        run_verb(app, "ingest", **{"workspace": "default", "paths": []} | given)


def test_no_private_address_without_the_servers_owner(settings, site):
    nobody_named = settings.model_copy(update={"site_private_hosts": ""})
    refused = pytest.raises(BadInput, match="APPRENTICE_SITE_PRIVATE_HOSTS")
    with open_app(nobody_named) as app, refused:
        take(app, site)
    assert site.asked == []


def test_who_leaves_or_cancels_ends_the_walk_and_what_was_in_stays(app, site, db):
    events = run_here(app, "ingest", {"workspace": "default", "paths": [], "site": site.address})
    assert any(event.get("status") == "added" for event in events)
    events.close()
    left = last_website(db, 1)
    assert (left.state, left.error) == ("cancelled", None)
    events = run_here(app, "ingest", {"workspace": "default", "paths": [], "site": site.address})
    next(events)
    jobs.request_cancel(db, last_website(db, 1).id)
    with pytest.raises(ApprenticeError, match="cancelled"):
        list(events)
    assert last_website(db, 1).state == "cancelled"
    assert len(run_verb(app, "documents list", workspace="default")[0]) == 1


def test_one_at_a_time(app, site, db, workspace):
    job = start_websites(app, workspace, [Website(site.address, 10)])
    with pytest.raises(Refused, match="wait for its end, or cancel it"):
        start_websites(app, workspace, [Website(site.address, 10)])
    ended(db, job)
    held = jobs.create_job(db, KIND, workspace.id)
    with pytest.raises(Refused):
        take(app, site)
    jobs.finish_job(db, held.id, "cancelled")


def test_of_many_that_begin_in_one_instant_one_does(app, site, db, workspace):
    barrier = threading.Barrier(8)

    def begin(_: int) -> bool:
        barrier.wait()
        try:
            start_websites(app, workspace, [Website(site.address, 1)])
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(begin, range(8))) == 1
    ended(db, last_website(db, workspace.id))


def test_a_job_for_several_sites_goes_on_when_one_is_away(app, site, db, workspace):
    with website() as gone:
        pass
    sites = [Website(gone.address, 5), Website(site.address, 5)]
    job = start_websites(app, workspace, sites)
    done = ended(db, job)
    assert done.state == "done" and "3 added" in done.note
    assert "has the private address" in done.error and "/private" in done.error


def test_the_command_says_what_it_did(apprentice, site, monkeypatch):
    monkeypatch.setenv("APPRENTICE_SITE_PRIVATE_HOSTS", site.host)
    monkeypatch.setenv("APPRENTICE_SITE_DELAY_S", "0")
    said = apprentice("ingest", "--site", site.address, "--max-pages", 2)
    assert f"added      {site.host}/ (1 chunks)" in said
    assert f"{site.address}: 2 added; 2 addresses were not visited." in said
    rows = apprentice.rows("ingest", "--site", site.address)
    assert (rows[-1]["unchanged"], rows[-1]["added"]) == (2, 1)
    apprentice("ingest", "--site", "http://localhost:9/", code=2)
    assert "private address" in apprentice.said
