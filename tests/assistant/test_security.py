"""Who somebody is and what they may do: cookies, passwords, and the matrix of rights."""

import time
from contextlib import closing

import pytest

from assistant.app import App
from assistant.security import (
    SESSION_COOKIE,
    SESSION_SECONDS,
    VISITOR_COOKIE,
    Person,
    create_first_admin,
    hash_password,
    identify,
    log_in,
    may_administer,
    may_read,
    may_review,
    may_see,
    may_use,
    session_cookie,
    setup_link,
    setup_open,
    usable_workspace,
    verify_password,
    visitor_cookie,
)
from storage.conversations import start_conversation
from storage.errors import BadInput, Refused
from storage.users import create_user, delete_user, leave, list_users, set_user
from storage.workspaces import workspace
from tests.assistant.people import PASSWORD, Caller, everybody, hashed


def caller(**cookies: str) -> Caller:
    return Caller(cookies, Person("anonymous"))


@pytest.fixture
def ada(app):
    with closing(app.db()) as db:
        return create_user(db, "ada", hashed(), "admin")


@pytest.fixture
def cookie(app, ada):
    with closing(app.db()) as db:
        return session_cookie(app, db, ada)


def test_password_is_hashed_and_verified():
    assert hashed().startswith("$argon2id$")
    assert verify_password(PASSWORD, hashed())
    assert not verify_password(PASSWORD + " ", hashed())


@pytest.mark.parametrize("password", ["", "seven 7", "x" * 1001])
def test_passwords_too_short_or_too_long_are_refused(password):
    with pytest.raises(BadInput, match="password"):
        hash_password(password)
    assert not verify_password(password, hashed())


def test_log_in_wants_the_right_name_and_password(app, ada):
    with closing(app.db()) as db:
        assert log_in(db, "Ada", PASSWORD) == ada
        assert log_in(db, "ada", "wrong") is None
        assert log_in(db, "bob", PASSWORD) is None


def test_a_session_is_its_user(app, ada, cookie):
    person = identify(caller(**{SESSION_COOKIE: cookie}), app)
    assert person == Person("user", ada.id, "ada", "admin")
    assert person.owner == f"user:{ada.id}"


def test_a_session_outlives_the_server(app, ada, cookie):
    later = App(app.settings, app.datadir)
    assert identify(caller(**{SESSION_COOKIE: cookie}), later).id == ada.id


def test_a_changed_cookie_is_nobody(app, cookie):
    changed = ("A" if cookie[0] != "A" else "B") + cookie[1:]
    for value in (changed, cookie[:-2], "", "user:1", cookie + "x"):
        assert identify(caller(**{SESSION_COOKIE: value}), app).kind == "anonymous"


def test_one_kind_of_cookie_is_not_taken_for_the_other(app, cookie):
    assert identify(caller(**{VISITOR_COOKIE: cookie}), app).kind == "anonymous"
    assert identify(caller(**{SESSION_COOKIE: visitor_cookie(app)}), app).kind == "anonymous"


def test_a_session_ends_with_the_password(app, cookie):
    with closing(app.db()) as db:
        set_user(db, "ada", password_hash=hash_password("another password"))
    assert identify(caller(**{SESSION_COOKIE: cookie}), app).kind == "anonymous"


def test_a_session_ends_with_its_user(app, cookie):
    with closing(app.db()) as db:
        create_user(db, "bob", hashed(), "admin")
        delete_user(db, "ada")
    assert identify(caller(**{SESSION_COOKIE: cookie}), app).kind == "anonymous"


def test_a_session_grows_old(app, cookie, monkeypatch):
    later = time.time() + SESSION_SECONDS + 5
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)
    assert identify(caller(**{SESSION_COOKIE: cookie}), app).kind == "anonymous"


def test_a_role_counts_from_the_next_request_on(app):
    with closing(app.db()) as db:
        bob = create_user(db, "bob", hashed(), "member")
        cookie = session_cookie(app, db, bob)
        for role in ("viewer", "reviewer", "admin"):
            set_user(db, "bob", role=role)
            assert identify(caller(**{SESSION_COOKIE: cookie}), app).role == role


@pytest.mark.parametrize("less", ["reviewer", "viewer", "member"])
def test_a_session_ends_with_a_role_that_may_less(app, cookie, less):
    with closing(app.db()) as db:
        create_user(db, "bob", hashed(), "admin")
        set_user(db, "ada", role=less)
    assert identify(caller(**{SESSION_COOKIE: cookie}), app).kind == "anonymous"


def test_cookies_of_another_server_are_nobody(app, cookie, tmp_path):
    (app.datadir.secret / "cookies").write_text("another secret")
    assert identify(caller(**{SESSION_COOKIE: cookie}), app).kind == "anonymous"


def test_a_visitor_stays_the_same_and_differs_from_others(app):
    one, two = visitor_cookie(app), visitor_cookie(app)
    first = identify(caller(**{VISITOR_COOKIE: one}), app)
    assert first.kind == "visitor"
    assert first == identify(caller(**{VISITOR_COOKIE: one}), app)
    assert first.owner != identify(caller(**{VISITOR_COOKIE: two}), app).owner


def test_setup_link_makes_exactly_one_admin(app):
    link = setup_link(app, "http://localhost:7860/")
    token = link.partition("?token=")[2]
    assert link.startswith("http://localhost:7860/setup?token=")
    assert setup_open(app, token)
    assert not setup_open(app, token[:-1])
    assert not setup_open(app, "")
    assert not setup_open(app, "ü")
    with closing(app.db()) as db:
        made = create_first_admin(db, "ada", PASSWORD)
        assert made.role == "admin"
        with pytest.raises(Refused, match="set up already"):
            create_first_admin(db, "eve", PASSWORD)
        assert [user.name for user in list_users(db)] == ["ada"]
    assert not setup_open(app, token)


USERS_OF = {
    "open": {"anonymous", "visitor", "other visitor", "ada", "rita", "vic", "mo", "nell"},
    "team": {"ada", "rita", "mo"},
    "site": set(),
    "default": {"ada", "rita"},
}


@pytest.mark.parametrize("name", sorted(USERS_OF))
def test_who_may_use_which_workspace(app, name):
    people = everybody(app)
    with closing(app.db()) as db:
        item = workspace(db, name)
        allowed = {who for who, one in people.items() if may_use(db, item, one.person)}
        found = {who for who, one in people.items() if usable_workspace(db, name, one.person)}
    assert allowed == found == USERS_OF[name]


def test_membership_counts_from_the_next_request_on(app):
    mo = everybody(app)["mo"].person
    with closing(app.db()) as db:
        team = workspace(db, "team")
        leave(db, int(mo.id), team.id)
        assert not may_use(db, team, mo)


def test_without_a_name_everybody_gets_the_first_that_is_theirs(app):
    people = everybody(app)
    with closing(app.db()) as db:
        names = {
            who: found.name if (found := usable_workspace(db, None, one.person)) else None
            for who, one in people.items()
        }
    assert names["ada"] == "default"
    assert names["mo"] == names["visitor"] == names["anonymous"] == "open"


def test_nobody_reads_a_conversation_of_somebody_else(app):
    people = everybody(app)
    with closing(app.db()) as db:
        team = workspace(db, "team")
        for owner, one in people.items():
            said = start_conversation(db, team.id, one.person.owner)
            readers = {who for who, other in people.items() if may_read(said, other.person)}
            assert readers == ({owner} if owner != "anonymous" else set())


def test_who_sees_who_reviews_and_who_administers(app):
    people = everybody(app)
    seeing = {who for who, one in people.items() if may_see(one.person)}
    assert seeing == {"ada", "rita", "vic"}
    assert {who for who, one in people.items() if may_review(one.person)} == {"ada", "rita"}
    assert {who for who, one in people.items() if may_administer(one.person)} == {"ada"}
