"""The widget's own page before a server whose answers do not end by themselves."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import httpx
import pytest

from assistant.readers import AT_ONCE
from assistant.settings import read_settings
from storage.datadir import open_datadir
from storage.keys import create_key
from storage.workspaces import set_workspace
from tests.assistant.slow_engine import SlowApp
from tests.end_to_end.test_browser import twice
from tests.serving import served

pytestmark = pytest.mark.browser


@pytest.fixture
def address(tmp_path, tiny_base) -> Iterator[str]:
    """Of an embed key."""
    settings = read_settings(data=tmp_path / "slow", base_model=str(tiny_base.folder), threads=1)
    app = SlowApp(settings, open_datadir(settings.data))
    with closing(app), served(app) as server:
        with closing(app.db()) as db:
            set_workspace(db, "default", "access", "public")
            made = {"kind": "embed", "workspace_id": 1, "origins": ["https://a.example"]}
            key = create_key(db, "slow", **made, actor="x", per_minute=1000)[1]
        yield f"{server}/embed/{key}"


@pytest.fixture
def page(chromium) -> Iterator[Any]:
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(20_000)
    yield page
    context.close()


def test_stop_ends_the_answer_and_keeps_what_was_said(page, address):
    page.goto(address)
    page.locator("#box").fill("Tell me a very long story.")
    twice(page, page.get_by_role("button", name="Send"))
    page.get_by_text("word " * 40).wait_for()
    assert page.locator(".said.user").count() == 1 and page.locator(".note").count() == 0
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped before the end.").wait_for()
    page.get_by_role("button", name="Send").wait_for()
    page.reload()
    page.get_by_text("Stopped before the end.").wait_for()
    assert "word word word" in page.locator(".assistant").inner_text()


def test_where_the_server_is_full_the_question_waits_and_is_asked_again(page, address):
    """All places are taken: somebody waits, leaves, waits again and gets one."""
    with ExitStack() as others:
        for other in range(AT_ONCE):
            asked = httpx.stream(
                "POST",
                f"{address}/ask",
                json={"question": "Tell me a story."},
                headers={"X-Apprentice-Visitor": f"the visitor with the number {other:09}"},
                timeout=60,
            )
            answer = others.enter_context(asked)
            assert answer.status_code == 200
        page.goto(address)
        box = page.locator("#box")
        for leaves in (True, False):
            box.fill("And me?")
            page.get_by_role("button", name="Send").click()
            page.get_by_text("Your question waits here.").wait_for()
            if leaves:
                page.get_by_role("button", name="Stop").click()
                page.get_by_role("button", name="Send").wait_for()
                page.locator(".said.user").wait_for(state="detached")  # as the server has it
                assert box.input_value() == "And me?"
        others.close()
        page.get_by_text("word " * 40).wait_for()
        assert page.locator(".said.user").count() == 1 and page.locator(".note").count() == 0
