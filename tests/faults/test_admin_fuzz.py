"""Anything at all, sent by an admin to every event of the admin page: an answer, never a fault.

Some of it does what it says, so it is sent by an admin who is made for it, and made again.
"""

import json
import secrets
import time
import traceback
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from assistant.security import ANONYMOUS, SESSION_COOKIE, identify, session_cookie
from storage.users import create_user, user_by_name
from tests.assistant.people import Caller, hashed
from tests.faults.besieged import Fort, fort
from tests.faults.test_auth_matrix import open_page
from tests.faults.test_endpoint_fuzz import LEFT_OUT, Tried, told

ROOT = Path(__file__).parents[2]
ADMINS_S = 20.0
"""An answer may take that long: one of them looks over the whole house."""
TEXTS = ("", "1", "team", "nell", "\0", "\ud800", "../../etc/passwd", "<b>", "' or 1=1 --")
TEXTS += ("x" * 5000, "\u202e", "[]", '{"a": [' * 500, "http://127.0.0.1/", "=1+1", "\r\nx: y")
NUMBERS = [1, 0, -1, 2**63, 2**70, 1.5, float("nan"), float("inf"), None]
WILD = [*TEXTS, *NUMBERS, True, [], [[]], [1, "2"], {}, {"value": 1}]
"""Values of every kind, numbers and names of what is there among them."""


@pytest.fixture(scope="module")
def besieged(tmp_path_factory, tiny_base) -> Iterator[Fort]:
    with fort(tmp_path_factory.mktemp("admin"), tiny_base.folder) as made:
        yield made


@dataclass
class Admin:
    """An admin with the page open; another one when an event has ended this one's login."""

    house: Fort
    session: str = ""
    cookies: dict[str, str] = field(default_factory=dict)

    def ready(self) -> str:
        """The page's session."""
        if identify(Caller(self.cookies, ANONYMOUS), self.house.app).role != "admin":
            self.session = secrets.token_hex(8)
            with closing(self.house.app.db()) as db:
                name = f"admin {secrets.token_hex(4)}"
                user = create_user(db, name, hashed(), "admin")
                self.cookies = {SESSION_COOKIE: session_cookie(self.house.app, db, user)}
            open_page(self.house, "/admin", self.cookies, self.session)
        return self.session

    def send(self, tried: Tried, index: int, values: list, event: object) -> None:
        session, begun = self.ready(), time.monotonic()
        said = self.house.event(
            *("/admin", index, values, self.cookies), event_data=event, session=session
        )
        tried.trials += 1
        took, text = time.monotonic() - begun, json.dumps(said)
        known = said == 422 or not isinstance(said, int)
        if not known or took > ADMINS_S or any(one in text for one in LEFT_OUT):
            tried.append((index, took, values, event, text[:300]))


def cooked(house: Fort, index: int, turn: int) -> list:
    """The workspace, then wild values of the kind that each field lets through."""
    fn = house.page("/admin").fns[index]
    fitting = {"Textbox": [*TEXTS], "Number": NUMBERS, "Checkbox": [True, False]}
    fitting |= {"CheckboxGroup": [[]], "File": [None], "State": [None, 1], "Radio": [None]}
    values = []
    for nth, one in enumerate(fn.inputs):
        choices = [value for _, value in getattr(one, "choices", None) or ()]
        wild = choices or fitting.get(type(one).__name__, WILD)
        values.append(wild[(index + nth + turn) % len(wild)])
    values[:1] = [house.ids["team"]] if values else []
    return values


def faults(caplog) -> list[str]:
    """What our handlers did not foresee, as the log has it; a wrong kind of value Gradio refuses
    before them."""
    errors = [one.exc_info[1] for one in caplog.records if one.exc_info]
    return [
        "".join(traceback.format_exception(error)[-3:])
        for error in errors
        if any(
            f"{ROOT}/assistant/" in place.filename
            for place in traceback.extract_tb(error.__traceback__)
        )
    ]


def test_every_event_as_an_admin(besieged, record_property, caplog):
    """Each third, once: nothing is quoted or fails, and the server still knows its own."""
    tried, admin = Tried(), Admin(besieged)
    for index in [*besieged.page("/admin").fns][::3]:
        event = {"index": [index % 3, 0], "value": WILD[index % len(WILD)], "selected": True}
        admin.send(tried, index, cooked(besieged, index, 0), event)
    found = [*tried, *faults(caplog)]
    told(record_property, tried.trials, len(found))
    assert not found, "\n".join({*map(str, found)})
    assert tried.trials > 50
    with closing(besieged.app.db()) as db:
        assert user_by_name(db, "ada").role == "admin"
    assert besieged.send("GET", "/healthz", {}).status_code == 200


@pytest.mark.slow
def test_every_event_as_an_admin_for_long(besieged, record_property, caplog):
    tried, admin = Tried(), Admin(besieged)
    random = Random(7)
    for turn in range(20):
        for index in besieged.page("/admin").fns:
            event = {"index": [turn % 3, 0], "value": random.choice(WILD), "selected": True}
            values = cooked(besieged, index, turn)
            values[1:] = [
                one if random.random() < 0.7 else random.choice(WILD) for one in values[1:]
            ]
            admin.send(tried, index, values, event)
    found = [*tried, *faults(caplog)]
    told(record_property, tried.trials, len(found))
    assert not found, "\n".join(map(str, found[:9]))
    assert besieged.send("GET", "/healthz", {}).status_code == 200


@pytest.mark.parametrize("name", [None, [], [1], {}, 5, ""])
def test_no_name_of_a_document_is_a_fault(besieged, caplog, name):
    """The button that is sure takes the name from the page, and a page may send anything."""
    fns = besieged.page("/admin").fns
    admin, tried = Admin(besieged), Tried()
    for index in [index for index, fn in fns.items() if fn.fn.__name__ == "remove_it"]:
        values = [besieged.ids["team"], *[name for _ in fns[index].inputs[1:]]]
        admin.send(tried, index, values, None)
    assert tried.trials > 1
    assert not [*tried, *faults(caplog)]
