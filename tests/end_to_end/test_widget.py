"""The widget as a visitor meets it: in a real browser, on a page of another origin that forbids
nearly everything.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from assistant.app import App, open_app
from assistant.avatar import avatar_as_given
from assistant.settings import read_settings
from storage.feedback import list_feedback
from storage.keys import create_key, list_keys, revoke_key
from storage.workspaces import set_workspace
from tests.assistant.pictures import picture
from tests.serving import on_a_port, served

pytestmark = pytest.mark.browser

QUESTION = "How do I return a broken product?"
# what the README says that a page must allow, and nothing else
POLICY = (
    "default-src 'none'; script-src {server}; frame-src {server}; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
PAGE = """<!doctype html><html lang="{lang}"><head><title>A shop</title>
<meta name="viewport" content="width=device-width, initial-scale=1">{scripts}</head>
<body><main><h1>A shop</h1><p><a href="/">Everything</a></p><div id="place"></div></main></body>
</html>"""


@dataclass
class Shop:
    """A website with the widget, and the assistant behind it."""

    app: App
    url: str
    server: str
    asked: dict[str, Any] = field(default_factory=dict)

    def key(self, **limits: int) -> str:
        with closing(self.app.db()) as db:
            made = {"kind": "embed", "workspace_id": 1, "origins": [self.url], "actor": "x"}
            return create_key(db, f"key {len(list_keys(db))}", **made, **limits)[1]

    def show(
        self, page: Any, key: str, *, times: int = 1, lang: str = "en", **options: str
    ) -> None:
        """Open the shop's page with the line in it."""
        more = "".join(f" data-{name.replace('_', '-')}='{options[name]}'" for name in options)
        line = f'<script async src="{self.server}/widget.js" data-key="{key}"{more}></script>'
        self.asked.update(lang=lang, scripts=line * times)
        page.goto(self.url)

    def page(self, request: Request) -> Response:
        if request.url.path != "/":
            return Response(status_code=404)
        headers = {"Content-Security-Policy": POLICY.format(server=self.server)}
        return HTMLResponse(PAGE.format(**self.asked), headers=headers)


@pytest.fixture(scope="module")
def shop(tmp_path_factory, tiny_base) -> Iterator[Shop]:
    data = tmp_path_factory.mktemp("widget") / "data"
    settings = read_settings(data=data, base_model=str(tiny_base.folder), threads=2)
    site = Starlette(routes=[Route("/{path:path}", lambda request: made.page(request))])
    with open_app(settings) as app, served(app) as server, on_a_port(site) as url:
        made = Shop(app, url, server)
        with closing(app.db()) as db:
            set_workspace(db, "default", "access", "embed")
            set_workspace(db, "default", "max_tokens", "12")
        yield made


@dataclass
class Visitor:
    """Somebody at a browser; what it asked for and complained of is kept."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def panel(self) -> Any:
        return self.page.frame_locator("iframe")

    def open(self) -> None:
        self.page.get_by_role("button", name="Ask a question").click()
        self.panel.locator("#box").wait_for()

    def ask(self, question: str) -> str:
        answers = self.panel.locator(".assistant:has(.feedback)")
        before = answers.count()
        self.panel.locator("#box").fill(question)
        self.page.keyboard.press("Enter")
        answers.nth(before).wait_for()
        return str(answers.last.inner_text())

    def events(self) -> list[str]:
        return list(self.page.evaluate("window.heard || []"))


@pytest.fixture
def visitor(chromium) -> Iterator[Visitor]:
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(20_000)
    who = Visitor(page)
    page.on("request", lambda request: who.requests.append(request.url))
    page.on("console", lambda said: said.type == "error" and who.complaints.append(said.text))
    page.on("pageerror", lambda error: who.complaints.append(str(error)))
    names = ("ready", "open", "close", "message", "feedback", "error")
    page.add_init_script(
        "window.heard = [];"
        f"for (const name of {list(names)!r}) document.addEventListener('apprentice:' + name,"
        "(event) => window.heard.push(name + ' ' + JSON.stringify(event.detail)));"
    )
    yield who
    context.close()


def axe_violations(place: Any) -> list[str]:
    """What axe says of a page or a frame."""
    from axe_playwright_python.base import AXE_FILE_PATH

    place.evaluate(AXE_FILE_PATH.read_text())
    found = place.evaluate("axe.run(document, {iframes: false})")
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found["violations"]]


def test_the_loop_on_a_page_that_forbids_nearly_everything(shop, visitor):
    page = visitor.page
    shop.show(page, shop.key(), times=2)
    button = page.get_by_role("button", name="Ask a question")
    button.wait_for()
    assert button.count() == 1
    assert set(visitor.requests) - {f"{shop.url}/"} == {f"{shop.server}/widget.js"}
    assert axe_violations(page) == []
    visitor.open()
    assert page.evaluate("document.activeElement.shadowRoot.activeElement.tagName") == "IFRAME"
    visitor.ask(QUESTION)
    visitor.panel.get_by_role("button", name="Bad answer").click()
    visitor.panel.get_by_label("Wrong tone").check()
    visitor.panel.get_by_role("button", name="Send").first.click()
    visitor.panel.get_by_text("Thank you. A person will read it.").wait_for()
    visitor.panel.get_by_role("button", name="Correct this answer").click()
    visitor.panel.locator(".wanted").fill("Send it back within 45 days.")
    visitor.panel.get_by_role("button", name="Send").first.click()
    visitor.panel.get_by_text("You corrected this answer.").wait_for()
    with closing(shop.app.db()) as db:
        waiting = list_feedback(db, 1, status="quarantined")
    assert [item.correction for item in waiting] == ["Send it back within 45 days.", None, None]
    assert [item.question for item in waiting] == [QUESTION] * 3
    assert waiting[1].reasons == ("Wrong tone",)
    said = [event.split(" ")[0] for event in visitor.events()]
    assert said == ["ready", "open", "message", "message", "feedback", "feedback", "feedback"]
    assert QUESTION not in str(visitor.events())  # what was said is between visitor and assistant
    assert page.context.cookies() == []
    assert visitor.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_panel(shop, visitor, scheme):
    page = visitor.page
    page.emulate_media(color_scheme=scheme)
    shop.show(page, shop.key(), starters='["How much is it?"]', accent="#ffcc00", theme="auto")
    visitor.open()
    frame = page.frames[1]
    visitor.panel.get_by_role("button", name="How much is it?").wait_for()
    assert axe_violations(frame) == []
    visitor.panel.get_by_role("button", name="How much is it?").click()
    visitor.panel.get_by_role("button", name="Bad answer").click()
    visitor.panel.get_by_label("Wrong tone").wait_for()
    assert axe_violations(frame) == []
    small = frame.evaluate(
        "[...document.querySelectorAll('button, summary, .reason')].filter((one) =>"
        " one.checkVisibility() && one.getBoundingClientRect().height < 44).length"
    )
    assert small == 0


def test_history_and_what_was_typed_survive_a_reload(shop, visitor):
    key = shop.key()
    shop.show(visitor.page, key, open="true")
    visitor.ask("My first question?")
    visitor.panel.locator("#box").fill("half a thou")
    visitor.page.reload()
    visitor.panel.get_by_text("My first question?").wait_for()
    assert visitor.panel.locator("#box").input_value() == "half a thou"
    visitor.page.evaluate("Apprentice.reset()")
    visitor.panel.get_by_text("What would you like to know?").wait_for()
    visitor.page.evaluate("Apprentice.identify('customer-7'.padEnd(40, 'x'))")
    visitor.ask("A question as somebody known?")
    visitor.page.reload()
    visitor.panel.get_by_text("What would you like to know?").wait_for()
    visitor.page.evaluate("Apprentice.identify('customer-7'.padEnd(40, 'x'))")
    visitor.panel.get_by_text("A question as somebody known?").wait_for()


def test_no_connection_and_a_used_up_day_are_said_and_lose_nothing(shop, visitor):
    page, box = visitor.page, visitor.panel.locator("#box")
    shop.show(page, shop.key(per_visitor=1), open="true")
    page.route("**/ask", lambda route: route.abort())
    box.fill(QUESTION)
    page.keyboard.press("Enter")
    problem = visitor.panel.get_by_role("alert")
    problem.get_by_text("The server cannot be reached.").wait_for()
    assert box.input_value() == QUESTION
    page.unroute("**/ask")
    visitor.panel.get_by_role("button", name="Try again").click()
    visitor.panel.locator(".assistant .feedback").wait_for()
    box.fill("And then?")
    box.press("Enter")
    problem.get_by_text("That was the last question for today.").wait_for()
    assert box.input_value() == "And then?"


def test_escape_closes_and_gives_the_focus_back(shop, visitor):
    page = visitor.page
    page.emulate_media(reduced_motion="reduce")
    shop.show(page, shop.key(), lang="de-AT", launcher_text="Hilfe", position="top-left")
    button = page.get_by_role("button", name="Hilfe")
    box = button.bounding_box()
    assert box["x"] == box["y"] == 20
    button.click()
    page.get_by_role("dialog", name="Chat").wait_for()
    visitor.panel.get_by_text("Was möchten Sie wissen?").wait_for()
    visitor.panel.locator("#box").press("Escape")
    page.get_by_role("dialog", name="Chat").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.shadowRoot.activeElement.innerText") == "Hilfe"
    assert button.get_attribute("aria-expanded") == "false"


def test_on_a_phone_it_fills_the_screen(shop, visitor):
    page = visitor.page
    page.set_viewport_size({"width": 390, "height": 844})
    shop.show(page, shop.key())
    visitor.open()
    panel = page.get_by_role("dialog")
    panel.evaluate("one => Promise.all(one.getAnimations().map((each) => each.finished))")
    box = panel.bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 390, 844)
    visitor.panel.get_by_role("button", name="Close the chat").click()
    page.get_by_role("dialog").wait_for(state="hidden")
    page.get_by_role("button", name="Ask a question").wait_for()


def test_inline_it_stands_in_the_page(shop, visitor):
    shop.show(visitor.page, shop.key(), target="#place", height="500")
    visitor.ask(QUESTION)
    assert visitor.page.locator("#place iframe").bounding_box()["height"] == 500
    assert visitor.page.get_by_role("button", name="Ask a question").count() == 0


def test_behind_a_revoked_key_and_on_a_foreign_page_the_button_goes(shop, visitor):
    page = visitor.page
    key = shop.key()
    with closing(shop.app.db()) as db:
        revoke_key(db, list_keys(db)[0].name, actor="x")
        foreign = {"kind": "embed", "workspace_id": 1, "actor": "x"}
        other = create_key(db, "other", origins=["https://other.example"], **foreign)[1]
    for barred in (key, other):
        shop.show(page, barred)
        button = page.get_by_role("button", name="Ask a question")
        button.click()
        page.get_by_role("dialog").wait_for(state="detached")
        assert visitor.events()[-1].startswith("error ")
        assert button.count() == 0


def test_a_server_that_is_away_leaves_nothing_behind(shop, visitor):
    page = visitor.page
    page.route("**/widget.js", lambda route: route.abort())
    shop.show(page, shop.key())
    assert page.locator("body > *").count() == 1
    assert not page.evaluate("'Apprentice' in window")


HOSTILE = """# A heading
<img src=x onerror="window.ran = 1"> ![pixel]({url}/leak.png) [run](javascript:window.ran=1)
[a *page*](https://example.com/a_(b)) and https://example.com/c.
- **strong <script>window.ran = 1</script>**
- `code`

```
<b>kept</b>
```"""


def test_a_reply_is_text_whatever_it_says(shop, visitor):
    page = visitor.page
    page.goto(f"{shop.server}/embed/{shop.key()}")
    page.locator(".assistant").wait_for()
    visitor.requests.clear()
    page.evaluate(
        """async (text) => {
            const { rendered } = await import("/ui/markdown.js");
            document.getElementById("log").replaceChildren(rendered(text));
        }""",
        HOSTILE.format(url=shop.url),
    )
    shown = page.locator("#log")
    assert shown.locator("img, script, b, iframe").count() == 0
    assert "<img src=x" in shown.inner_text() and "[run](javascript:" in shown.inner_text()
    links = shown.locator("a")
    assert links.evaluate_all("all => all.map((one) => one.getAttribute('href'))") == [
        f"{shop.url}/leak.png",
        "https://example.com/a_(b)",
        "https://example.com/c",
    ]
    assert set(links.evaluate_all("all => all.map((one) => one.rel + one.target)")) == {
        "noopener noreferrer nofollow_blank"
    }
    assert shown.locator("li").count() == 2 and shown.locator("pre").inner_text() == "<b>kept</b>"
    assert page.evaluate("window.ran") is None
    assert not [url for url in visitor.requests if "leak" in url]


def test_the_workspace_names_its_assistant_where_the_page_does_not(shop, visitor, tmp_path):
    page, panel = visitor.page, visitor.panel
    face = avatar_as_given(str(picture(tmp_path / "face.png")))
    values = {"assistant_name": "Tilla", "greeting": "I know our <b>gear</b>.", "avatar": face}
    with closing(shop.app.db()) as db:
        for key, value in {**values, "starters": '["What can I ask?"]'}.items():
            set_workspace(db, "default", key, value)
    try:
        shop.show(page, shop.key())
        visitor.open()
        page.get_by_role("dialog", name="Tilla").wait_for()
        panel.get_by_role("heading", name="Tilla").wait_for()
        panel.get_by_text("I know our <b>gear</b>.").wait_for()
        panel.get_by_role("button", name="What can I ask?").wait_for()
        assert panel.locator("#avatar").evaluate("one => one.decode().then(() => one.naturalWidth)")
        assert axe_violations(page.frames[-1]) == []
        shop.show(page, shop.key(), title="A shop", greeting="Hello.", starters="[]")
        visitor.open()
        page.get_by_role("dialog", name="A shop").wait_for()
        panel.get_by_role("heading", name="A shop").wait_for()
        panel.get_by_text("Hello.", exact=True).wait_for()
        assert panel.locator("#starters button").count() == 0
    finally:
        with closing(shop.app.db()) as db:
            for key in values:
                set_workspace(db, "default", key, "")
            set_workspace(db, "default", "starters", "[]")
    assert visitor.complaints == []
