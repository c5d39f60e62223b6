"""The loop as a person does it, in a real browser against a real server on a tiny model.

A visitor asks and corrects; an admin sets the server up, logs in, approves, starts a round and
lets the new adapter serve; the visitor sees it answer.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from assistant.settings import read_settings
from storage.datadir import open_datadir
from storage.workspaces import set_workspace
from tests.assistant.slow_engine import SlowApp
from tests.end_to_end.server import Server
from tests.serving import served

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"
ROUND_S = 300_000  # milliseconds; twenty seconds for the tiny model, two minutes on a busy machine


@pytest.fixture(scope="module")
def server(tmp_path_factory, tiny_base) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("browser")
    with Server(folder, tiny_base.folder) as running:
        running.command("workspaces", "set", "default", "access=public", "max_tokens=24")
        lessons = folder / "lessons.jsonl"
        lessons.write_text("\n".join(json.dumps(row) for row in corrections()))
        running.command("feedback", "import", str(lessons), "--approve")
        yield running


def corrections() -> Iterator[dict[str, str]]:
    """Three needs of four wordings each, so that one wording of each is held out."""
    openings = ("How do I", "Please tell me how to", "What is the way to", "Explain how to")
    for need in ("return a product", "pay an order", "reach a person"):
        for opening in openings:
            yield {
                "question": f"{opening} {need}?",
                "answer": "I do not know.",
                "correction": f"To {need}, write to us.",
                "group": need,
            }


class Person:
    """Somebody at a browser of their own; what the page complains about is kept."""

    def __init__(self, chromium: Any, url: str, **context: Any) -> None:
        self.page = chromium.new_context(base_url=url, **context).new_page()
        self.page.set_default_timeout(120_000)
        self.complaints: list[str] = []
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _listen(self, message: Any) -> None:
        # a page that is left ends its event stream, which Gradio logs as an error
        left = "AbortError" in message.text or "Connection errored out" in message.text
        if message.type == "error" and not left and "status of 404" not in message.text:
            self.complaints.append(message.text)

    def ask(self, question: str) -> str:
        """Type a question and read the whole reply, with what stands under it."""
        page, before = self.page, self.page.locator("#chat .bot-row").count()
        page.locator("#question textarea").fill(question)
        page.keyboard.press("Enter")
        page.locator("#chat .bot-row").nth(before).wait_for()
        page.locator("#question .submit-button").wait_for()
        return str(page.locator("#chat .bot-row").last.inner_text())

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def read(self, selector: str, text: str) -> str:
        """What stands there once it holds `text`."""
        place = self.page.locator(selector).filter(has_text=text)
        place.first.wait_for()
        return str(place.first.inner_text())


def twice(page: Any, button: Any) -> None:
    """Two clicks at one place, as far apart as a person's double click."""
    place = button.bounding_box()
    at = (place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    page.mouse.click(*at)
    page.wait_for_timeout(150)
    page.mouse.click(*at)


@pytest.fixture
def people(chromium) -> Iterator[Callable[..., Person]]:
    """Makes persons; their browsers are closed at the end, with the streams they hold open."""
    made: list[Person] = []

    def person(url: str, **context: Any) -> Person:
        made.append(Person(chromium, url, **context))
        return made[-1]

    yield person
    for one in made:
        one.page.context.close()


@pytest.fixture
def visitor(people, server) -> Person:
    return people(server.url)


def test_the_loop_as_a_person(people, server, visitor):
    page = visitor.page
    page.goto("/")
    question = "How do I return a broken product?"
    first = visitor.ask(question)
    assert "approved correction" not in first
    page.get_by_role("button", name="Correct this answer").last.click()
    prefilled = page.locator("#correction textarea")
    prefilled.wait_for()
    assert prefilled.input_value().split()[:1] == first.split()[:1]
    prefilled.fill("Send it back within 45 days.")
    visitor.press("Save correction")
    visitor.read(
        "#chat .under", "A reviewer looks at it; you will see it here once it is approved."
    )
    address = page.url
    assert "conversation=" in address

    admin = people(server.url)
    set_up_and_log_in(admin, server)
    approve_the_public_one(admin)

    page.reload()
    assert "Send it back within 45 days." in visitor.read("#chat .under", "was approved")
    assert page.url == address
    visitor.press("New chat")
    page.locator("#chat .bot-row").first.wait_for(state="detached")
    again = visitor.ask(question)
    assert "Send it back within 45 days." in again
    assert "Answered from an approved correction." in again

    run_a_round(admin)
    let_it_serve(admin)
    visitor.press("New chat")
    page.locator("#chat .bot-row").first.wait_for(state="detached")
    assert "Version 1" in visitor.ask("What are your opening hours?")
    assert visitor.complaints == admin.complaints == []


def set_up_and_log_in(admin: Person, server: Server) -> None:
    page = admin.page
    page.goto(server.greeting[1].split()[-1])
    page.get_by_label("Your name").fill("ada")
    page.get_by_label("Password, 8 characters or more").fill(PASSWORD)
    page.get_by_label("The same password again").fill(PASSWORD)
    admin.press("Make the admin")
    page.locator("#to-logout").click()
    admin.press("Log out")
    page.goto("/admin")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("wrong")
    with page.expect_console_message(lambda said: "status of 401" in said.text):
        admin.press("Log in")
    admin.complaints.clear()  # the browser has logged the refusal
    assert page.get_by_role("alert").inner_text() == "Wrong name or password."
    page.get_by_label("Password").fill(PASSWORD)
    admin.press("Log in")


def approve_the_public_one(admin: Person) -> None:
    page = admin.page
    page.get_by_role("tab", name="Feedback").click()
    page.get_by_label("From the public (1)").click()
    detail = page.locator("#feedback-detail")
    admin.read("#feedback-detail", "How do I return a broken product?")
    assert "Send it back within 45 days" in " ".join(detail.locator("ins").all_inner_texts())
    assert detail.locator("del").count() > 0
    page.keyboard.press("a")
    admin.read("#feedback-detail", "Nothing here.")
    page.get_by_label("Approved (13)").wait_for()


def run_a_round(admin: Person) -> None:
    page = admin.page
    page.get_by_role("tab", name="Rounds").click()
    admin.press("What would a round do?")
    assert "Corrections to learn" in admin.read("#plan", "Kept out, to judge by")
    page.locator("#round-minutes input").fill("0.2")
    admin.press("Start a round")
    page.locator("#running-round progress").wait_for()
    page.reload()
    page.get_by_role("tab", name="Rounds").click()
    page.locator("#running-round progress").wait_for()
    page.locator("#round-history .round").first.wait_for(timeout=ROUND_S)
    ended = page.locator("#round-history").inner_text()
    assert "Round 1: " in ended and "Failed" not in ended, ended
    assert page.locator("#running-round progress").count() == 0


def let_it_serve(admin: Person) -> None:
    """By the gate's word, or against it with a reason: random weights prove nothing."""
    page = admin.page
    page.get_by_role("tab", name="Adapters").click()
    table = page.locator("#adapters")
    table.get_by_role("cell", name="round 1").wait_for()
    if "serving now" in table.inner_text():
        return
    page.locator("#adapter input").click()
    page.get_by_role("option").first.click()
    admin.press("Let it serve…")
    page.get_by_label("Reason, for the record").fill("A test of the swap.")
    admin.press("Yes, let it serve")
    admin.read("#adapters", "serving now")


@pytest.fixture(scope="module")
def slow_url(tmp_path_factory, tiny_base) -> Iterator[str]:
    """A server in this process whose replies go on until they are stopped."""
    settings = read_settings(
        data=tmp_path_factory.mktemp("slow") / "data", base_model=str(tiny_base.folder), threads=1
    )
    app = SlowApp(settings, open_datadir(settings.data))
    with closing(app.db()) as db:
        set_workspace(db, "default", "access", "public")
    with served(app) as url:
        yield url
    app.close()


def test_stop_really_stops_and_retry_answers_again(people, slow_url):
    reader = people(slow_url)
    page = reader.page
    page.goto("/")
    page.locator("#open-workspace").wait_for(state="attached")  # until then the button may move
    page.locator("#question textarea").fill("Tell me a very long story.")
    for start in (
        lambda: twice(page, page.locator("#question .submit-button")),  # none of them stops it
        lambda: page.get_by_title("Retry").click(),
    ):
        start()
        reader.read("#chat .bot-row", "word " * 40)
        page.locator("#question .stop-button").click()
        assert "Stopped before the end." in reader.read("#chat .under", "Stopped")
        page.locator("#question .submit-button").wait_for()
        assert page.locator("#chat .bot-row").count() == 1
    assert reader.complaints == []


def test_a_question_that_cannot_be_asked_stays_in_the_box(visitor):
    page = visitor.page
    page.goto("/")
    page.locator("#question textarea").fill("word " * 5000)
    page.keyboard.press("Enter")
    assert "shorten it" in visitor.read("#problem", "tokens long")
    assert page.locator("#question textarea").input_value().startswith("word word")
    page.locator("#question textarea").fill("   ")
    page.keyboard.press("Enter")
    visitor.read("#problem", "Type a question first.")


def test_history_survives_a_reload_and_another_chat(visitor):
    page = visitor.page
    page.goto("/")
    visitor.ask("A first question?")
    address = page.url
    visitor.press("New chat")
    page.locator("#chat .bot-row").first.wait_for(state="detached")
    page.wait_for_url(lambda url: "conversation=" not in url)
    visitor.ask("A second question?")
    page.get_by_text("A first question?", exact=True).click()
    visitor.read("#chat .user-row", "A first question?")
    page.wait_for_url(address)
    page.reload()
    visitor.read("#chat .user-row", "A first question?")


def test_somebody_elses_conversation_is_not_shown(people, server, visitor):
    visitor.page.goto("/")
    visitor.ask("My secret question?")
    other = people(server.url)
    other.page.goto(visitor.page.url)
    other.read("#problem", "There is no such conversation of yours")
    assert "My secret question" not in other.page.content()


def test_copy_takes_the_reply_without_what_stands_under_it(people, server):
    person = people(server.url, permissions=["clipboard-read", "clipboard-write"])
    page = person.page
    page.goto("/")
    shown = person.ask("How do I pay an order?")
    assert "Answered from an approved correction." in shown
    page.get_by_title("Copy message").last.click()
    assert page.evaluate("navigator.clipboard.readText()") == "To pay an order, write to us."


def test_a_thumb_down_asks_why_and_stays(visitor):
    page = visitor.page
    page.goto("/")
    visitor.ask("A question to judge?")
    page.get_by_title("Dislike").last.click()
    visitor.press("Send")
    visitor.read("#comment-panel", "Tick a reason or write something.")
    page.get_by_label("Wrong tone").check()
    visitor.press("Send")
    page.locator("#comment-panel").wait_for(state="hidden")
    page.reload()
    page.get_by_title("Disliked").wait_for()


def test_a_visitor_asks_for_deletion_and_reads_what_was_done(server, visitor):
    page = visitor.page
    page.goto("/")
    visitor.ask("How do I return my blue heron?")
    address = page.url
    page.get_by_title("Like").last.click()  # what was judged goes by an admin's yes
    page.get_by_title("Liked").wait_for()
    visitor.press("Delete this conversation…")
    visitor.press("Keep it")
    page.locator("#erase-panel").wait_for(state="hidden")
    visitor.press("Delete this conversation…")
    visitor.press("Ask to delete it")
    visitor.read("#told", "It stays until an admin agrees")
    page.reload()
    visitor.read("#told", "It stays until an admin agrees")
    assert page.get_by_role("button", name="Delete this conversation…").count() == 0
    server.command("erase", "--request", "1")
    page.goto(address)
    visitor.read("#told", "Your conversation was deleted on")
    assert "blue heron" not in page.content()
    assert visitor.complaints == []


def test_on_a_phone_the_page_fits_and_the_side_is_folded(people, server):
    person = people(server.url, viewport={"width": 390, "height": 844})
    page = person.page
    page.goto("/")
    page.locator("#side:not(.open)").wait_for(state="attached")
    person.ask("Does it fit?")
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    box = page.locator("#question textarea").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390
