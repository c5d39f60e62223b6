"""The server goes amid an answer, on the chat page and in the widget's panel; then it is back."""

import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from storage.database import open_database
from storage.datadir import open_datadir
from storage.keys import create_key
from storage.workspaces import set_workspace
from tests.end_to_end.server import Server
from tests.end_to_end.test_browser import people

pytestmark = pytest.mark.browser

__all__ = ["people"]

SLOW = "tests.end_to_end.slow_server"
STOPPED = "Stopped before the end."
REPLIES = {"#question textarea": "#chat .bot-row", "#box": ".assistant"}
"""Where one types on a page -> where the answers stand."""


@pytest.mark.parametrize(
    ("end", "saved"),
    [(signal.SIGTERM, True), pytest.param(signal.SIGKILL, False, marks=pytest.mark.slow)],
)
def test_an_answer_that_is_cut_off_is_kept_or_told_and_nothing_typed_is_lost(
    people, tmp_path, tiny_base, end, saved
):
    key = _site(tmp_path / "data")
    with Server(tmp_path, tiny_base.folder, module=SLOW) as server:
        shown = {}
        for box, place in (("#question textarea", "/"), ("#box", f"/embed/{key}")):
            shown[box] = people(server.url).page
            shown[box].goto(place)
            _ask(shown[box], box)
        server.end(end)
        for box, page in shown.items():
            _is_away(page, box, saved=saved)
    with Server(tmp_path, tiny_base.folder, module=SLOW, port=server.port):
        for box, page in shown.items():
            _is_back(page, box, saved=saved)


def _site(data: Path) -> str:
    """A workspace for everybody, with a website's key."""
    with closing(open_database(open_datadir(data).database)) as db:
        set_workspace(db, "default", "access", "public")
        made = {"kind": "embed", "workspace_id": 1, "origins": ["https://a.example"]}
        return create_key(db, "site", **made, actor="x")[1]


def _ask(page: Any, box: str) -> None:
    """While the answer is made the next question is typed."""
    page.locator(box).fill("Tell me a very long story.")
    page.locator(box).press("Enter")
    page.locator(REPLIES[box]).filter(has_text="word word word").wait_for()
    page.locator(box).fill("And then?")


def _is_away(page: Any, box: str, *, saved: bool) -> None:
    from playwright.sync_api import expect

    if box == "#box":  # a server that stops in order ends the answer with this
        page.locator(".assistant").filter(has_text=STOPPED).wait_for()
        broken = page.get_by_role("alert").get_by_text("The connection broke")
        assert broken.is_visible() != saved
    else:
        page.locator("#away").wait_for()
    assert "word word word" in page.locator(REPLIES[box]).inner_text()
    expect(page.locator(box)).to_have_value("And then?")


def _is_back(page: Any, box: str, *, saved: bool) -> None:
    """`saved`: the server had the time to save what it had said."""
    from playwright.sync_api import expect

    if box == "#box":  # the chat page does it by itself
        page.reload()
    reply = page.locator(REPLIES[box]).filter(has_text=STOPPED)
    reply.wait_for()
    assert ("word word word" in reply.inner_text()) == saved
    expect(page.locator(box)).to_have_value("And then?")
