"""The admin page in a real browser: search, map, round, backup, faults beside fields, axe."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from assistant.admin import queue_list
from storage.conversations import add_message, start_conversation
from storage.feedback import approve
from storage.records import Inputs
from storage.rounds import list_rounds
from storage.workspaces import workspace
from tests.assistant.command_line import run_verb
from tests.assistant.refused import refused_round
from tests.end_to_end.test_admin_browser import correction, house, page_of, press_twice

pytestmark = pytest.mark.browser

__all__ = ["house", "page_of"]

TABS = (
    *("Overview", "Feedback", "Gaps", "Overrides", "Documents", "Checks", "Rounds", "Adapters"),
    *("Embed", "Keys", "Settings", "Users", "Audit", "Erasure"),
)


def open_tab(page: Any, name: str, workspace: str = "team") -> None:
    page.goto(f"/admin/?workspace={workspace}")
    show_tab(page, name)


def show_tab(page: Any, name: str) -> None:
    """Where there is no room for all tabs, some are behind the three dots."""
    page.locator("#overview-counts dl").wait_for(state="attached")
    tab = page.get_by_role("tab", name=name).locator("visible=true")
    if tab.count():
        tab.first.click()
        return
    page.locator("#tabs .overflow-menu button").first.click()
    page.locator("#tabs .overflow-dropdown button", has_text=name).first.click()


def test_words_are_searched_and_looked_for_further_back(page_of, house, monkeypatch):
    oldest = correction(house, "Where does the heron nest?")
    for number in range(3):
        correction(house, f"Gull {number}?")
    monkeypatch.setattr(queue_list, "NEAR", 2)
    page = page_of("rita")
    open_tab(page, "Feedback")
    page.locator("#feedback-detail").get_by_text("Gull 2?").wait_for()
    page.keyboard.press("Escape")
    page.locator("#rows input").first.focus()
    page.keyboard.press("/")
    page.keyboard.type("HERON")
    page.keyboard.press("Enter")
    page.locator("#queue-looked").get_by_text("No row has these words among 2").wait_for()
    page.get_by_role("button", name="Look further back").click()
    page.locator("#feedback-detail").get_by_text("Where does the heron nest?").wait_for()
    assert [one.strip() for one in page.locator("#rows label").all_inner_texts()] == [
        f"#{oldest} Where does the heron nest?"
    ]


def test_the_map_of_questions_is_shown_and_saved(page_of, house, tmp_path):
    for bird in ("heron", "gull", "tern"):
        path = tmp_path / f"{bird}s.md"
        path.write_text(f"# {bird}s\n\nThe {bird} nests in March, high over the quay.\n")
        run_verb(house.app, "ingest", workspace="team", paths=[str(path)])
    with closing(house.app.db()) as db:
        talk = start_conversation(db, workspace(db, "team").id, "visitor:a")
        asked = add_message(db, talk.id, "user", "Do you ship to Canada?")
        add_message(
            *(db, talk.id, "assistant", "The documents do not say."),
            parent_id=asked.id,
            inputs=Inputs("Do you ship to Canada?", "", 1),
            finish_reason="stop",
            relevance=0.2,
            declined=True,
        )
    page = page_of("rita")
    open_tab(page, "Gaps")
    page.locator("#gaps").get_by_text("Do you ship to Canada?").wait_for()
    page.get_by_role("button", name="Show on a map of the documents").click()
    drawing = page.locator("#gap-map svg.map")
    drawing.wait_for()
    box = drawing.bounding_box()
    assert box["width"] > 300 and box["height"] > 150
    assert drawing.locator("circle, rect, path").count() >= 2
    for form, sign in (("SVG", "<svg"), ("CSV", "Canada")):
        with page.expect_download() as saving:
            page.locator("#gap-map").get_by_role("link", name=form).click()
        assert saving.value.suggested_filename == f"map.{form.lower()}"
        assert sign in Path(saving.value.path()).read_text()


def test_a_double_click_starts_one_round(page_of, house):
    """And one that asks whose rows the gate refused for; a reload shows it again."""
    with closing(house.app.db()) as db:
        for number in range(8):  # a round needs as many
            approve(db, correction(house, f"Which quay is number {number}?"), reviewer="user:1")
    page = page_of("ada")
    open_tab(page, "Rounds")
    page.locator("#new-pairs").get_by_text("approved since").wait_for()
    press_twice(page, "Start a round")
    page.locator("#running-round").get_by_text("Round 1").wait_for()
    page.wait_for_timeout(1000)  # time for a second one to arrive
    assert house.count("select count(*) from rounds") == 1
    assert page.locator(".fault:visible").count() == 0
    page.get_by_role("button", name="Cancel the round").click()
    page.locator("#round-history .round").first.wait_for()
    with closing(house.app.db()) as db:
        team = workspace(db, "team")
        (only,) = list_rounds(db, team.id)
    assert only.finished_at
    origin = refused_round(house.app, team, 12)  # the page sees it by itself
    press_twice(page, "Find whose rows")
    again = page.locator("#running-round").get_by_text(f"Trains round {origin.id} again")
    again.wait_for()
    page.reload()
    page.get_by_role("tab", name="Rounds").locator("visible=true").first.click()
    again.wait_for()
    assert house.count("select count(*) from rounds") == 3
    page.get_by_role("button", name="Cancel the round").click()
    page.locator("#round-history").get_by_text(f"Round {origin.id + 1}: Cancelled").wait_for()


def test_a_backup_is_made_once_and_still_there_after_a_reload(page_of, house):
    page = page_of("ada")
    open_tab(page, "Overview")
    page.locator("#backup-state").get_by_text("No backup was made").wait_for()
    press_twice(page, "Make a backup")
    page.locator("#backup-state").get_by_text("verified").wait_for()
    page.reload()
    page.locator("#backup-state").get_by_text("verified").wait_for()
    assert house.count("select count(*) from backups") == 1
    page.get_by_role("button", name="Take it…").click()
    with page.expect_download() as saving:
        page.locator("#backup-sure").get_by_role("link", name="Download").or_(
            page.locator("#backup-sure").get_by_role("button", name="Download")
        ).first.click()
    assert saving.value.suggested_filename.endswith(".tar.gz")
    assert Path(saving.value.path()).read_bytes()[:2] == b"\x1f\x8b"


def test_faults_stand_beside_the_fields_of_the_other_forms(page_of):
    """And what was typed stays."""
    page = page_of("ada")
    open_tab(page, "Erasure")
    page.locator("#erase-subject").get_by_role("textbox").fill(" ")
    page.locator("#erase-row").get_by_role("button", name="Erase…").click()
    page.get_by_text("Say which: a number, a conversation's id or a contributor.").wait_for()
    page.locator("#erase-subject").get_by_role("textbox").fill("4711")
    page.locator("#erase-row").get_by_role("button", name="Erase…").click()
    page.locator("#erase-sure").get_by_role("button", name="Yes, erase it").click()
    fault = page.locator(".prose.fault").filter(has_text="There is no feedback '4711'")
    fault.wait_for()
    assert page.locator("#erase-subject").get_by_role("textbox").input_value() == "4711"
    show_tab(page, "Adapters")
    page.locator("#promote-row").get_by_role("button", name="Let it serve…").click()
    below(page, "#promote-row", "Choose an adapter of the list first.")
    page.get_by_role("button", name="Export or push").click()
    page.locator("#push-row").get_by_role("textbox").fill("me/repo")
    page.locator("#push-row").get_by_role("button", name="Push…").click()
    below(page, "#push-row", "Choose the adapter to copy first.")
    assert page.locator("#push-row").get_by_role("textbox").input_value() == "me/repo"
    show_tab(page, "Rounds")
    page.get_by_role("button", name="Train elsewhere").click()
    page.get_by_role("button", name="Take its bundle…").click()
    below(page, "#bundle-row", "Choose the round whose bundle you want first.")
    assert page.locator(".toast-wrap :is(.error, .toast-body)").count() == 0


def below(page: Any, row: str, said: str) -> None:
    """The sentence stands under the row, with at most one field between."""
    fault = page.locator(".prose.fault").filter(has_text=said)
    fault.wait_for()
    above = page.locator(row).bounding_box()
    assert 0 <= fault.bounding_box()["y"] - (above["y"] + above["height"]) < 120


@pytest.mark.parametrize(
    ("scheme", "tabs"),
    [
        ("light", ("Overview", "Feedback", "Overrides")),
        ("dark", ("Overview", "Adapters", "Settings")),
        pytest.param("light", TABS, marks=pytest.mark.slow),
        pytest.param("dark", TABS, marks=pytest.mark.slow),
    ],
)
def test_axe_finds_nothing_serious_on_a_phone(page_of, house, scheme, tabs):
    from axe_playwright_python.sync_playwright import Axe

    correction(house, f"What does axe say, {scheme}?")
    page = page_of("ada", viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page.goto("/admin/?workspace=team")
    found = []
    for name in tabs:
        show_tab(page, name)
        page.wait_for_timeout(600)
        page.get_by_text("Looking it up…").locator("visible=true").first.wait_for(state="hidden")
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{name} is {wide} pixels wider than a phone"
        for fault in Axe().run(page).response["violations"]:
            if fault["impact"] in ("serious", "critical"):
                found += [(name, fault["id"], node["html"][:200]) for node in fault["nodes"]]
    assert found == []
