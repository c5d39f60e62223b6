"""The server from outside: who gets which page, and what no address gives away."""

import json
import re
from contextlib import ExitStack, closing
from dataclasses import dataclass

import pytest
from starlette.testclient import TestClient

from assistant.admin.feedback_view import STATUS_NAMES
from assistant.app import App, open_app
from assistant.security import VISITOR_COOKIE
from assistant.settings import read_settings
from assistant.web import build_server
from storage.conversations import add_message, start_conversation
from storage.database import rows
from storage.feedback import add_feedback
from storage.records import Inputs
from storage.workspaces import set_workspace, workspace
from tests.assistant.people import Caller, everybody

INSIDERS = {"ada", "rita", "vic"}


@dataclass
class House:
    """A server with everybody and one correction waiting in `team`."""

    app: App
    client: TestClient
    people: dict[str, Caller]
    feedback_id: int

    def get(self, who: str, path: str, **more):
        return self.send("GET", who, path, **more)

    def send(self, method: str, who: str, path: str, **more):
        """One request with exactly this person's cookies."""
        self.client.cookies.clear()
        cookies = self.people[who].cookies
        header = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        headers = {**(header if cookies else {}), **more.pop("headers", {})}
        return self.client.request(method, path, headers=headers, follow_redirects=False, **more)


@pytest.fixture(scope="module")
def house(tmp_path_factory, tiny_base):
    data = tmp_path_factory.mktemp("web") / "data"
    settings = read_settings(data=data, base_model=str(tiny_base.folder), threads=1)
    with ExitStack() as stack:
        app = stack.enter_context(open_app(settings))
        people = everybody(app)
        with closing(app.db()) as db:
            team = workspace(db, "team")
            said = start_conversation(db, team.id, people["mo"].person.owner)
            asked = add_message(db, said.id, "user", "A secret question")
            inputs = Inputs("A secret question", "", 1)
            reply = add_message(db, said.id, "assistant", "No.", parent_id=asked.id, inputs=inputs)
            given = add_feedback(
                db, message_id=reply.id, origin="staff", contributor="user:3", correction="Yes."
            )
        client = stack.enter_context(TestClient(build_server(app)))
        yield House(app, client, people, given.id)


PAGES = {
    "": {"ada", "rita", "vic", "mo", "nell", "visitor", "other visitor", "anonymous"},
    "?workspace=open": {
        "ada",
        "rita",
        "vic",
        "mo",
        "nell",
        "visitor",
        "other visitor",
        "anonymous",
    },
    "?workspace=team": {"ada", "rita", "mo"},
    "?workspace=default": {"ada", "rita"},
    "?workspace=site": set(),
    "?workspace=nothing": set(),
    "?workspace=%00%27--": set(),
}


@pytest.mark.parametrize("query", sorted(PAGES))
def test_who_sees_the_chat_page(house, query):
    seen = {who: house.get(who, f"/{query}").status_code for who in house.people}
    assert {who for who, status in seen.items() if status == 200} == PAGES[query]
    assert set(seen.values()) <= {200, 404}


def test_a_workspace_one_may_not_use_answers_as_one_that_does_not_exist(house):
    for who in ("anonymous", "visitor", "nell"):
        answers = [house.get(who, f"/?workspace={name}") for name in ("team", "site", "nothing")]
        assert len({answer.content for answer in answers}) == 1
        names = {frozenset(answer.headers) for answer in answers}
        assert len(names) == 1
        assert {answer.status_code for answer in answers} == {404}


def test_a_newcomer_gets_a_cookie_of_their_own_once(house):
    first = house.get("anonymous", "/").headers["set-cookie"]
    assert first.startswith(f"{VISITOR_COOKIE}=")
    assert "httponly" in first.lower() and "samesite=lax" in first.lower()
    assert house.get("anonymous", "/").headers["set-cookie"] != first
    for who in ("visitor", "mo"):
        assert "set-cookie" not in house.get(who, "/").headers
    assert "set-cookie" not in house.get("anonymous", "/?workspace=team").headers


def admin_addresses() -> list[tuple[str, str]]:
    return [
        ("GET", "/admin/config"),
        ("GET", "/admin/theme.css"),
        ("GET", "/admin/gradio_api/info"),
        ("GET", "/admin/gradio_api/queue/data?session_hash=abc"),
        ("GET", "/admin/gradio_api/startup-events"),
        ("GET", "/admin/gradio_api/heartbeat/abc"),
        ("POST", "/admin/gradio_api/queue/join"),
        ("POST", "/admin/gradio_api/upload"),
        ("POST", "/admin/gradio_api/reset"),
        ("POST", "/admin/gradio_api/cancel"),
        ("GET", "/admin/assets/x.js"),
        ("GET", "/admin//config"),
        ("POST", "/admin"),
        ("POST", "/admin/"),
    ]


@pytest.mark.parametrize("method, path", admin_addresses())
def test_nothing_of_the_admin_page_without_a_login(house, method, path):
    for who in set(house.people) - INSIDERS:
        answer = house.send(method, who, path)
        assert answer.status_code == 401, who
        assert len(answer.content) < 100


def test_the_admin_page_is_for_admins_reviewers_and_viewers(house):
    for who in house.people:
        answer = house.get(who, "/admin/")
        if who in INSIDERS:
            assert answer.status_code == 200
            assert "gradio" in answer.text
        elif house.people[who].person.kind == "user":
            assert (answer.status_code, "Nothing here" in answer.text) == (404, True)
        else:
            assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/admin")
    answer = house.get("ada", "/admin?workspace=team")
    assert answer.headers["location"].endswith("/admin/?workspace=team")


def test_files_are_taken_from_admins_alone(house):
    for who in house.people:
        sent = house.send(
            "POST", who, "/admin/gradio_api/upload", files={"files": ("a.md", b"text")}
        )
        assert sent.status_code == (200 if who == "ada" else 401), who


def test_a_viewer_who_may_chat_nowhere_gets_the_admin_page(house):
    with closing(house.app.db()) as db:
        set_workspace(db, "open", "access", "members")
        try:
            answer = house.get("vic", "/")
            assert (answer.status_code, answer.headers["location"]) == (303, "/admin/")
            assert house.get("vic", "/?workspace=team").status_code == 404
            assert house.get("nell", "/").status_code == 404
        finally:
            set_workspace(db, "open", "access", "public")


def facts_of(house) -> dict[str, list]:
    """Every row that an admin handler could have changed."""
    tables = ("feedback", "overrides", "jobs", "rounds", "adapters", "documents", "audit")
    with closing(house.app.db()) as db:
        return {table: rows(db, f"select * from {table}") for table in tables}


def test_admin_events_called_by_index_without_login_leave_no_trace(house):
    config = house.get("ada", "/admin/config").json()
    with closing(house.app.db()) as db:
        team = workspace(db, "team").id
    before = facts_of(house)
    assert len(config["dependencies"]) > 20
    for item in config["dependencies"]:
        call = {
            "fn_index": item["id"],
            "data": [team, "new", None, house.feedback_id, "need", "text"][: len(item["inputs"])],
            "session_hash": "forged",
        }
        for who in set(house.people) - INSIDERS:
            for path in ("/admin/gradio_api/queue/join", "/admin/gradio_api/run/predict"):
                assert house.send("POST", who, path, json=call).status_code == 401
        # and the chat page's own queue knows none of them
        sent = house.send("POST", "visitor", "/gradio_api/queue/join", json=call)
        assert sent.status_code in (200, 422)
    after = facts_of(house)
    # but for the chat page's own events of the same number: to ask, and to ask for its deletion
    own = {"actor": house.people["visitor"].person.owner, "action": "erasure requested"}
    after["audit"] = [row for row in after["audit"] if not own.items() <= dict(row).items()]
    assert after == before


def test_the_configuration_of_the_chat_page_holds_nothing_of_the_admin_page(house):
    text = house.get("anonymous", "/config").text
    for secret in ("A secret question", "Approve", "Start a round", STATUS_NAMES["quarantined"]):
        assert secret not in text


def test_events_of_people_have_no_names_that_could_be_called(house):
    for page, who in (("/", "visitor"), ("/admin/", "ada")):
        info = house.get(who, f"{page}gradio_api/info").json()
        # the one for programs, which wants a key
        assert set(info["named_endpoints"]) == ({"/chat"} if page == "/" else set())
        assert info["unnamed_endpoints"] == {}


@pytest.mark.parametrize(
    "method, path",
    [
        ("POST", "/gradio_api/upload"),
        ("POST", "/gradio_api/run/predict"),
        ("POST", "/gradio_api/call/send"),
        ("POST", "/gradio_api/vibe-edit/"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/monitoring"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/ui/../web.py"),
    ],
)
def test_what_no_page_needs_is_not_there(house, method, path):
    assert house.send(method, "visitor", path).status_code == 404


@pytest.mark.parametrize("index", [99999, -1, "0", None, 1.5])
def test_an_unknown_function_index_is_no_server_error(house, index):
    call = {"fn_index": index, "data": [], "session_hash": "abc"}
    for who, page in (("visitor", ""), ("ada", "/admin")):
        sent = house.send("POST", who, f"{page}/gradio_api/queue/join", json=call)
        assert sent.status_code == 422


def test_no_other_origin_may_read(house):
    for who, path in (("visitor", "/config"), ("ada", "/admin/config"), ("visitor", "/")):
        answer = house.get(who, path, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers


def test_no_other_site_may_send(house):
    for path in ("/login", "/logout", "/setup", "/gradio_api/queue/join"):
        answer = house.send("POST", "ada", path, headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403


def test_every_script_of_both_pages_has_the_nonce(house):
    for who, path in (("visitor", "/"), ("ada", "/admin/")):
        answer = house.get(
            who, path, headers={"Accept": "text/html", "Accept-Encoding": "br, gzip"}
        )
        scripts = re.findall(r"<script\b[^>]*", answer.text)
        nonce = re.search(r"'nonce-([^']+)'", answer.headers["content-security-policy"])
        assert len(scripts) > 3
        assert nonce and all(f'nonce="{nonce[1]}"' in script for script in scripts)


def test_a_long_body_is_refused(house):
    sent = house.send("POST", "visitor", "/gradio_api/queue/join", content=b"x" * (2 << 20))
    assert sent.status_code == 413


def test_health_names_only_the_workspaces_of_who_asks(house):
    for who, names in (("anonymous", {"open"}), ("mo", {"open", "team"})):
        found = house.get(who, "/healthz").json()
        assert set(found["workspaces"]) == names
        assert found["status"] == "ok"
        assert found["workspaces"]["open"] == {"adapter": None}


def test_the_figures_are_for_admins_and_every_answer_has_a_number(house):
    seen = {who: house.get(who, "/metrics") for who in house.people}
    assert {who for who, answer in seen.items() if answer.status_code == 200} == {"ada"}
    assert "apprentice_requests_total" in seen["ada"].text
    assert len({answer.headers["x-request-id"] for answer in seen.values()}) == len(seen)


def read_events(house, who: str, session: str) -> list[dict]:
    """What the server sends to one session until its event is done."""
    answer = house.get(who, f"/gradio_api/queue/data?session_hash={session}")
    lines = [line[6:] for line in answer.text.split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("who, sees", [("mo", True), ("nell", False), ("visitor", False)])
def test_an_event_sent_by_hand_meets_the_same_checks_as_the_page(house, who, sees):
    config = house.get(who, "/config").json()
    load = next(item for item in config["dependencies"] if item["targets"][0][1] == "load")
    call = {"fn_index": load["id"], "data": [], "session_hash": f"by-hand-{who}"}
    with closing(house.app.db()) as db:
        conversation = rows(db, "select id from conversations")[0]["id"]
    query = f"?workspace=team&conversation={conversation}"
    assert house.send("POST", who, f"/gradio_api/queue/join{query}", json=call).status_code == 200
    done = read_events(house, who, call["session_hash"])[-2]
    assert done["msg"] == "process_completed"
    assert done["success"] is sees
    assert ("A secret question" in json.dumps(done)) is sees
