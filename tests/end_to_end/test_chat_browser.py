"""What people take for granted on a chat page, in a real browser on a tiny model."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.chat_people import PHONE, arrive, chat_server
from tests.end_to_end.test_browser import people

pytestmark = pytest.mark.browser

__all__ = ["people"]


@pytest.fixture(scope="module")
def url(tmp_path_factory, tiny_base) -> Iterator[str]:
    data, starters = tmp_path_factory.mktemp("chat") / "data", json.dumps(["What can I ask?"])
    with chat_server(data, tiny_base.folder, starters=starters) as running:
        yield running.url


def test_a_conversation_is_found_named_saved_and_deleted(people, url, tmp_path):
    person = arrive(people, url)
    page = person.page
    person.ask("Where is the heron?")
    person.press("New chat")
    page.locator("#chat .bot-row").first.wait_for(state="detached")
    person.ask("Where is the pump?")
    page.locator("#find").get_by_role("textbox").fill("heron")
    page.get_by_text("Where is the pump?", exact=True).and_(page.locator("#recent span")).wait_for(
        state="detached"
    )
    page.locator("#recent").get_by_text("Where is the heron?").click()
    person.read("#chat .user-row", "Where is the heron?")
    person.press("Rename")
    page.locator("#name input").fill("Birds")
    page.keyboard.press("Enter")
    person.read("#recent", "Birds")
    page.reload()
    person.read("#recent", "Birds")
    for button, form in (("#save-markdown", "md"), ("#save-json", "json")):
        with page.expect_download() as saving:
            page.locator(button).click()
        assert saving.value.suggested_filename == f"Birds.{form}"
        text = Path(saving.value.path()).read_text()
        assert "Where is the heron?" in text and "pump" not in text
    person.press("Delete this conversation…")
    page.get_by_role("button", name="Delete it").dblclick()
    person.read("#told", "The conversation is deleted.")
    assert page.locator("#recent label").all_inner_texts() == ["Where is the pump?"]
    assert person.complaints == []


def test_a_question_is_changed_and_a_try_chosen(people, url):
    person = arrive(people, url)
    page = person.page
    person.ask("Where is the heron?")
    page.get_by_title("Retry").click()
    page.get_by_role("button", name="Show answer 1 of 2").click()
    page.get_by_role("button", name="Show answer 2 of 2").wait_for()
    page.reload()
    page.get_by_role("button", name="Show answer 2 of 2").wait_for()
    page.get_by_title("Edit").first.click()
    page.locator(".edit-textarea").fill("Where is the owl?")
    page.get_by_title("Submit").click()
    page.get_by_role("button", name="Back to “Where is the heron?”").click()
    person.read("#chat .user-row", "Where is the heron?")
    page.get_by_role("button", name="Back to “Where is the owl?”").wait_for()
    assert person.complaints == []


def test_what_was_typed_is_there_after_a_reload_and_two_clicks_ask_once(people, url):
    from playwright.sync_api import expect

    person = arrive(people, url)
    page, box = person.page, person.page.locator("#question textarea")
    box.fill("Half a thought")
    page.reload()
    expect(box).to_have_value("Half a thought")
    person.press("New chat")
    assert box.input_value() == "Half a thought"
    box.fill("")
    page.locator("#chat .example").dblclick()
    page.locator("#chat .bot-row").wait_for()
    page.locator("#question .submit-button").wait_for()
    page.reload()
    person.read("#recent", "What can I ask?")
    assert page.locator("#recent label").count() == page.locator("#chat .user-row").count() == 1
    assert box.input_value() == ""


def test_the_page_speaks_the_browsers_language(people, url):
    for locale, new, ask, correct in (
        ("de-DE", "Neuer Chat", "Stellen Sie eine Frage", "Diese Antwort korrigieren"),
        ("es-MX", "Nuevo chat", "Haga una pregunta", "Corregir esta respuesta"),
        ("fr-FR", "Nouvelle discussion", "Posez une question", "Corriger cette réponse"),
        ("it-IT", "New chat", "Ask a question", "Correct this answer"),
    ):
        person = arrive(people, url, locale=locale)
        page = person.page
        page.get_by_role("button", name=new).wait_for()
        assert page.locator("#question textarea").get_attribute("placeholder") == ask
        assert page.evaluate("document.documentElement.lang") in (locale[:2], "en")
        if locale == "de-DE":
            person.ask("Wo ist der Reiher?")
            page.get_by_role("button", name=correct).click()
            page.get_by_role("button", name="Korrektur sichern").wait_for()


def test_the_keyboard_is_enough_and_focus_comes_back(people, url):
    from playwright.sync_api import expect

    page = arrive(people, url).page
    page.locator("body").click(position={"x": 700, "y": 300})
    page.keyboard.press("/")
    page.keyboard.type("Where is the heron?")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("And the owl?")
    page.keyboard.press("Enter")
    page.locator("#chat .bot-row").wait_for()
    page.locator("#question .submit-button").wait_for()
    page.locator("#rename").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#name input")).to_be_focused()
    assert page.evaluate("document.querySelector('#side').inert")
    page.keyboard.press("Escape")
    page.locator("#naming-panel").wait_for(state="hidden")
    expect(page.locator("#rename")).to_be_focused()
    page.keyboard.press("Alt+n")
    page.locator("#chat .bot-row").first.wait_for(state="detached")


def test_dark_is_kept_and_no_task_is_long_while_an_answer_streams(people, url):
    person = arrive(people, url, color_scheme="light")
    page = person.page
    page.locator("#dark-or-light").click()
    page.reload()
    page.locator("body.dark").wait_for()
    page.locator("#open-workspace").wait_for(state="attached")
    before = page.evaluate("window.ours.calls")
    person.ask("Where is the heron?")
    assert page.evaluate("window.ours.calls") > before
    assert page.evaluate("window.ours.longest") < 100


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(people, url, scheme):
    from axe_playwright_python.sync_playwright import Axe

    person = arrive(people, url, color_scheme=scheme, **(PHONE if scheme == "dark" else {}))
    page, axe = person.page, Axe()

    def look() -> list[tuple[str, str]]:
        found = axe.run(page).response["violations"]
        return [
            (one["id"], node["html"][:200])
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]

    page.locator("#chat .example").wait_for()
    assert look() == []
    person.ask("Where is the heron?")
    page.locator(".heard:not(:empty)").wait_for(state="attached")  # a moment after the last piece
    assert look() == []
    page.get_by_role("button", name="Correct this answer").click()
    page.locator("#editor-panel-title").get_by_text("Correct this answer").wait_for()
    assert look() == []
