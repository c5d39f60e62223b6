"""The plain forms: log in, log out, set up; wrong passwords cost time."""

from contextlib import closing

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assistant.login import ADDRESS_TRIES, FREE_TRIES, LONGEST_WAIT_S, Attempts, login_routes
from assistant.security import SESSION_COOKIE, identify, setup_link
from storage.audit import list_audit
from storage.users import create_user, list_users
from tests.assistant.people import PASSWORD, Caller, hashed


@pytest.fixture
def client(app):
    """A browser at the login pages alone."""
    server = Starlette(routes=login_routes(app))
    return TestClient(server, follow_redirects=False)


@pytest.fixture
def ada(app):
    with closing(app.db()) as db:
        return create_user(db, "ada", hashed(), "admin")


def enter(client, password=PASSWORD, name="ada", **more):
    return client.post("/login", data={"name": name, "password": password, **more})


def person(app, client):
    cookies = {SESSION_COOKIE: client.cookies.get(SESSION_COOKIE, "")}
    return identify(Caller(cookies, None), app)


def test_login_opens_a_session_and_logout_ends_it(app, client, ada):
    answer = enter(client, next="/admin")
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin")
    assert person(app, client).name == "ada"
    assert client.get("/login?next=/admin").headers["location"] == "/admin"
    assert "ada" in client.get("/logout").text
    assert client.post("/logout").headers["location"] == "/login"
    assert person(app, client).kind == "anonymous"


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(client, ada):
    cookie = enter(client).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie


def test_the_session_cookie_is_secure_on_https(app, ada):
    client = TestClient(
        Starlette(routes=login_routes(app)), base_url="https://chat.example", follow_redirects=False
    )
    assert "; secure" in enter(client).headers["set-cookie"].lower()


@pytest.mark.parametrize("name, password", [("ada", "wrong"), ("nobody", PASSWORD), ("", "")])
def test_a_wrong_name_and_a_wrong_password_look_the_same(client, ada, name, password):
    answer = enter(client, password, name)
    assert answer.status_code == 401
    assert "Wrong name or password." in answer.text
    assert SESSION_COOKIE not in answer.headers.get("set-cookie", "")


def test_what_was_typed_comes_back_escaped_but_never_the_password(client, ada):
    answer = enter(client, "secret <b>", 'a"><script>alert(1)</script>')
    assert "<script>" not in answer.text
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "/a\nb"]
)
def test_login_never_leads_to_another_site(client, ada, elsewhere):
    assert enter(client, next=elsewhere).headers["location"] == "/"
    assert client.get("/login", params={"next": elsewhere}).headers["location"] == "/"


def test_after_five_wrong_passwords_even_the_right_one_has_to_wait(client, ada):
    for _ in range(FREE_TRIES):
        assert enter(client, "wrong").status_code == 401
    answer = enter(client)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert "Too many wrong passwords" in answer.text
    assert enter(client, name="rita").status_code == 401


def test_waits_double_up_to_a_limit_and_end_with_a_success():
    now = 0.0
    attempts = Attempts(lambda: now)
    waits = []
    for _ in range(20):
        attempts.failed("Ada ", "10.0.0.1")
        waits.append(attempts.wait("ada", "10.0.0.1"))
        now += waits[-1]
    assert waits[: FREE_TRIES + 3] == [0, 0, 0, 0, 1, 2, 4, 8]
    assert max(waits) == LONGEST_WAIT_S
    assert attempts.wait("ada", "10.0.0.2") == 0
    attempts.failed("ada", "10.0.0.1")
    attempts.succeeded("ada", "10.0.0.1")
    assert attempts.wait("ada", "10.0.0.1") == 0


def test_one_address_cannot_try_many_names():
    attempts = Attempts(lambda: 0.0)
    for number in range(ADDRESS_TRIES):
        attempts.failed(f"name {number}", "10.0.0.1")
    assert attempts.wait("somebody new", "10.0.0.1") > 0
    attempts.succeeded("somebody new", "10.0.0.1")
    assert attempts.wait("somebody new", "10.0.0.1") > 0


def test_setup_makes_the_first_admin_and_closes(app, client):
    link = setup_link(app, "")
    token = link.partition("=")[2]
    assert "Make the first admin" in client.get(link).text
    fields = {"token": token, "name": "ada", "password": PASSWORD}
    differ = client.post("/setup", data={**fields, "again": "other"})
    assert (differ.status_code, "differ" in differ.text) == (422, True)
    short = client.post("/setup", data={**fields, "password": "short", "again": "short"})
    assert (short.status_code, "at least 8" in short.text) == (422, True)
    done = client.post("/setup", data={**fields, "again": PASSWORD})
    assert (done.status_code, done.headers["location"]) == (303, "/admin")
    assert person(app, client).role == "admin"
    assert client.get(link).status_code == 404
    assert client.post("/setup", data={**fields, "again": PASSWORD}).status_code == 404
    with closing(app.db()) as db:
        assert [user.name for user in list_users(db)] == ["ada"]


@pytest.mark.parametrize("token", ["", "x", "%00"])
def test_setup_wants_the_token_of_the_link(app, client, token):
    fields = {"token": token, "name": "eve", "password": PASSWORD, "again": PASSWORD}
    assert client.get("/setup", params={"token": token}).status_code == 404
    assert client.post("/setup", data=fields).status_code == 404
    with closing(app.db()) as db:
        assert list_users(db) == []


def test_a_form_of_nonsense_is_a_wrong_password(client, ada):
    assert client.post("/login", content=b"\xff\xfe&=&name").status_code == 401
    assert client.post("/login", content=b"a=1&" * 50).status_code == 401


def test_logins_are_audited_by_id(app, client, ada):
    enter(client, "wrong")
    enter(client)
    with closing(app.db()) as db:
        acts = [(item.actor, item.action) for item in list_audit(db)]
    assert acts.count((f"user:{ada.id}", "logged in")) == 1
