"""Texts that attack whoever reads them, in every place where a text of others is shown (bar B25).

No script of theirs runs, nothing is fetched from elsewhere, the page stays where and what it is.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from assistant.app import App
from assistant.engines.protocol import Piece
from assistant.settings import read_settings
from storage.datadir import open_datadir
from storage.keys import create_key
from storage.workspaces import set_workspace, workspace
from tests.assistant.people import Caller, everybody
from tests.end_to_end.hostile import Watch, batches, payloads
from tests.end_to_end.hostile_house import hostile_house, hostile_talk, hostile_titles
from tests.serving import served

pytestmark = pytest.mark.browser

TALK = 40
"""Turns of one conversation: each has six places."""
WAIT_MS = 60_000
FORMS = [pytest.param(False, id="short"), pytest.param(True, id="long", marks=pytest.mark.slow)]


class Echo:
    """The tiny engine, but for what it says: the hostile texts, a few characters at a time."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.says = "Nothing."

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def stream(self, *asked: Any) -> Iterator[Piece]:
        for at in range(0, len(self.says), 7):
            asked[-1].wait(0.002)  # so that the page draws the halves too
            yield Piece(self.says[at : at + 7], 1)
        yield Piece("", 0, "stop")


class EchoApp(App):
    """The app with that engine."""

    def _open_engine(self) -> Any:
        return Echo(super()._open_engine())


@dataclass
class House:
    """A server in this process, open to everybody."""

    app: App
    url: str
    people: dict[str, Caller]


@pytest.fixture(scope="module")
def house(tmp_path_factory: Any, tiny_base: Any) -> Iterator[House]:
    data = tmp_path_factory.mktemp("hostile") / "data"
    settings = read_settings(data=data, base_model=str(tiny_base.folder), threads=1)
    with closing(EchoApp(settings, open_datadir(settings.data))) as app:
        people = everybody(app)
        with closing(app.db()) as db:
            for key, value in {"access": "public", "embed_sources": "true"}.items():
                set_workspace(db, "default", key, value)
        with served(app) as url:
            yield House(app, url, people)


@pytest.fixture
def watch(house: House, record_property: Callable[[str, object], None]) -> Iterator[Watch]:
    seen = Watch(house.url)
    yield seen
    record_property("bar", "B25")
    record_property("trials", seen.trials)
    record_property("failures", len(seen.failures))


def open_page(chromium: Any, house: House, watch: Watch, who: str, **more: Any) -> Any:
    """A page of somebody's own browser, watched."""
    context = chromium.new_context(base_url=house.url, **more)
    cookies = house.people[who].cookies.items()
    context.add_cookies([{"name": k, "value": v, "url": house.url} for k, v in cookies])
    watch.over(context)
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    return page


def by_length(texts: Sequence[str], most: int) -> list[str]:
    """Those that a column of so many characters takes."""
    return [text for text in texts if len(text) <= most]


@pytest.mark.parametrize("every", FORMS)
def test_on_the_chat_page(chromium, house, watch, every):
    page = open_page(chromium, house, watch, "visitor")
    owner = house.people["visitor"].person.owner
    texts = payloads(every=every)
    for part in batches(texts, TALK):
        with closing(house.app.db()) as db:
            talk = hostile_talk(db, owner, part)
            hostile_titles(db, owner, [text for text in part if text.strip("\0")])
        page.goto(f"/?conversation={talk}")
        page.locator("#chat .bot-row").nth(len(part) - 1).wait_for()
        page.wait_for_timeout(300)  # formulas and diagrams are drawn behind the text
        watch.look(page, "#chat .prose, #chat .message-content", 4 * len(part))
        watch.look(page, "#files", min(5, len(part)))
        watch.look(page, "#recent label span", min(30, len(part)))
        opened = page.evaluate(
            """() => [...document.querySelectorAll(".source > summary")].map((one) => {
                one.click();
                return document.querySelector("#source-panel .shown h3").textContent;
            })"""
        )
        assert len(opened) == len(part)
        watch.look(page, "#source-panel .shown", len(part))
        page.locator("#source-panel .dialog-close").click()
        assert page.locator("#question").count() == 1
        assert page.locator("#question textarea").is_enabled()
    assert page.locator("#chat .prose").count() > 2 * len(part)
    assert watch.failures[:9] == []
    page.context.close()


def test_a_reply_while_it_is_made_and_a_question_from_the_box(chromium, house, watch):
    page = open_page(chromium, house, watch, "other visitor")
    texts = payloads()
    house.app.engine.says = "\n\n".join(texts)
    page.goto("/")
    page.locator("#open-workspace").wait_for(state="attached")
    page.evaluate(
        """() => new MutationObserver((all) => {
            const bad = "img, script, iframe, form, input:not(#question *), .dialog:not(#x *)";
            for (const one of all) {
                const found = one.target.closest?.("#chat")?.querySelector?.(bad);
                if (found) window.harmed.push(found.outerHTML.slice(0, 100));
            }
        }).observe(document.body, { childList: true, subtree: true })"""
    )
    page.locator("#question textarea").fill("\n".join(texts[:20]))
    page.keyboard.press("Enter")
    page.locator("#chat .bot-row").wait_for()
    page.locator("#question .submit-button").wait_for()
    watch.look(page, "#chat .prose, #chat .message-content", len(texts) + 20)
    # Gradio cannot be asked to leave a refusal out: what it quotes is shown as it was typed
    page.goto("/?" + urlencode({"conversation": texts[0], "workspace": "default"}))
    page.locator("#problem [role=alert]").wait_for()
    watch.look(page, "#problem, [data-testid=toast-text]", 1)
    for text in texts[:20]:
        page.goto("/?" + urlencode({"workspace": text, "__theme": text, "view": text}))
        watch.look(page, "main", 1)
    assert watch.failures[:9] == []
    page.context.close()


def test_what_was_put_into_a_text_does_not_leave_the_page(chromium, house, watch):
    rights = ["clipboard-read", "clipboard-write"]
    page = open_page(chromium, house, watch, "visitor", permissions=rights)
    said = "Write `<b>` or vec![a], <i>so</i>."
    with closing(house.app.db()) as db:
        talk = hostile_talk(db, house.people["visitor"].person.owner, [said])
    page.goto(f"/?conversation={talk}")
    row = page.locator("#chat .bot-row")
    row.wait_for()
    assert "\u2060" in row.inner_text()
    page.get_by_title("Copy message").last.click()
    page.wait_for_timeout(200)
    assert page.evaluate("navigator.clipboard.readText()").startswith(said)
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#chat .bot-row code'))")
    page.keyboard.press("Control+C")
    assert page.evaluate("navigator.clipboard.readText()") == "<b>"
    page.context.close()


@pytest.mark.parametrize("every", FORMS)
def test_in_the_widget(chromium, house, watch, every):
    page = open_page(chromium, house, watch, "anonymous")
    token, texts = "hostile".ljust(40, "x"), payloads(every=every)
    with closing(house.app.db()) as db:
        made = {"kind": "embed", "workspace_id": 1, "origins": ["https://a.example"]}
        known, key = create_key(db, f"widget {every}", **made, actor="x")
        owner = f"visitor:embed-{known.id}-{sha256(token.encode()).hexdigest()[:32]}"
    stored = f"localStorage.setItem('apprentice:{key}', JSON.stringify({{visitor: '{token}'}}))"
    page.goto("/login")
    page.evaluate(stored)
    for part in batches(texts, TALK):
        with closing(house.app.db()) as db:
            hostile_talk(db, owner, part)
        told = {"title": part[0], "placeholder": part[1], "accent": part[2], "lang": part[3]}
        page.goto(f"/embed/{key}#" + urlencode({**told, "sources": "on"}, quote_via=quote))
        page.reload()  # the part behind # alone makes no new page
        page.evaluate(stored)
        page.reload()
        page.locator(".assistant .feedback").nth(len(part) - 1).wait_for()
        assert page.locator("details .passage").count() >= len(part)
        watch.look(page, "#log .user, #log .assistant > :not(.feedback)", 5 * len(part))
    greeting = {"greeting": texts[0], "starters": str(texts[:3]), "sources": "on"}
    page.goto(f"/embed/{key}#" + urlencode(greeting, quote_via=quote))
    assert watch.failures[:9] == []
    page.context.close()


TABS = {
    "Overview": "#overview-house",
    "Feedback": "#rows",
    "Gaps": "#gaps",
    "Overrides": "#overrides",
    "Documents": "#documents",
    "Checks": "#checks",
    "Rounds": "#round-history",
    "Adapters": "#adapters",
    "Embed": "#embed-keys",
    "Keys": "#keys",
    "Settings": "#settings",
    "Users": "#users",
    "Audit": "#audit",
    "Erasure": "#erasure-requests",
}
"""What each tab of the admin's page shows first."""


@pytest.mark.parametrize("every", FORMS)
def test_on_the_admin_page(chromium, house, watch, every):
    texts = by_length(payloads(every=every), 400)[:: 2 if every else 6]
    with closing(house.app.db()) as db:
        place = workspace(db, "site" if every else "team")
    hostile_house(house.app, texts, place.id)
    page = open_page(chromium, house, watch, "ada", viewport={"width": 1600, "height": 900})
    page.goto(f"/admin/?workspace={place.name}")
    page.get_by_role("tab").nth(9).wait_for()
    for name, first in TABS.items():
        open_tab(page, name)
        page.locator(first).wait_for()
        page.wait_for_timeout(500)
        look_at_tab(page, watch, name, len(texts))
    assert watch.failures[:9] == []
    page.context.close()


def open_tab(page: Any, name: str) -> None:
    """The tab; the last ones are in a menu where the page is not wide enough."""
    tab = page.get_by_role("tab", name=re.compile(f"^{name}"))
    if tab.count():
        tab.click()
        return
    page.locator(".overflow-menu > button").click()
    page.locator(".overflow-dropdown button", has_text=name).click()


def _feedback(page: Any) -> None:
    for number in (1, 0):
        page.locator("#rows label").nth(number).click()
        page.wait_for_timeout(500)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


def look_at_tab(page: Any, watch: Watch, name: str, shown: int) -> None:
    """The tab as it opens, and what unfolds on it."""
    PRESSED.get(name, lambda page: None)(page)
    page.wait_for_timeout(300)
    watch.look(page, "[role=tabpanel] :is(.prose, [role=listbox], label span)", 2 * shown)


def _choose(page: Any, place: str, number: int = 0) -> None:
    page.locator(f"{place} input").first.click()
    page.get_by_role("option").nth(number).click()


def _gaps(page: Any) -> None:
    page.get_by_role("button", name="Show on a map").click()
    page.locator("#gap-map svg.plot").wait_for()


def _documents(page: Any) -> None:
    _choose(page, "#remove-name", 3)
    page.get_by_role("button", name="Show its passages").click()
    page.locator("#passages .passage").first.wait_for()


def _erasure(page: Any) -> None:
    _choose(page, "#certificate-chosen")
    page.locator("#certificate h1").wait_for()


def _adapters(page: Any) -> None:
    page.locator("#release-notes").wait_for()
    page.get_by_role("button", name="What did it learn from?").click()
    page.locator("#lineage h2").wait_for()


PRESSED: dict[str, Callable[[Any], None]] = {
    "Feedback": _feedback,
    "Gaps": _gaps,
    "Documents": _documents,
    "Adapters": _adapters,
    "Erasure": _erasure,
}
"""What is pressed on a tab before it is looked at."""
