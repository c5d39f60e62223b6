"""The admin page in a real browser: slow lines, double clicks, files that cannot be read."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from assistant.app import App, open_app
from assistant.settings import read_settings
from storage.conversations import add_message, start_conversation
from storage.database import rows
from storage.feedback import add_feedback
from storage.records import Inputs
from storage.workspaces import workspace
from tests.assistant.people import Caller, everybody
from tests.serving import served

pytestmark = pytest.mark.browser

OPEN_MS = 120_000


@dataclass
class House:
    """A server in this process with everybody in it."""

    app: App
    url: str
    people: dict[str, Caller]

    def count(self, sql: str, *values: Any) -> int:
        """The one number that `sql` gives."""
        with closing(self.app.db()) as db:
            return int(next(iter(rows(db, sql, *values)[0].values())))


@pytest.fixture(scope="module")
def house(tmp_path_factory, tiny_base) -> Iterator[House]:
    data = tmp_path_factory.mktemp("admin") / "data"
    settings = read_settings(data=data, base_model=str(tiny_base.folder), threads=1)
    with open_app(settings) as app:
        people = everybody(app)
        with served(app) as url:
            yield House(app, url, people)


@pytest.fixture
def page_of(chromium, house) -> Iterator[Callable[..., Any]]:
    """Opens a page of the browser of one of them; closed at the end with what it holds open."""
    contexts: list[Any] = []

    def page(who: str, **more: Any) -> Any:
        context = chromium.new_context(base_url=house.url, **more)
        cookies = house.people[who].cookies.items()
        context.add_cookies([{"name": k, "value": v, "url": house.url} for k, v in cookies])
        contexts.append(context)
        opened = context.new_page()
        opened.set_default_timeout(OPEN_MS)
        return opened

    yield page
    for context in contexts:
        context.close()


def test_a_tab_clicked_before_the_page_has_loaded_is_filled(page_of):
    page = page_of("rita")
    slow = page.context.new_cdp_session(page)
    slow.send("Network.enable")
    line = {"latency": 1500, "downloadThroughput": -1, "uploadThroughput": -1, "offline": False}
    page.goto("/admin/", wait_until="commit")
    slow.send("Network.emulateNetworkConditions", line)
    page.get_by_role("tab", name="Overrides").click()
    page.locator("#overrides").get_by_text("No correction answers at once.").wait_for(
        timeout=60_000
    )


def open_tab(page: Any, name: str) -> None:
    page.goto("/admin/")
    page.get_by_role("tab", name=name, exact=True).click()


def press_twice(page: Any, name: str) -> None:
    """A double click; what the first one began is over when the page rests."""
    page.get_by_role("button", name=name, exact=True).dblclick()


def test_a_double_click_makes_one_user_and_one_key(page_of, house):
    page = page_of("ada")
    open_tab(page, "Users")
    page.get_by_label("New user").fill("zoe")
    page.locator("#user-new-row input[type=password]").fill("a long password")
    press_twice(page, "Add")
    page.locator("#user-said").get_by_text("zoe can log in now.").wait_for()
    assert page.locator(".fault:visible").count() == 0
    page.get_by_role("tab", name="Keys", exact=True).click()
    page.get_by_label("New key").fill("shop")
    press_twice(page, "Make the key")
    page.locator("#key-secret input, #key-secret textarea").first.wait_for()
    assert page.locator(".fault:visible").count() == 0
    assert house.count("select count(*) from users where name = 'zoe'") == 1
    assert house.count("select count(*) from keys where name = 'shop'") == 1


def test_a_double_click_on_approve_leaves_the_next_row(page_of, house):
    given = [correction(house, f"Question {number}?") for number in range(2)]
    page = page_of("rita")
    page.goto("/admin/?workspace=team")
    page.get_by_role("tab", name="Feedback").click()
    page.locator("#feedback-detail").get_by_text("Question 1?").wait_for()
    press_twice(page, "Approve")
    page.locator("#feedback-detail").get_by_text("Question 0?").wait_for()
    page.wait_for_timeout(500)  # time for a second decision to arrive
    approved = "select count(*) from feedback where status = 'approved'"
    assert house.count(approved) == 1
    assert house.count(f"{approved} and id = ?", given[1]) == 1


def test_what_is_wrong_stands_beside_the_field_and_what_was_typed_stays(page_of):
    page = page_of("ada")
    open_tab(page, "Users")
    page.get_by_label("New user").fill("tom")
    page.locator("#user-new-row input[type=password]").fill("short")
    page.get_by_role("button", name="Add", exact=True).click()
    fault = page.locator(".prose.fault").filter(has_text="use at least 8")
    fault.wait_for()
    row = page.locator("#user-new-row").bounding_box()
    below = fault.bounding_box()["y"] - (row["y"] + row["height"])
    assert 0 <= below < 40  # pixels
    assert page.get_by_label("New user").input_value() == "tom"
    assert page.locator("#user-new-row input[type=password]").input_value() == "short"
    page.locator("#user-new-row input[type=password]").fill("long enough")
    page.get_by_role("button", name="Add", exact=True).click()
    page.locator("#user-said").get_by_text("tom can log in now.").wait_for()
    fault.wait_for(state="hidden")


def test_what_was_typed_is_there_again_after_a_reload_but_no_password(page_of):
    from playwright.sync_api import expect

    page = page_of("ada")
    open_tab(page, "Users")
    page.get_by_label("New user").fill("ida")
    page.locator("#user-new-row input[type=password]").fill("a long password")
    page.reload()
    page.get_by_role("tab", name="Users", exact=True).click()
    expect(page.get_by_label("New user")).to_have_value("ida")
    assert page.locator("#user-new-row input[type=password]").input_value() == ""
    # and the server gets it
    page.locator("#user-new-row input[type=password]").fill("a long password")
    page.get_by_role("button", name="Add", exact=True).click()
    page.locator("#user-said").get_by_text("ida can log in now.").wait_for()
    page.reload()
    page.get_by_role("tab", name="Users", exact=True).click()
    page.locator("#users").get_by_text("ida").wait_for()
    assert page.get_by_label("New user").input_value() == ""


def test_a_viewer_sees_four_tabs_and_no_button_that_decides(page_of, house):
    correction(house, "May I look?")
    page = page_of("vic")
    page.goto("/admin/?workspace=team")
    page.get_by_role("tab", name="Feedback").click()
    page.locator("#feedback-detail").get_by_text("May I look?").wait_for()
    assert [one.strip() for one in page.get_by_role("tab").all_inner_texts()] == [
        *("Overview", "Feedback", "Gaps", "Overrides"),
    ]
    for name in ("Approve", "Reject", "Edit and approve", "Several at once"):
        assert page.get_by_role("button", name=name).count() == 0, name


NAMES = ("../../etc/notes.md", "🐦" * 60 + ".md", "x" * 296 + ".md")


def add_file(page: Any, name: str, content: bytes) -> None:
    files = {"name": name, "mimeType": "text/markdown", "buffer": content}
    page.locator("#upload input[type=file]").set_input_files(files)


def test_a_file_that_cannot_be_read_gets_a_sentence(page_of, house):
    page = page_of("ada")
    open_tab(page, "Documents")
    before = house.count("select count(*) from documents")
    add_file(page, "page.exe", b"MZ")
    page.get_by_text("Invalid file type").first.wait_for()
    add_file(page, "empty.md", b"")
    page.locator("#ingest-state").get_by_text("'empty.md' is empty").wait_for()
    assert house.count("select count(*) from documents") == before


def test_a_file_with_an_odd_name_is_taken_in_under_one_that_can_be(page_of, house):
    """With slashes, of emoji alone, of 299 characters."""
    page = page_of("ada")
    open_tab(page, "Documents")
    before = house.count("select count(*) from documents")
    for number, name in enumerate(NAMES, start=1):
        add_file(page, name, f"# Number {number}\n\nThe heron nests in March.".encode())
        page.locator("#documents tr").nth(before + number).wait_for()
    page.locator("#ingest-state").get_by_text("1 added").wait_for()
    assert house.count("select count(*) from documents") == before + 3
    assert house.count("select count(*) from documents where name like '%/%'") == 0
    folder = house.app.datadir.root / "documents"
    assert all(folder in path.parents for path in folder.rglob("*.md"))


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(page_of, house, tmp_path):
    large = tmp_path / "large.md"
    with large.open("wb") as file:
        file.truncate(500 << 20)  # sparse: no block of it is on the disk
    page = page_of("ada")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    open_tab(page, "Documents")
    page.locator("#upload input[type=file]").set_input_files(large)
    page.get_by_text("maximum allowed size of 64").first.wait_for()
    assert not [url for url in sent if "upload?" in url]


def correction(house: House, question: str) -> int:
    """Feedback on a reply in `team`; its id."""
    with closing(house.app.db()) as db:
        team = workspace(db, "team").id
        owner = house.people["mo"].person.owner
        talk = start_conversation(db, team, owner)
        asked = add_message(db, talk.id, "user", question)
        reply = add_message(
            *(db, talk.id, "assistant", "No."),
            parent_id=asked.id,
            inputs=Inputs(question, "", 1),
            finish_reason="stop",
        )
        given = add_feedback(
            db, message_id=reply.id, origin="staff", contributor=owner, correction="Yes."
        )
        return given.id
