"""A website from the admin's page: a job that any page can watch, and its schedule."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.documents import DocumentsTab
from assistant.admin.website import WebsiteForm
from assistant.security import may_administer
from assistant.website import KIND, last_website
from storage import jobs
from storage.audit import list_audit
from storage.workspaces import workspace
from tests.website import website


@pytest.fixture
def site():
    with website() as site:
        site.page("/", "Sails", "/gone")
        yield site


@pytest.fixture
def settings(settings, site):
    return settings.model_copy(update={"site_private_hosts": site.host, "site_delay_s": 0.0})


@pytest.fixture
def form(tab):
    return tab(WebsiteForm)


def press(office, work, *inputs, who="ada", **more):
    return office.press(who, may_administer, work, *inputs, **more)


def test_a_site_is_taken_in_and_what_was_left_out_is_said(office, form, site):
    press(office, form.take_it, f"{site.address}/", 5, "")
    assert office.ended(last_website).state == "done"
    shown = press(office, form.show)
    assert "1 added, 1 skipped" in shown[form.state]
    assert 'role="alert"' in shown[form.state] and "/gone is not there (404)" in shown[form.state]
    assert shown[form.cancel]["visible"] is False
    with closing(office.app.db()) as db:
        assert "website taken in" in {act.action for act in list_audit(db)}


def test_the_list_of_documents_is_shown_anew_when_a_walk_ends(office, tab, site):
    documents = tab(DocumentsTab)
    seen = press(office, documents.show)[documents.seen]
    press(office, documents.website.take_it, site.address, None, None)
    office.ended(last_website)
    shown = press(office, documents.watch, seen)
    assert f"{site.host}/</td>" in shown[documents.listed]
    assert press(office, documents.watch, shown[documents.seen]) == gr.skip()


def test_a_watching_page_is_told_only_when_something_moved(office, form):
    assert press(office, form.watch, "") == gr.skip()
    with closing(office.app.db()) as db:
        job = jobs.create_job(db, KIND, office.team.id)
    shown = press(office, form.watch, "")
    assert shown[form.cancel]["visible"] is True and "progress" in shown[form.state]
    press(office, form.cancel_it)
    with closing(office.app.db()) as db:
        assert jobs.job(db, job.id).cancel_requested


@pytest.mark.parametrize(
    "inputs, said",
    [
        ((None, 5, ""), "no address of a website"),
        (("www.example.com", 5, ""), "no address of a website"),
        (("https://example.com/", 5, "https://docs.example.com"), "is no host"),
    ],
)
def test_what_cannot_be_is_said_before_anything_begins(office, form, inputs, said):
    with pytest.raises(gr.Error, match=said):
        press(office, form.take_it, *inputs)
    with closing(office.app.db()) as db:
        assert last_website(db, office.team.id) is None
    with pytest.raises(gr.Error, match="No website is being taken in"):
        press(office, form.cancel_it)


def test_a_schedule_is_kept_and_taken_back(office, form):
    sites = "https://a.example/\nhttps://b.example/docs\n"
    shown = press(office, form.save_it, sites, "0 3 * * *", 50)
    assert shown[form.said].startswith("Saved. Taken in again ")
    with closing(office.app.db()) as db:
        settings = workspace(db, "team").settings
    assert settings.sites == ("https://a.example/", "https://b.example/docs")
    assert (settings.crawl_schedule, settings.site_pages) == ("0 3 * * *", 50)
    for wrong in [("a.example", "0 3 * * *", 5), (sites, "every 5", 5), (sites, "", 5)]:
        with pytest.raises(gr.Error):
            press(office, form.save_it, *wrong)
    with closing(office.app.db()) as db:
        assert workspace(db, "team").settings == settings
    shown = press(office, form.save_it, "", "", 50)
    assert shown[form.said] == "Saved. None is taken in by itself."


def test_only_an_admin_may(office, form, site):
    for who in ("rita", "mo"):
        with pytest.raises(gr.Error, match="may not"):
            press(office, form.take_it, site.address, 5, "", who=who)
    assert site.asked == []
