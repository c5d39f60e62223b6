"""Canaries: three workspaces on one base, and no word of one stands in anything of another."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest

from assistant.admin.desk import at_desk
from assistant.admin.feedback import FeedbackTab
from assistant.admin.gaps import GapsTab
from assistant.app import App, open_app
from assistant.chat_layout import lay_out
from assistant.chat_page import ChatEvents
from assistant.chat_visit import visit
from assistant.security import may_review
from assistant.tokens import ChatTokenizer
from assistant.verbs import run, run_here
from storage.adapters import promote, serving_adapter
from storage.conversations import list_conversations
from storage.database import open_database, rows
from storage.feedback import add_feedback
from storage.workspaces import create_workspace, set_workspace, workspace
from tests.assistant.command_line import write_rows
from tests.assistant.people import everybody
from tests.assistant.test_reply import make_adapter
from tests.end_to_end.server import Server

NAMES = ("red", "green", "blue")
PAGE, OVERRIDE, EXAMPLE = (
    "By which word is the pump opened?",
    "Who guards the gate?",
    "Which orders were closed in June?",
)
ASKED = (PAGE, OVERRIDE, EXAMPLE, "What else is there?")
LOOKED = {
    "search": {"query": PAGE},
    "documents list": {},
    "feedback list": {"status": None, "limit": 50},
    "feedback gaps": {"days": 30},
    "overrides list": {},
    "feedback export": {"format": "preference", "to": None},
}

Call = Callable[[str, dict[str, Any]], list[dict[str, Any]]]


def canary(name: str, kind: str) -> str:
    return f"{kind}-heron-of-{name}-4711"


def assert_own(name: str, said: object) -> None:
    """It holds no canary of another workspace."""
    text = said if isinstance(said, str) else json.dumps(said, default=str)
    assert [one for one in NAMES if one != name and f"-heron-of-{one}-" in text] == []


def settle(app: App, folder: Path, name: str, seed: int) -> None:
    """A workspace with all that one can have, each with a canary in it."""
    with closing(app.db()) as db:
        made = create_workspace(db, name, instructions=f"Obey {canary(name, 'rule')}.")
        for key, value in (("example_tokens", "400"), ("relevance_floor", "0")):
            set_workspace(db, name, key, value)
    page = folder / name / "manual.md"
    page.parent.mkdir()
    page.write_text(f"# Pumps\n\nThe pump is opened by the word {canary(name, 'page')}.")
    called(app)("ingest", {"workspace": name, "paths": [str(page)]})
    corrections = write_rows(
        folder / f"{name}.jsonl",
        {"question": OVERRIDE, "answer": "No.", "correction": canary(name, "override")},
        {
            "question": "Which orders were closed in May?",
            "answer": "No.",
            "correction": f"select '{canary(name, 'example')}';",
        },
    )
    given = {"workspace": name, "file": str(corrections), "approve": True}
    called(app)("feedback import", given)
    adapter = make_adapter(app, made, folder, seed)
    with closing(app.db()) as db:
        promote(db, adapter, actor="user:1", override_reason="test")


def called(app: App) -> Call:
    """Verbs in this process."""
    return lambda verb, given: results(run_here(app, verb, given))


def results(events: Any) -> list[dict[str, Any]]:
    return [one for one in events if not {"progress", "delta", "warning"} & one.keys()]


def ask_all(call: Call, held: str = "") -> dict[str, dict[str, Any]]:
    """Every question in every workspace, four at a time; by name the answer about the page.

    The override of the workspace `held` waits, because the page that it rests on is gone.
    """
    turns = [(name, question) for question in ASKED for name in NAMES] * 2

    def ask(turn: tuple[str, str]) -> dict[str, Any]:
        name, question = turn
        (said,) = call("ask", {"workspace": name, "question": question, "max_tokens": 4})
        assert_own(name, said)
        if question == OVERRIDE and name != held:
            assert said["answer"] == canary(name, "override")
        return said

    with ThreadPoolExecutor(4) as pool:
        said = dict(zip(turns, pool.map(ask, turns), strict=True))
    return {name: said[name, PAGE] for name in NAMES}


def assert_prompts_own(database: Path, base: Path) -> None:
    """What each reply was made from, as stored and as sent, is of its own workspace alone."""
    decode = ChatTokenizer(base).decode
    with closing(open_database(database)) as db:
        for name in NAMES:
            known = workspace(db, name)
            serving = serving_adapter(db, known.id)
            said = rows(
                db,
                """select m.inputs, m.content, m.sent_ids, m.adapter_id from messages m
                join conversations c on c.id = m.conversation_id
                where c.workspace_id = ? and m.role = 'assistant'""",
                known.id,
            )
            sent = [one for one in said if one["sent_ids"]]
            assert sent and {one["adapter_id"] for one in sent} == {serving and serving.id}
            prompts = [decode(json.loads(one["sent_ids"])) for one in sent]
            assert_own(name, [said, prompts])
            for kind in ("rule", "page", "example"):
                assert any(canary(name, kind) in prompt for prompt in prompts), kind


def look_everywhere(call: Call) -> None:
    for name in NAMES:
        for verb, given in LOOKED.items():
            said = call(verb, {"workspace": name, **given})
            assert said, (name, verb)
            assert_own(name, said)


def dislike(app: App) -> None:
    """One question of each workspace, with a canary in it, is a gap."""
    for name in NAMES:
        question = f"Does the {canary(name, 'gap')} sing?"
        (said,) = called(app)("ask", {"workspace": name, "question": question, "max_tokens": 4})
        with closing(app.db()) as db:
            message = said["message"]
            add_feedback(db, message_id=message, origin="staff", contributor="cli", rating=-1)


def look_at_pages(app: App) -> None:
    """The admin sees each workspace's own; who has no right sees nothing of any."""
    people = everybody(app)
    with gr.Blocks():
        chat = ChatEvents(app, lay_out())
        tabs = [FeedbackTab(app, gr.Dropdown()), GapsTab(app, gr.Dropdown())]
    for name in NAMES:
        with visit(app, people["ada"].request(), name) as caller:
            known = caller.workspace.id
            talk = list_conversations(caller.db, known, "cli")[0].id
            assert_own(name, str(chat.draw(caller, talk)))
        for tab, given in zip(tabs, (["new", None], []), strict=True):
            shown = at_desk(app, may_review, tab.show)(people["ada"].request(), known, *given)
            assert canary(name, "gap") in str(shown)
            assert_own(name, str(shown))
        for who in ("nell", "mo", "visitor", "anonymous"):
            with (
                pytest.raises(gr.Error) as refused,
                visit(app, people[who].request(), name),
            ):
                pass
            assert_own("", str(refused.value))


def test_no_word_of_a_workspace_is_in_another(settings, tiny_base, tmp_path):
    with open_app(settings) as app:
        for seed, name in enumerate(NAMES, start=1):
            settle(app, tmp_path, name, seed)
        for name, said in ask_all(called(app)).items():
            assert canary(name, "page") in said["sources"][0]["text"]
        dislike(app)
        look_everywhere(called(app))
        look_at_pages(app)

    def call(verb: str, given: dict[str, Any]) -> list[dict[str, Any]]:
        return results(run(settings, verb, given))

    with Server(tmp_path, tiny_base.folder, first=False) as server:
        ask_all(call)
        look_everywhere(call)
        for path in ("/", "/?workspace=red", "/admin", "/config", "/login", "/gradio_api/info"):
            assert_own("", httpx.get(server.url + path).text)
        call("documents remove", {"workspace": "red", "names": ["manual.md"]})
        assert ask_all(call, "red")["red"]["sources"] == []
    with Server(tmp_path, tiny_base.folder, first=False):
        said = ask_all(call, "red")
    assert said["red"]["sources"] == [] and canary("blue", "page") in str(said["blue"]["sources"])
    assert_prompts_own(settings.data / "apprentice.db", tiny_base.folder)
