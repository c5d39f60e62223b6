"""The pictures of these pages, from the running product: `python -m docs.screenshots DEMO_DATA`.

DEMO_DATA is what `apprentice demo` has left (`demo-data`); a copy of it is served and asked. Needs
the extra `dev` and chromium.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

from playwright.sync_api import Page, sync_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from assistant.security import hash_password
from storage.database import open_database
from storage.datadir import open_datadir
from storage.keys import create_key
from storage.users import create_user
from storage.workspaces import set_workspace, workspace
from tests.end_to_end.conftest import CHROMIUM
from tests.end_to_end.server import Server
from tests.serving import on_a_port

HERE = Path(__file__).parent
WORKSPACE = "demo"
ADMIN = "picture-admin"
PASSWORD = "correct horse battery"
FROM_DOCUMENTS = "How long may unused goods be returned?"
UNKNOWN = "Which harbour has the cheapest berths in winter?"
WRONG = "Which invoices were paid in the last week?"
RIGHT = "SELECT inv_no, amount FROM ar_invoices WHERE paid_on >= date('now', '-7 days');"
SHOP = """<!doctype html><html lang="en"><head><title>Tern &amp; Tiller</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body {{ font: 17px/1.6 Georgia, serif; margin: 0; color: #1f2937; }}
header {{ background: #1e3a5f; color: #fff; padding: 1.2rem 3rem; font-size: 1.4rem; }}
main {{ max-width: 38rem; padding: 2rem 3rem; }}
</style></head><body><header>Tern &amp; Tiller</header><main><h1>Gear for long passages</h1>
<p>Jackets, sails and deck gear, made in small numbers and mended for as long as they last.</p>
<p>Questions about sizes, repairs and returns are answered in the corner below.</p></main>
<script async src="{server}/widget.js" data-key="{key}" data-sources="on" data-open="true"
 data-title="Tern &amp; Tiller"></script></body></html>"""


def take(demo: Path) -> None:
    """Every picture, into `docs/`."""
    with tempfile.TemporaryDirectory() as folder, _website() as (shop, show):
        data = Path(folder) / "data"
        copytree(demo, data, ignore=ignore_patterns(".lock", "server.sock"))
        key = _prepare(data, shop)
        with (
            Server(Path(folder), Path("embedded"), first=False) as server,
            sync_playwright() as player,
        ):
            browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            _chat(_open(browser, server.url))
            _admin(_open(browser, server.url))
            show["page"] = SHOP.format(server=server.url, key=key)
            _widget(_open(browser, shop))
            browser.close()


def _prepare(data: Path, shop: str) -> str:
    """An admin, a workspace for everybody, a website's key."""
    with closing(open_database(open_datadir(data).database)) as db:
        create_user(db, ADMIN, hash_password(PASSWORD), "admin")
        for name, value in (("access", "public"), ("embed_sources", "true")):
            set_workspace(db, WORKSPACE, name, value)
        its = workspace(db, WORKSPACE).id
        made = create_key(
            db, "website", kind="embed", workspace_id=its, origins=[shop], actor="docs"
        )
    return made[1]


@contextmanager
def _website() -> Iterator[tuple[str, dict[str, str]]]:
    """Its address, and a place for its one page."""
    show: dict[str, str] = {}

    def page(request: Request) -> HTMLResponse:
        return HTMLResponse(show["page"])

    with on_a_port(Starlette(routes=[Route("/", page)])) as url:
        yield url, show


def _open(browser: Any, url: str) -> Page:
    context = browser.new_context(
        base_url=url, viewport={"width": 1280, "height": 900}, color_scheme="light"
    )
    page: Page = context.new_page()
    page.set_default_timeout(120_000)
    return page


def _shot(page: Page, name: str) -> None:
    page.wait_for_timeout(1500)  # fonts, scrolling and fades come to rest
    page.screenshot(path=HERE / name)


def _chat(page: Page) -> None:
    page.goto(f"/?workspace={WORKSPACE}")
    _ask(page, FROM_DOCUMENTS)
    page.locator("#chat details.source summary").last.click()
    _shot(page, "pictures/sources.png")
    _ask(page, WRONG)
    page.get_by_role("button", name="Correct this answer").last.click()
    page.locator("#correction textarea").fill(RIGHT)
    _shot(page, "chat.png")
    page.get_by_role("button", name="Save correction", exact=True).click()
    page.get_by_text("A reviewer looks at it").first.wait_for()
    _ask(page, UNKNOWN)


def _ask(page: Page, question: str) -> None:
    rows = page.locator("#chat .bot-row")
    before = rows.count()
    box = page.locator("#question textarea")
    box.fill(question)
    box.press("Enter")
    rows.nth(before).wait_for()
    page.locator("#question .submit-button").wait_for()


def _admin(page: Page) -> None:
    page.goto(f"/login?next=/admin?workspace={WORKSPACE}")
    page.get_by_label("Name").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_role("tab", name="Feedback").click()
    page.get_by_label("From the public (1)").click()  # the number is there once all is
    page.locator("#feedback-detail ins").first.wait_for()
    _shot(page, "pictures/queue.png")
    page.get_by_role("tab", name="Rounds").click()
    page.locator("#round-history .round").first.wait_for()
    _shot(page, "pictures/rounds.png")
    page.get_by_role("tab", name="Adapters").click()
    page.locator("#adapters").wait_for()
    _shot(page, "pictures/adapters.png")
    page.get_by_role("tab", name="Gaps").click()
    page.get_by_role("button", name="Show on a map of the documents").click()
    page.locator("#gap-map svg").wait_for()
    page.wait_for_timeout(1500)  # the veil of the progress goes, and the drawing is put in anew
    page.locator("#gap-map svg").scroll_into_view_if_needed()
    _shot(page, "pictures/map.png")
    page.get_by_role("tab", name="Overview").click()
    page.locator("#overview-house").get_by_text("Disk", exact=True).wait_for()
    _shot(page, "pictures/overview.png")


def _widget(page: Page) -> None:
    page.goto("/")
    panel = page.frame_locator("iframe")
    panel.locator("#box").fill(FROM_DOCUMENTS)
    panel.locator("#box").press("Enter")
    panel.locator(".assistant:has(.feedback)").first.wait_for()
    _shot(page, "pictures/widget.png")


if __name__ == "__main__":
    take(Path(sys.argv[1]))
