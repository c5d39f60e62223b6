"""A file given with a question in a real browser: chosen, dropped, refused, taken away."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from assistant.app import App
from assistant.settings import read_settings
from storage.attachments import attachments_of
from storage.conversations import list_conversations, messages_of
from storage.datadir import open_datadir
from storage.workspaces import set_workspace, workspace
from tests.assistant.people import everybody
from tests.end_to_end.test_browser import Person, people
from tests.serving import served

pytestmark = pytest.mark.browser

__all__ = ["people"]

LEASE = b"# Lease\n\nThe notice period of the flat in Heron Street is eleven weeks.\n"
DROP = """(file) => {
  const data = new DataTransfer();
  data.items.add(new File([file.text], file.name));
  for (const kind of ["dragover", "drop"]) {
    document.body.dispatchEvent(
      new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
  }
}"""


@pytest.fixture(scope="module")
def house(tmp_path_factory, tiny_base) -> Iterator[tuple[App, str, dict]]:
    settings = read_settings(
        data=tmp_path_factory.mktemp("files") / "data", base_model=str(tiny_base.folder), threads=1
    )
    app = App(settings, open_datadir(settings.data))
    callers = everybody(app)
    with closing(app.db()) as db:
        set_workspace(db, "open", "max_tokens", "8")
    with served(app) as address:
        yield app, address, callers
    app.close()


@pytest.fixture
def mo(people, house) -> Person:
    return arrive(people, house, "mo")


def arrive(people, house, who: str, **context) -> Person:
    """A member, or a visitor, at the page of `open`."""
    _, url, callers = house
    person = people(url, **context)
    cookies = callers[who].cookies
    person.page.context.add_cookies(
        [{"name": name, "value": value, "url": url} for name, value in cookies.items()]
    )
    person.page.goto("/?workspace=open")
    person.page.locator("#open-workspace").wait_for(state="attached")
    return person


def choose(person: Person, *files: dict) -> None:
    """Press the paper clip and choose."""
    with person.page.expect_file_chooser() as chooser:
        person.page.locator("#attach").click()
    chooser.value.set_files(list(files))


def file(name: str, data: bytes) -> dict:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


def test_a_file_is_asked_about_and_only_in_its_conversation(mo, people, house):
    app, page = house[0], mo.page
    page.locator("#question textarea").fill("What is the notice period in Heron Street?")
    choose(mo, file("lease.md", LEASE))
    mo.read("#files", "lease.md")
    mo.read("#recent", "lease.md")
    assert page.locator("#question textarea").input_value().startswith("What is the notice")
    page.keyboard.press("Enter")
    page.locator(".source").first.wait_for()
    mo.read(".source", "lease.md")
    page.reload()
    mo.read("#files", "lease.md")
    conversation = page.locator("#open-conversation").text_content()
    mo.press("New chat")
    page.locator(".file").first.wait_for(state="detached")
    assert page.locator(".source").count() == 0
    with closing(app.db()) as db:
        assert [one.name for one in attachments_of(db, conversation)] == ["lease.md"]
        assert len(messages_of(db, conversation)) == 2
    stranger = arrive(people, house, "visitor")
    assert not stranger.page.locator("#attach").is_visible()
    assert stranger.page.locator("#file-most").count() == 0
    assert mo.complaints == []


def test_what_is_refused_is_said_and_nothing_typed_is_lost(mo, house):
    page, box = mo.page, mo.page.locator("#question textarea")
    box.fill("Half a thought")
    for name, data, said in (
        ("photo.png", b"\x89PNG", "cannot be read here"),
        ("empty.txt", b"", "is empty"),
        ("blank.txt", b" \n", "holds no text"),
        ("broken.pdf", b"%PDF-1.7 nothing", "may be damaged"),
    ):
        choose(mo, file(name, data))
        page.locator("#coming [role=alert]").get_by_text(said).wait_for()
    page.evaluate(DROP, {"name": "d\u202erop/" + "x" * 300 + "🦉.md", "text": "Owls hoot."})
    page.locator("#files .file").wait_for()
    assert page.locator("#coming [role=alert]").count() == 0
    assert page.locator("#files .file-name").inner_text().endswith("….md")
    assert box.input_value() == "Half a thought"
    page.locator(".file-remove").click()
    page.locator("#files .file").wait_for(state="detached")
    # Chromium says of each answer 400 that it failed
    assert [one for one in mo.complaints if "status of 400" not in one] == []


def test_the_page_waits_with_the_question_until_the_file_is_there(mo, house):
    app, page = house[0], mo.page
    page.route("**/files?*", lambda route: (page.wait_for_timeout(600), route.continue_()))
    page.locator("#question textarea").fill("Where?")
    choose(mo, file("a.txt", b"Under the bridge."), file("b.csv", b"where,what\nbridge,owl\n"))
    page.locator("#coming progress").wait_for()
    page.locator("#question textarea").press("Enter")
    page.locator("#files .file").nth(1).wait_for()
    assert page.locator("#chat .user-row").count() == 0
    page.locator("#question textarea").press("Enter")
    page.locator(".source").first.wait_for()
    with closing(app.db()) as db:
        team = workspace(db, "open").id
        told = list_conversations(db, team, house[2]["mo"].person.owner)
        assert [one.title for one in told if one.title == "a.txt"] == ["a.txt"]
    assert json.dumps(page.locator(".source summary").all_inner_texts()).count("a.txt") == 1


def test_the_page_speaks_the_browsers_language(people, house):
    person = arrive(people, house, "mo", locale="de-DE")
    choose(person, file("foto.png", b"\x89PNG"))
    person.page.get_by_text("„foto.png“ kann hier nicht gelesen werden").wait_for()
