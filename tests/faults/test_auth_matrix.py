"""Every address and every event of the pages, called by everybody who may not: refused, no trace.

The addresses and events are read from the running application; what each is for is decided here,
and one without a decision fails.
"""

import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.routing import Mount

from assistant import security
from assistant.security import SESSION_COOKIE
from storage.keys import revoke_key
from storage.users import create_user, delete_user, set_user
from tests.assistant.people import hashed
from tests.faults.besieged import SECRET, Fort, fort
from tests.faults.outsiders import outsiders

BAR = "B23"


@pytest.fixture(scope="module")
def besieged(tmp_path_factory, tiny_base) -> Iterator[Fort]:
    with fort(tmp_path_factory.mktemp("matrix"), tiny_base.folder) as made:
        yield made


# ---- what is there


def addresses(app: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """(method, path) of every route, mounted ones too."""
    for route in _routes(app):
        path = before + getattr(route, "path", "")
        if isinstance(route, Mount):
            yield from addresses(getattr(route.app, "app", route.app), path) or [("GET", path)]
        for method in sorted(getattr(route, "methods", None) or ()):
            yield method, path


def _routes(app: Any) -> Iterator[Any]:
    for route in getattr(app, "routes", ()):
        inner = getattr(route, "effective_candidates", None)
        yield from (one for one in inner()) if inner else (route,)


# ---- what is decided

OPEN = {
    "/login": "a form",
    "/logout": "ends one's own session",
    "/setup": "wants the token",
    "/widget.js": "a script",
    "/healthz": "says that it lives",
    "/favicon.ico": "a picture",
    "/v1/docs": "the same for everybody",
    "/v1/openapi.json": "the same for everybody",
}
"""For anybody."""
INSIDE = ("/admin/rounds/{id:int}/bundle.zip", "/admin/plots/", "/admin/backups/{id:int}.tar.gz")
"""For admins, reviewers and viewers, some for admins alone."""
OWNERS = ("/conversations/{id}", "/files", "/avatar/{workspace}")
"""For whom it belongs to; a picture to whom the workspace is open to."""
KEYS = ("/v1/", "/metrics", "/embed/{key}")
"""For who has the right key."""
DOORS = ("/admin/", "/")
"""What Gradio answers at: through the door, whose list is closed; its events are below."""


def decided(path: str, gradio: set[str]) -> str:
    if path in OPEN:
        return "open"
    for name, starts in (("inside", INSIDE), ("owner", OWNERS), ("key", KEYS)):
        if path.startswith(starts):
            return name
    return "door" if path in gradio else ""


def everything(house: Fort) -> list[tuple[str, str, str]]:
    """(method, path, decision)."""
    gradio = {path for _, path in addresses(house.door("/").app)}
    gradio |= {f"/admin{path}" for _, path in addresses(house.door("/admin").app)}
    own = [one for one in addresses(house.server) if one[1] not in gradio]
    doors = [
        (method, before + path)
        for before, page in (("", "/"), ("/admin", "/admin"))
        for method, path in addresses(house.door(page).app)
    ]
    return [(method, path, decided(path, gradio)) for method, path in dict.fromkeys(own + doors)]


def test_every_address_is_decided(besieged, record_property):
    found = everything(besieged)
    undecided = sorted({path for _, path, what in found if not what})
    told(record_property, len(found), len(undecided))
    assert not undecided
    assert len(found) > 150  # or the list would not be read from the application any more
    assert {"open", "inside", "owner", "key", "door"} == {what for *_, what in found}


# ---- who comes


@pytest.fixture(scope="module", autouse=True)
def a_revoked_key(besieged):
    from storage.keys import create_key

    with closing(besieged.app.db()) as db:
        made = create_key(db, "gone", workspace_id=besieged.ids["team"], actor="user:1")
        revoke_key(db, "gone", actor="user:1")
    besieged.ids["revoked"] = made[1]


def filled(house: Fort, path: str) -> str:
    """The path with what lies inside: mo's conversation, the round."""
    mo = house.ids["mo"]
    name = "conversations" if path.startswith("/conv") else ""
    given = {
        "{id:int}": str(house.ids["round"]),
        "{id}": mo["conversation"] if name else str(house.ids["round"]),
        "{key}": "embed_" + "x" * 43,
        "{model}": "team",
        "{workspace}": "team",
    }
    for part, value in given.items():
        path = path.replace(part, value)
    return path.replace("{", "").replace("}", "").replace(":path", "")


def body_of(house: Fort, path: str) -> dict[str, Any]:
    """What would do something, if it came from somebody who may."""
    ask = {"model": "team", "messages": [{"role": "user", "content": "Hello?"}]}
    if path.endswith("/completions"):
        return ask
    if path.endswith("/feedback"):
        return {"message_id": "chatcmpl-" + house.ids["mo"]["reply"], "correction": "taken over"}
    return {"question": "Hello?", "message": house.ids["mo"]["reply"], "correction": "taken over"}


def traces(house: Fort, before: dict[str, str]) -> list[tuple[str, str]]:
    """What is no longer as it was; locks are empty, and taken by whoever reads."""
    after = house.state()
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    return [("trace", name) for name in sorted(changed) if not name.endswith(".lock")]


REFUSED = {303, 307, 400, 401, 403, 404, 405, 422}


def test_no_outsider_gets_anywhere(besieged, record_property):
    """Every address that is not for anybody, by each of them."""
    trials, failures = 0, []
    before = besieged.state()
    closed = [one for one in everything(besieged) if one[2] in ("inside", "owner", "key")]
    for who in outsiders(besieged):
        for method, path, what in closed:
            if what == "key" and who.name == "key of another workspace" and "model" in path:
                continue  # may list its own
            if method in ("GET", "HEAD") and "from elsewhere" in who.name:
                continue  # a link from elsewhere is followed; what is read, the browser keeps
            if method in ("GET", "HEAD") and who.name == "admin, other site":
                continue
            sent = besieged.send(
                method,
                filled(besieged, path),
                who.cookies,
                headers=dict(who.headers),
                **({"json": body_of(besieged, path)} if method == "POST" else {}),
            )
            trials += 1
            if sent.status_code not in REFUSED or SECRET in sent.text:
                failures.append((who.name, method, path, sent.status_code, sent.text[:100]))
    failures += traces(besieged, before)
    told(record_property, trials, len(failures))
    assert not failures and trials > 500


def test_gradio_answers_only_where_a_page_needs_it(besieged, record_property):
    """Its some eighty addresses, by a visitor at "/" and by an outsider at "/admin"."""
    needed = ("queue/join", "queue/data", "cancel", "reset", "heartbeat", "startup-events", "info")
    trials, failures = 0, []
    before = besieged.state()
    for method, path, what in everything(besieged):
        if what != "door" or "HEAD" in method:
            continue
        inside = path.startswith("/admin")
        if "gradio_api/heartbeat" in path or "upload_progress" in path:
            continue  # endless; see test_sessions
        sent = besieged.send(
            method, filled(besieged, path), besieged.people["other visitor"].cookies, json={}
        )
        trials += 1
        bare = path.removeprefix("/admin")
        page = bare in ("/", "", "/config", "/config/", "/theme.css", "/manifest.json")
        ours = page or bare.startswith(("/assets", "/static", "/favicon"))
        ours = ours or bare.removeprefix("/gradio_api/").startswith(needed)
        allowed = {303, 401} if inside else {404, 405, *({200, 422} if ours else ())}
        if sent.status_code not in allowed:
            failures.append((method, path, sent.status_code))
    failures += traces(besieged, before)
    told(record_property, trials, len(failures))
    assert not failures and trials > 100


# ---- events

RIGHTS = ("may_see", "may_review", "may_administer")


def right_of(fn: Any) -> str:
    """The right that a handler of the admin page asks for; '' where it asks in another way."""
    right = inspect.getclosurevars(fn).nonlocals.get("right")
    return getattr(right, "__name__", "")


def sent_data(house: Fort, fn: Any) -> list[Any]:
    """The workspace, then something for each input that its component lets through."""
    values = {"Number": 1, "CheckboxGroup": [], "Checkbox": True, "Textbox": "text"}
    data = [values.get(type(one).__name__) for one in fn.inputs]
    return [house.ids["team"], *data[1:]] if data else []


def open_page(house: Fort, page: str, cookies: dict[str, str], session: str) -> None:
    """Load the page as a browser does, so that the session knows the choices of its lists."""
    [load] = [
        index
        for index, fn in house.page(page).fns.items()
        if ("load" in fn.fn.__name__ and not fn.inputs)
    ]
    said = house.event(page, load, [], cookies, session=session)
    assert said["success"], said


def test_every_event_of_the_admin_page_asks_for_a_right(besieged, record_property):
    page = besieged.page("/admin")
    rightless = {index: fn.fn.__qualname__ for index, fn in page.fns.items() if not right_of(fn.fn)}
    told(record_property, len(page.fns), len(rightless) - 1)
    assert list(rightless.values()) == ["_wire.<locals>.load"]  # which asks by itself
    assert {right_of(fn.fn) for fn in page.fns.values()} == {"", *RIGHTS}


@pytest.mark.parametrize("step", [29, pytest.param(1, marks=pytest.mark.slow)])
def test_events_of_the_admin_page_are_refused_to_outsiders(besieged, record_property, step):
    """Each event by each outsider; in the short form each by some, and each outsider at some."""
    page, trials, failures = besieged.page("/admin"), 0, []
    before = besieged.state()
    for nth, who in enumerate(outsiders(besieged)):
        for index in (*[*page.fns][nth % step :: step], -1, 99999):
            fn = page.fns.get(index)
            data = sent_data(besieged, fn) if fn else []
            said = besieged.event("/admin", index, data, who.cookies, headers=dict(who.headers))
            trials += 1
            if said not in (401, 403):
                failures.append((who.name, index, said))
    failures += traces(besieged, before)
    told(record_property, trials, len(failures))
    assert not failures and trials > 2000 / step


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("who, may", [("vic", RIGHTS[:1]), ("rita", RIGHTS[:2])])
def test_insiders_do_no_more_than_their_role(besieged, record_property, who, may, step):
    """A viewer and a reviewer call every event: what is not theirs does nothing.

    The short form takes each fifth, and a handler that asks for no right is found above anyway.
    """
    page, trials, failures = besieged.page("/admin"), 0, []
    cookies = besieged.people[who].cookies
    open_page(besieged, "/admin", cookies, who)
    before = besieged.state()
    for index, fn in [*page.fns.items()][::step]:
        right = right_of(fn.fn)
        if right in may and (right != "may_see" or who != "vic"):
            continue
        said = besieged.event("/admin", index, sent_data(besieged, fn), cookies, session=who)
        trials += 1
        silent = inspect.getclosurevars(fn.fn).nonlocals.get("silent")
        if right in ("", *may):
            continue  # may look; what it changes is seen below
        if isinstance(said, int) or (said["success"] and not (silent and _nothing(said))):
            failures.append((index, fn.fn.__name__, said["output"]))
        if SECRET in json.dumps(said):
            failures.append((index, fn.fn.__name__, "told the secret"))
    failures += traces(besieged, before)
    for index in (-1, 99999):
        trials += 1
        if besieged.event("/admin", index, [], cookies) != 422:
            failures.append((index, "no refusal"))
    told(record_property, trials, len(failures))
    assert not failures and trials > 50 / step


def _nothing(said: dict[str, Any]) -> bool:
    """Whether an event changed nothing on the page."""
    data = said["output"].get("data", [])
    return all(one in ({"__type__": "update"}, None) for one in data)


def test_an_admin_may(besieged):
    """Else the tests above would pass on a server that refuses everybody."""
    page, cookies = besieged.page("/admin"), besieged.people["ada"].cookies
    open_page(besieged, "/admin", cookies, "ada")
    before = besieged.state()
    [add] = [
        index
        for index, fn in page.fns.items()
        if fn.fn.__name__ == "add_it"
        and [type(one).__name__ for one in fn.inputs[1:]] == ["Textbox", "Textbox", "Dropdown"]
    ]
    data = [besieged.ids["team"], "newcomer", "a long password", "member"]
    assert besieged.event("/admin", add, data, cookies, session="ada")["success"]
    assert ("trace", "users") in traces(besieged, before)


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_events_of_the_chat_page_give_nobody_what_is_not_theirs(besieged, record_property, step):
    """Every event, with the address naming mo's conversation in `team`, and naming it in `open`."""
    page, trials, failures = besieged.page("/"), 0, []
    mo = besieged.ids["mo"]
    visitors = [one for one in outsiders(besieged) if not one.headers]
    before = besieged.state()
    for nth, who in enumerate(visitors):
        for workspace in ("team", "open"):
            query = "?" + urlencode({"workspace": workspace, "conversation": mo["conversation"]})
            for index, fn in [*page.fns.items()][nth % step :: step]:
                if fn.fn.__name__ in ("send", "send_starter"):
                    continue  # asks anew, in a conversation of one's own: see below
                data = [mo["conversation"] for _ in fn.inputs]
                event_data = {"index": [0, 0], "value": {"text": "x"}, "liked": True}
                said = besieged.event(
                    "/", index, data, who.cookies, query=query, event_data=event_data
                )
                trials += 1
                if SECRET in json.dumps(said):
                    failures.append((who.name, workspace, fn.fn.__name__, said))
    failures += traces(besieged, before)
    told(record_property, trials, len(failures))
    assert not failures and trials > 300 / step


def test_who_may_not_ask_here_asks_nothing(besieged, record_property):
    page, failures = besieged.page("/"), []
    [send] = [index for index, fn in page.fns.items() if fn.fn.__name__ == "send"]
    before = besieged.state()
    for who in outsiders(besieged):
        said = besieged.event(
            *("/", send, ["A question?", None], who.cookies),
            query="?workspace=team",
            headers=dict(who.headers),
        )
        if not isinstance(said, int) and said["success"]:
            failures.append((who.name, said))
    failures += traces(besieged, before)
    told(record_property, len(outsiders(besieged)), len(failures))
    assert not failures


# ---- what ends


def test_a_session_ends_with_the_password_and_the_user(besieged, record_property):
    with closing(besieged.app.db()) as db:
        user = create_user(db, "zoe", hashed(), "admin")
        cookies = {SESSION_COOKIE: security.session_cookie(besieged.app, db, user)}
        assert besieged.send("GET", "/admin/config", cookies).status_code == 200
        set_user(db, "zoe", password_hash=security.hash_password("another password"))
        after_password = besieged.send("GET", "/admin/config", cookies).status_code
        again = {SESSION_COOKIE: security.session_cookie(besieged.app, db, user)}
        assert besieged.send("GET", "/admin/config", again).status_code == 200
        delete_user(db, "zoe")
        after_deletion = besieged.send("GET", "/admin/config", again).status_code
    failures = [code for code in (after_password, after_deletion) if code != 401]
    told(record_property, 2, len(failures))
    assert not failures


def told(record: Callable[[str, Any], None], trials: int, failures: int) -> None:
    record("bar", BAR)
    record("trials", trials)
    record("failures", failures)
