"""`/metrics`: who may read it, and what it says of replies, rounds and feedback."""

from contextlib import ExitStack, closing
from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from assistant.api.door import KeyRing
from assistant.app import App, open_app
from assistant.measures import Measures, metrics_page
from assistant.observed import Observed
from assistant.reply import ReplyOptions, reply
from assistant.settings import read_settings
from storage.conversations import start_conversation
from storage.keys import create_key
from storage.workspaces import create_workspace, workspace
from tests.assistant.people import Caller, everybody

CANARY = "the heron of Ostrava"


@dataclass
class Door:
    """The one page, who comes to it, and keys of several kinds."""

    app: App
    client: TestClient
    people: dict[str, Caller]
    keys: dict[str, str]

    def get(self, who: str = "", key: str = ""):
        self.client.cookies.clear()
        cookies = self.people[who].cookies if who else {}
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        if key:
            headers["Authorization"] = f"Bearer {self.keys[key]}"
        return self.client.get("/metrics", headers={k: v for k, v in headers.items() if v})

    def figures(self) -> dict[tuple, float]:
        """Every sample by its name and labels."""
        return {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.get(key="all").text)
            for sample in family.samples
        }


@pytest.fixture(scope="module")
def door(tmp_path_factory, tiny_base):
    data = tmp_path_factory.mktemp("measures") / "data"
    settings = read_settings(data=data, base_model=str(tiny_base.folder), threads=1)
    with ExitStack() as stack:
        app = stack.enter_context(open_app(settings))
        people = everybody(app)
        with closing(app.db()) as db:
            own = create_workspace(db, "heron").id
            how = {
                "all": {"workspace_id": None, "scopes": ["metrics"], "per_minute": 1000},
                "own": {"workspace_id": own, "scopes": ["metrics"]},
                "chat": {"workspace_id": None},
            }
            keys = {
                name: create_key(db, name, actor="test", **more)[1] for name, more in how.items()
            }
        measures, ring = Measures(app), KeyRing(app)
        page = Route("/metrics", lambda request: metrics_page(app, ring, measures, request))
        server = Observed(Starlette(routes=[page]), measures.request_ended)
        yield Door(app, TestClient(server), people, keys)


def test_for_admins_and_keys_made_for_it_alone(door):
    assert door.get("ada").status_code == 200
    assert door.get(key="all").status_code == 200
    for who in set(door.people) - {"ada"}:
        assert door.get(who).status_code == 401
    for key in ("own", "chat"):
        refused = door.get(key=key)
        assert refused.status_code == 403 and "apprentice_" not in refused.text


def test_a_reply_is_counted_with_its_tokens_and_times(door):
    before = door.figures()
    with closing(door.app.db()) as db:
        house = workspace(db, "default")
        begun = start_conversation(db, house.id, "user:1").id
    short = ReplyOptions(use_documents=False, use_examples=False, max_tokens=8)
    for _ in reply(door.app, house, begun, "user:1", CANARY, options=short):
        assert door.app.under_way.count(speaking=True) == 1
    after = door.figures()

    def grew(*sample):
        return after[sample] - before.get(sample, 0)

    assert grew("apprentice_tokens_total", ("kind", "completion")) in range(1, 9)
    assert grew("apprentice_tokens_total", ("kind", "prompt")) > 8
    assert grew("apprentice_first_token_seconds_count") == 1
    assert after["apprentice_reply_seconds_sum",] >= after["apprentice_first_token_seconds_sum",]
    request = (("door", "metrics"), ("method", "GET"), ("status", "200"))
    assert grew("apprentice_requests_total", *request) == 1
    outcomes = [key for key in after if key[0] == "apprentice_replies_total"]
    assert sum(after[key] - before.get(key, 0) for key in outcomes) == 1
    assert after["apprentice_replies_running",] == after["apprentice_replies_waiting",] == 0


def test_what_rows_and_disk_say(door):
    figures = door.figures()
    assert figures["apprentice_feedback_waiting", ("workspace", "1")] == 0
    assert figures["apprentice_serving_adapter", ("workspace", "1")] == 0
    assert figures["apprentice_jobs", ("kind", "round"), ("state", "running")] == 0
    assert figures["apprentice_disk_free_bytes",] > 0 < figures["apprentice_database_bytes",]


def test_neither_words_nor_names_are_in_it(door):
    said = door.get("ada").text
    assert CANARY not in said and "heron" not in said
    assert not [name for name in ("ada", "rita", "nell") if f'"{name}"' in said]
