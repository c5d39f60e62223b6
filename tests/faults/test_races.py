"""The same thing done by many at the same moment, over connections of their own: done once.

Each race is run several times, from behind a barrier, so that they do meet.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from assistant.security import SESSION_COOKIE, create_first_admin, session_cookie
from storage.adapters import add_adapter, list_adapters, promote
from storage.database import open_database, rows
from storage.errors import ApprenticeError
from storage.feedback import add_feedback, approve, feedback, reject
from storage.keys import create_key, revoke_key
from storage.rounds import create_round, finish_round
from storage.users import create_user, delete_user, list_users, set_user
from storage.workspaces import workspace
from tests.assistant.people import hashed
from tests.faults.besieged import Fort, fort

BAR = "B23"
AT_ONCE = 8
TIMES = 5


@pytest.fixture(scope="module")
def besieged(tmp_path_factory, tiny_base) -> Iterator[Fort]:
    with fort(tmp_path_factory.mktemp("races"), tiny_base.folder, requests_per_second=0) as made:
        yield made


def told(record, trials, failures):
    record("bar", BAR)
    record("trials", trials)
    record("failures", len(failures))
    assert not failures, failures[:5]


def at_once(*acts: Callable[[], object]) -> list[object]:
    """What each gave, or the sentence that it was refused with; other errors are not expected."""
    barrier, found = threading.Barrier(len(acts)), [None] * len(acts)

    def run(number: int) -> None:
        barrier.wait()
        try:
            found[number] = acts[number]()
        except ApprenticeError as error:
            found[number] = str(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def in_db(path, act: Callable) -> Callable[[], object]:
    def acted() -> object:
        with closing(open_database(path)) as db:
            return act(db)

    return acted


def test_the_first_admin_is_made_once(datadir, record_property):
    acts = [
        in_db(datadir.database, lambda db, n=n: create_first_admin(db, f"a{n}", "long enough"))
        for n in range(4)
    ]
    given = at_once(*acts)
    with closing(open_database(datadir.database)) as db:
        users = list_users(db)
    refused = [one for one in given if isinstance(one, str) and "set up already" in one]
    told(record_property, 4, [] if len(users) == 1 and len(refused) == 3 else [given])


def test_one_of_two_last_admins_stays(datadir, record_property):
    failures = []
    for turn in range(TIMES):
        with closing(open_database(datadir.database)) as db:
            for name in ("one", "two"):
                create_user(db, f"{name}{turn}", "x", "admin")
            for user in list_users(db):
                if user.name[-1] != str(turn):
                    delete_user(db, user.name)
        at_once(
            in_db(datadir.database, lambda db, t=turn: set_user(db, f"one{t}", role="member")),
            in_db(datadir.database, lambda db, t=turn: delete_user(db, f"two{t}")),
        )
        with closing(open_database(datadir.database)) as db:
            if [user.role for user in list_users(db)].count("admin") != 1:
                failures.append(list_users(db))
    told(record_property, TIMES, failures)


def test_feedback_is_decided_one_way(besieged, record_property):
    """Eight reviewers approve and reject one row: it is what the audit says last."""
    path, reply, failures = besieged.app.datadir.database, besieged.ids["mo"]["reply"], []
    for turn in range(TIMES):
        with closing(open_database(path)) as db:
            row = add_feedback(
                *(db,),
                message_id=reply,
                origin="staff",
                contributor=f"user:{turn}",
                correction=f"answer {turn}",
            ).id
        given = at_once(
            *(
                in_db(
                    path,
                    lambda db, n=n, row=row: (approve if n % 2 else reject)(
                        db, row, reviewer=f"user:{n}"
                    ),
                )
                for n in range(AT_ONCE)
            )
        )
        with closing(open_database(path)) as db:
            last = rows(
                db, "select action from audit where subject = ? order by id desc", f"feedback:{row}"
            )
            state = feedback(db, row).status
            overrides = rows(
                db,
                "select id from overrides where feedback_id = ? and status = 'active'",
                row,
            )
        if state not in last[0]["action"] or len(overrides) != (state == "approved"):
            failures.append((state, last, overrides, given))
    told(record_property, TIMES * AT_ONCE, failures)


def test_one_adapter_serves(datadir, record_property):
    path, failures = datadir.database, []
    known = {"parent_id": None, "base_fingerprint": "b", "method": "lora", "metrics": {}}
    with closing(open_database(path)) as db:
        for number in range(4):
            made = create_round(db, 1, config={}, base_fingerprint="b")
            finish_round(db, made.id, state="done", verdict="promote")
            add_adapter(db, 1, round_id=made.id, manifest_hash=f"m{number}", **known)
    for _ in range(TIMES):
        at_once(
            *(in_db(path, lambda db, n=n: promote(db, n % 4 + 1, actor="user:1")) for n in range(8))
        )
        with closing(open_database(path)) as db:
            serving = [one.id for one in list_adapters(db, 1) if one.status == "serving"]
        failures += [serving] if len(serving) != 1 else []
    told(record_property, TIMES * AT_ONCE, failures)


@pytest.mark.parametrize("what", ["key", "log out", "user"])
def test_what_ends_while_it_is_used_lets_nobody_in_afterwards(besieged, record_property, what):
    """Many ask all the time; every answer to a request that began after the end is a refusal."""
    app, over = besieged.app, threading.Event()
    with closing(app.db()) as db:
        user = create_user(db, f"used {what}", hashed(), "admin")
        cookie = f"{SESSION_COOKIE}={session_cookie(app, db, user)}"
        team = workspace(db, "team").id
        key = create_key(db, f"used {what}", workspace_id=team, per_minute=100_000, actor="user:1")[
            1
        ]
    path = "/v1/models" if what == "key" else "/admin/config"
    headers = {"authorization": f"Bearer {key}"} if what == "key" else {"cookie": cookie}
    late, early = [], []

    def ask() -> None:
        import httpx

        with httpx.Client(base_url=besieged.client.base_url, trust_env=False, timeout=30) as one:
            for _ in range(12):
                began_late = over.is_set()
                status = one.get(path, headers=headers).status_code
                (late if began_late else early).append(status)

    def end() -> None:
        with closing(app.db()) as db:
            if what == "key":
                revoke_key(db, f"used {what}", actor="user:1")
            elif what == "user":
                delete_user(db, user.name)
            else:
                besieged.client.post("/logout", headers={"cookie": cookie})
        over.set()

    at_once(ask, ask, ask, end)
    while len(late) < 5:
        ask()
    told(record_property, len(late), [one for one in late if one != 401])
    assert set(early) <= {200, 401}
