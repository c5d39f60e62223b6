"""People at a chat page in this process, and what a test puts into their conversations."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from assistant.app import App
from assistant.security import identify
from assistant.settings import read_settings
from storage.conversations import add_message, start_conversation
from storage.datadir import open_datadir
from storage.records import Inputs, Passage
from storage.workspaces import set_workspace
from tests.end_to_end.test_browser import Person
from tests.serving import served

PHONE = {"viewport": {"width": 390, "height": 844}}


@dataclass
class ChatServer:
    """A chat page open to everybody."""

    app: App
    url: str


@contextmanager
def chat_server(data: Path, base: Path, **values: str) -> Iterator[ChatServer]:
    """The page on a tiny model; `values` are settings of the workspace."""
    settings = read_settings(data=data, base_model=str(base), threads=1)
    app = App(settings, open_datadir(settings.data))
    with closing(app.db()) as db:
        for key, value in {"access": "public", "max_tokens": "12", **values}.items():
            set_workspace(db, "default", key, value)
    with served(app) as url:
        yield ChatServer(app, url)
    app.close()


def arrive(people: Any, url: str, **context: Any) -> Person:
    """Somebody new, with the page drawn."""
    person: Person = people(url, **context)
    person.page.goto("/")
    person.page.locator("#open-workspace").wait_for(state="attached")
    return person


def passage(document: str, text: str, source_url: str | None = None) -> Passage:
    """A passage of a document that is not there any more."""
    return Passage(1, 1, document, text, text, 1.0, source_url=source_url)


def told(server: ChatServer, person: Person, *turns: tuple[str, str], passages: Any = ()) -> str:
    """A conversation of this person's with these questions and replies, opened; its id."""
    page = person.page
    cookies = {one["name"]: one["value"] for one in page.context.cookies()}
    owner = identify(SimpleNamespace(cookies=cookies), server.app).owner
    inputs = Inputs("So?", "", 1, passages=tuple(passages))
    last: str | None = None
    with closing(server.app.db()) as db:
        talk = start_conversation(db, 1, owner)
        for question, answer in turns:
            asked = add_message(db, talk.id, "user", question, parent_id=last).id
            said = add_message(db, talk.id, "assistant", answer, parent_id=asked, inputs=inputs)
            last = said.id
    page.goto(f"/?conversation={talk.id}")
    page.locator("#chat .bot-row").nth(len(turns) - 1).wait_for()
    return talk.id
