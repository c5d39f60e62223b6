"""Two reviewers at two browsers: a first yes, who was faster, and the second that counts."""

from contextlib import closing

import pytest

from storage.workspaces import set_workspace
from tests.end_to_end.test_admin_browser import correction, house, page_of

pytestmark = pytest.mark.browser

__all__ = ["house", "page_of"]


def open_queue(page):
    page.goto("/admin/?workspace=team")
    page.get_by_role("tab", name="Feedback").click()
    page.locator("#feedback-detail").get_by_text("Which quay?").wait_for()


def test_a_first_yes_waits_and_the_second_counts(page_of, house):
    with closing(house.app.db()) as db:
        set_workspace(db, "team", "two_reviewers", "true")
    given = correction(house, "Which quay?")
    live = "select count(*) from overrides where feedback_id = ? and status = 'active'"
    rita, ada = page_of("rita"), page_of("ada")
    open_queue(rita)
    open_queue(ada)
    rita.locator("#queue-approve").click()
    said = rita.locator("#second")
    said.get_by_text("You said yes").wait_for()
    assert "1 of 2" in rita.locator("#rows label").first.inner_text()
    assert said.get_by_role("button", name="Take my yes back").is_visible()
    ada.locator("#queue-approve").click()
    ada.get_by_text("got a first yes from rita meanwhile: look at it again").wait_for()
    ada.locator("#second").get_by_text("rita said yes").wait_for()
    assert house.count(live, given) == 0
    ada.locator("#queue-approve").click()
    ada.locator("#rows label").filter(has_text="Which quay?").wait_for(state="detached")
    assert house.count(live, given) == 1
    named = "select count(*) from first_yeses where feedback_id = ?"
    assert house.count(named, given) == 1
