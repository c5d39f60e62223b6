"""Logging in and out: who asks for an unknown name learns nothing, and what has ended is over."""

import sqlite3
import statistics
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from pwdlib import PasswordHash

from assistant import security
from assistant.security import ANONYMOUS, SESSION_COOKIE, VISITOR_COOKIE, log_in
from storage.sessions import start_session
from storage.users import create_user, set_user, user_by_name
from tests.assistant.people import PASSWORD, Caller, hashed
from tests.faults.besieged import Fort, fort

BAR = "B23"


@pytest.fixture(scope="module")
def besieged(tmp_path_factory, tiny_base) -> Iterator[Fort]:
    with fort(tmp_path_factory.mktemp("ends"), tiny_base.folder) as made:
        yield made


def told(record, trials, failures):
    record("bar", BAR)
    record("trials", trials)
    record("failures", failures)


def enter(house: Fort, name: str, cookies: dict[str, str]) -> str:
    """The session's cookie after a log in."""
    sent = house.send(
        *("POST", "/login", cookies),
        content=f"name={name}&password={PASSWORD.replace(' ', '+')}",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert sent.status_code == 303, sent.text
    return str(sent.cookies[SESSION_COOKIE])


def inside(house: Fort, cookie: str) -> bool:
    return "Log out" in house.send("GET", "/logout", {SESSION_COOKIE: cookie}).text


# ---- who is there


def test_an_unknown_name_costs_the_same_hash(besieged, monkeypatch, record_property):
    """One argon2 of the same cost for each try, the first after a start too."""
    seen: list[str] = []
    verify = PasswordHash.verify

    def watched(self, password, hash):
        seen.append(hash.rpartition("$")[0].rpartition("$")[0])  # without salt and sum
        return verify(self, password, hash)

    monkeypatch.setattr(PasswordHash, "verify", watched)
    security._nobody.cache_clear()
    tries = [("nobody", "x" * 20), ("mo", "x" * 20), ("", ""), ("mo", ""), ("mö\0", PASSWORD)]
    with closing(besieged.app.db()) as db:
        for name, password in tries:
            assert log_in(db, name, password) is None
        user = log_in(db, "MO", PASSWORD)
    assert user is not None and user.name == "mo"
    failures = abs(len(seen) - len(tries) - 1) + len(set(seen)) - 1
    told(record_property, len(tries) + 1, failures)
    assert not failures and seen[0].startswith("$argon2id$")


@pytest.mark.slow
def test_an_unknown_name_takes_as_long(besieged, record_property):
    """By turns, so that what else the machine does falls on both; the middles are compared."""
    took: dict[str, list[float]] = {"mo": [], "nobody": []}
    with closing(besieged.app.db()) as db:
        for turn in range(200):
            for name in took if turn % 2 else reversed([*took]):
                begun = time.perf_counter()
                assert log_in(db, name, "not the password") is None
                took[name].append(time.perf_counter() - begun)
    known, unknown = (statistics.median(took[name]) for name in ("mo", "nobody"))
    told(record_property, 400, int(not 0.9 < unknown / known < 1.1))
    assert 0.9 < unknown / known < 1.1, (known, unknown)


# ---- what a browser comes with


def test_no_session_from_before_is_the_one_after(besieged, record_property):
    """Somebody else may have put a cookie there: their own, an ended one, or one made up."""
    nell = enter(besieged, "nell", {})
    made_up = {SESSION_COOKIE: "chosen", VISITOR_COOKIE: "chosen"}
    visitor = besieged.people["visitor"].cookies
    planted = [{}, made_up, visitor, {SESSION_COOKIE: nell}]
    given = [enter(besieged, "mo", cookies) for cookies in planted]
    before = [one.get(SESSION_COOKIE, "") for one in planted]
    failures = [one for one in before if one in given or inside(besieged, one)]
    failures += [one for one in given if not inside(besieged, one)]
    told(record_property, len(planted), len(failures) + len(planted) - len({*given}))
    assert not failures and len({*given}) == len(planted)


# ---- what is over


def test_a_log_out_ends_the_copies_of_its_cookie_and_no_other_login(besieged, record_property):
    one, other = enter(besieged, "mo", {}), enter(besieged, "mo", {})
    assert inside(besieged, one) and inside(besieged, other)
    besieged.send("POST", "/logout", {SESSION_COOKIE: one})
    ended = [
        besieged.send("GET", "/admin/config", {SESSION_COOKIE: one}).status_code == 401,
        not inside(besieged, one),
        besieged.send("GET", "/?workspace=team", {SESSION_COOKIE: one}).status_code == 404,
    ]
    told(record_property, len(ended), ended.count(False))
    assert all(ended) and inside(besieged, other)
    assert besieged.send("POST", "/logout", {SESSION_COOKIE: one}).status_code == 303


@pytest.mark.parametrize(
    "change", [{"password_hash": "$argon2id$other"}, {"role": "viewer"}, {"role": "member"}]
)
def test_a_change_ends_all_sessions_of_that_user(besieged, record_property, change):
    name = f"ann-{'-'.join(change.values()).strip('$')}"
    with closing(besieged.app.db()) as db:
        create_user(db, name, hashed(), "reviewer")
        cookies = [enter(besieged, name, {}) for _ in range(3)]
        assert all(inside(besieged, one) for one in cookies)
        set_user(db, name, **change)
    mo = enter(besieged, "mo", {})
    failures = [one for one in cookies if inside(besieged, one)]
    told(record_property, 3, len(failures))
    assert not failures and inside(besieged, mo)


def test_a_copy_of_the_database_opens_no_page(besieged):
    """It has hashes of sessions; with the cookies' secret beside it too nothing can be signed."""
    cookie = enter(besieged, "mo", {})
    token = security._session_token(besieged.app, Caller({SESSION_COOKIE: cookie}, ANONYMOUS))
    assert len(token) >= 43
    with closing(sqlite3.connect(besieged.app.datadir.database)) as db:
        assert token not in "\n".join(db.iterdump())


def test_sessions_that_nobody_ended_are_forgotten_when_they_are_too_old(besieged):
    with closing(besieged.app.db()) as db:
        mo = user_by_name(db, "mo").id
        start_session(db, mo, kept_s=1000)
        with db.conn:
            db.execute("update sessions set started_at = '2020-01-01T00:00:00.000Z'")
        start_session(db, mo, kept_s=1000)
        assert db["sessions"].count == 1
