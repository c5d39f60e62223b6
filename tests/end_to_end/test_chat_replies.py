"""What a reader does with a reply on the chat page, in a real browser."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from assistant.avatar import avatar_as_given
from assistant.under_way import AT_ONCE, PREPARED_AT_ONCE
from storage.conversations import messages_of, open_thread
from storage.feedback import list_feedback
from storage.workspaces import set_workspace
from tests.assistant.pictures import picture
from tests.end_to_end.chat_people import PHONE, ChatServer, arrive, chat_server, passage, told
from tests.end_to_end.test_browser import people

pytestmark = pytest.mark.browser

__all__ = ["people"]

ASKED, SAID = "When do parcels leave?", "Parcels leave on Monday and Thursday."
SOURCES = [
    passage("returns.md", "Goods are returned within 30 days."),
    passage("ship.html", f"{SAID} <img src=x onerror=alert(1)>", "https://example.com/ship"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory, tiny_base) -> Iterator[ChatServer]:
    with chat_server(tmp_path_factory.mktemp("replies") / "data", tiny_base.folder) as running:
        yield running


def given(server):
    with closing(server.app.db()) as db:
        return [(item.rating, item.correction) for item in list_feedback(db, 1)]


def settled(page, look, wanted) -> None:
    """Waits for the server: the page shows a press before it is stored."""
    for _ in range(2000):
        if look() == wanted:
            return
        page.wait_for_timeout(50)
    assert look() == wanted


@pytest.mark.parametrize("context", [{}, PHONE])
def test_a_source_opens_beside_the_answer_and_focus_comes_back(people, server, context):
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import expect

    person = arrive(people, server.url, **context)
    page, panel = person.page, person.page.locator("#source-panel")
    told(server, person, (ASKED, SAID), passages=SOURCES)
    number = page.locator("#chat .cited")
    expect(number).to_have_text("[2]")
    assert not panel.is_visible()
    for opener in (number, page.locator("#chat .source summary")):
        opener.focus()
        page.keyboard.press("Enter")
        panel.get_by_role("heading", name="[2] ship.html").wait_for()
        assert SOURCES[1].text in panel.inner_text()
        assert panel.locator("img").count() == 0
        link = panel.get_by_role("link", name="Open the page")
        assert link.get_attribute("href") == "https://example.com/ship"
        expect(
            page.get_by_role("dialog" if context else "complementary", name="Source")
        ).to_be_visible()
        assert page.locator("#chat .source[open]").count() == 0
        found = Axe().run(page).response["violations"]
        assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
        page.keyboard.press("Escape")
        panel.wait_for(state="hidden")
        expect(opener).to_be_focused()
    assert person.complaints == []


def test_a_thumb_pressed_again_is_taken_back_and_a_correction_stays(people, server):
    person = arrive(people, server.url)
    page = person.page
    told(server, person, (ASKED, SAID))
    before = len(given(server))

    def judged():
        return given(server)[: -before or None]

    page.get_by_title("Like", exact=True).click()
    settled(page, judged, [(1, None)])
    for _ in range(2):  # closed and pressed again it opens again, and the thumb stays
        person.press("Correct this answer")
        page.locator("#editor-panel").wait_for()
        page.locator("#editor-panel .dialog-close").click()
        page.locator("#editor-panel").wait_for(state="hidden")
        page.get_by_title("Liked").wait_for()
    assert judged() == [(1, None)]
    person.press("Correct this answer")
    page.locator("#correction textarea").fill("On Friday.")
    person.press("Save correction")
    page.locator("#editor-panel").wait_for(state="hidden")
    page.get_by_title("Liked").click()
    settled(page, judged, [(None, "On Friday.")])
    page.reload()
    page.get_by_title("Like", exact=True).wait_for()
    person.read("#chat .under", "You corrected this answer.")
    assert person.complaints == []


def test_the_last_turn_is_taken_back_and_its_question_stands_in_the_box(people, server):
    from playwright.sync_api import expect

    person = arrive(people, server.url)
    page, box = person.page, person.page.locator("#question textarea")
    talk = told(server, person, (ASKED, SAID), ("And then?", "They arrive."))
    box.fill("please")
    page.get_by_title("Undo").click()
    expect(box).to_have_value("And then?\nplease")
    for _ in range(2):
        expect(page.locator("#chat .bot-row")).to_have_count(1)
        page.reload()
        page.locator("#chat .bot-row").wait_for()
    with closing(server.app.db()) as db:
        assert len(messages_of(db, talk)) == 4
        assert [item.content for item in open_thread(db, talk)] == [ASKED, SAID]
    person.ask("And now?")
    page.get_by_role("button", name="Back to “And then?”").click()
    person.read("#chat .bot-row", "They arrive.")
    page.get_by_title("Undo").click()
    expect(page.locator("#chat .bot-row")).to_have_count(1)
    page.get_by_title("Undo").click()
    page.locator("#chat .bot-row").wait_for(state="detached")
    assert box.input_value().startswith(ASKED)
    assert "conversation=" not in page.url
    page.locator("#recent").get_by_text(ASKED).wait_for()
    assert person.complaints == []


def test_formulas_are_drawn_prices_are_not_and_hostile_ones_do_no_harm(people, server):
    person = arrive(people, server.url)
    page, elsewhere = person.page, []
    page.on("request", lambda one: one.url.startswith(server.url) or elsewhere.append(one.url))
    hostile = [
        r"\href{javascript:document.title='bad'}{press}",
        r"\includegraphics{https://example.com/a.png}",
        r"\def\a{\a\a}\a",
        "{" * 5000 + "}" * 5000,
        "<img src=x onerror=\"document.title='bad'\">",
    ]
    told(
        server,
        person,
        ("How much?", "It costs $5 and $7."),
        ("And?", r"So \(a^2\) and \[b^2\] and $$\sqrt[3]{c}$$ are it."),
        ("Why?", " ".join(f"$${one}$$" for one in hostile)),
        ("Well?", "`$$x$$`"),
        passages=[passage("a$$.md", "One $$ and"), passage("b.md", "$$ two")],
    )
    rows = page.locator("#chat .bot-row")
    rows.nth(1).locator(".katex").nth(2).wait_for()
    assert rows.nth(1).locator(".katex-display").count() == 2
    assert rows.nth(0).locator(".katex").count() == rows.nth(3).locator(".katex").count() == 0
    assert "It costs $5 and $7." in rows.nth(0).inner_text()
    names = rows.nth(0).locator(".source > summary").all_inner_texts()
    assert names == ["[1] a$$.md", "[2] b.md"]
    assert rows.nth(2).locator("[href^=javascript], img").count() == 0
    assert page.title() == "Apprentice"
    assert elsewhere == []
    person.ask("Is the page alive?")


def test_the_whole_conversation_is_copied_as_plain_markdown(people, server):
    person = arrive(people, server.url, permissions=["clipboard-read", "clipboard-write"])
    page = person.page
    told(server, person, (ASKED, SAID), ("And then?", "They arrive."), passages=SOURCES)
    person.press("Copy")
    page.locator("#copy-chat.copied").wait_for()
    text = page.evaluate("navigator.clipboard.readText()")
    assert text.split("\n\n")[2:6] == ["**You**", ASKED, "**Apprentice**", SAID]
    assert "They arrive." in text and "<" not in text
    assert person.complaints == []


def test_a_lost_connection_is_said_and_nothing_typed_is_lost(people, server):
    from playwright.sync_api import expect

    person = arrive(people, server.url)
    page, box = person.page, person.page.locator("#question textarea")
    person.ask("Where is the heron?")
    box.fill("Where is the owl?")
    page.context.set_offline(True)
    page.locator("#away").wait_for()
    page.keyboard.press("Enter")
    expect(box).to_have_value("Where is the owl?")
    page.context.set_offline(False)
    page.locator("#away").wait_for(state="hidden")
    page.locator("#open-workspace").wait_for(state="attached")
    expect(box).to_have_value("Where is the owl?")
    box.press("Enter")
    page.locator("#chat .bot-row").nth(1).wait_for()


def test_the_assistant_has_its_own_name_greeting_and_picture(people, server, tmp_path):
    from axe_playwright_python.sync_playwright import Axe

    face = avatar_as_given(str(picture(tmp_path / "face.png")))
    values = {"assistant_name": "Tilla", "greeting": "I know our <b>gear</b>.", "avatar": face}
    with closing(server.app.db()) as db:
        for key, value in values.items():
            set_workspace(db, "default", key, value)
    try:
        person = arrive(people, server.url)
        page = person.page
        page.get_by_role("heading", name="Tilla", level=1).wait_for()
        person.read("#chat .greeting", "I know our <b>gear</b>.")
        drawn = "one => one.decode().then(() => one.naturalWidth)"
        assert page.locator("#chat .greeting img").evaluate(drawn) == 128
        page.wait_for_function("() => document.title === 'Tilla'")
        assert page.locator("#found-nothing").is_visible() is False
        found = Axe().run(page).response["violations"]
        assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
        told(server, person, (ASKED, SAID))
        shown = "one => getComputedStyle(one, '::before').backgroundImage"
        assert "/avatar/default?v=" in page.locator("#chat .bot-row").evaluate(shown)
    finally:
        with closing(server.app.db()) as db:
            for key in values:
                set_workspace(db, "default", key, "")
    assert person.complaints == []


def test_two_clicks_on_send_and_new_chat_do_one_thing(people, server):
    person = arrive(people, server.url)
    page = person.page
    page.locator("#question textarea").fill("Where is the heron?")
    page.locator("#question .submit-button").dblclick()
    page.locator("#chat .bot-row").wait_for()
    page.locator("#question .submit-button").wait_for()
    page.reload()
    person.read("#chat .bot-row", "")
    assert page.locator("#chat .user-row").count() == page.locator("#recent label").count() == 1
    page.locator("#new-chat").dblclick()
    page.locator("#chat .bot-row").wait_for(state="detached")
    assert page.locator("#recent label").count() == 1
    assert person.complaints == []


def test_in_a_crowd_the_place_is_told_at_once_and_what_is_typed_meanwhile_stays(people, server):
    from playwright.sync_api import expect

    person = arrive(people, server.url)
    page, box = person.page, person.page.locator("#question textarea")
    under_way = server.app.under_way
    with ExitStack() as crowd:
        for _ in range(AT_ONCE):
            crowd.enter_context(under_way.asked(threading.Event()))
        for _ in range(PREPARED_AT_ONCE):  # nobody's turn comes
            crowd.enter_context(under_way.preparing)
        box.fill(ASKED)
        box.press("Enter")
        person.read("#in-line", "Questions asked before yours that still wait:")
        assert page.locator("#in-line p").get_attribute("data-before") == str(AT_ONCE)
        expect(box).to_have_value(ASKED)
        box.fill("And then?")
    expect(page.locator("#chat .bot-row")).to_have_count(1)
    expect(page.locator("#in-line")).to_be_hidden()
    expect(box).to_have_value("And then?")
    assert person.complaints == []
