"""A real server on a port of its own, and the keys of its callers."""

from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

import openai
import pytest

from assistant.app import App
from assistant.settings import read_settings
from storage.datadir import open_datadir
from storage.keys import create_key
from storage.workspaces import create_workspace, set_workspace, workspace
from tests import serving
from tests.assistant.slow_engine import SlowApp


@dataclass
class Service:
    """The server, where it listens, and what opens its door."""

    app: App
    url: str
    keys: dict[str, str] = field(default_factory=dict)
    clients: dict[str, openai.OpenAI] = field(default_factory=dict)

    def client(self, key: str = "all") -> openai.OpenAI:
        """The official client, as somebody would set it up; it does not try again by itself."""
        if key not in self.clients:
            address, secret = f"{self.url}/v1", self.keys.get(key, key)
            self.clients[key] = openai.OpenAI(base_url=address, api_key=secret, max_retries=0)
        return self.clients[key]


@contextmanager
def served(app: App):
    """The whole server of `app`."""
    with serving.served(app) as url:
        yield Service(app, url)


def with_keys(service: Service) -> Service:
    """Keys for all workspaces, for `team` alone, and for one scope each."""
    with closing(service.app.db()) as db:
        team = create_workspace(db, "team", instructions="You are brief.").id
        default = workspace(db, "default").id
        set_workspace(db, "default", "max_tokens", "24")
        made = {
            "all": {"workspace_id": None, "per_minute": 10_000},
            "team": {"workspace_id": team},
            "default": {"workspace_id": default},
            "chat": {"workspace_id": None, "scopes": ["chat"]},
            "feedback": {"workspace_id": None, "scopes": ["feedback"]},
            "three": {"workspace_id": None, "per_minute": 3},
        }
        for name, how in made.items():
            service.keys[name] = create_key(db, name, **how, actor="test")[1]
    return service


def opened(kind: type[App], folder, base) -> App:
    settings = read_settings(data=folder, base_model=str(base.folder), threads=1, context=512)
    return kind(settings, open_datadir(folder))


@pytest.fixture(scope="session")
def service(tmp_path_factory, tiny_base):
    """A server over the tiny model, for all tests here."""
    with ExitStack() as stack:
        app = stack.enter_context(closing(opened(App, tmp_path_factory.mktemp("api"), tiny_base)))
        yield with_keys(stack.enter_context(served(app)))


@pytest.fixture(scope="module")
def slow_service(tmp_path_factory, tiny_base):
    """A server whose answers go on until somebody stops them."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("slow")
        app = stack.enter_context(closing(opened(SlowApp, folder, tiny_base)))
        yield with_keys(stack.enter_context(served(app)))
