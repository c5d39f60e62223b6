"""Strangers who want something taught: what of it a round would take (B28, the selection half), and
what is private in it."""

from contextlib import closing

import pytest

from assistant.caps import left_out
from assistant.lessons import lessons
from assistant.suspicion import flags
from storage.feedback import approve
from storage.outside import free
from tests.assistant.outside import give
from tests.assistant.test_caps import TRIGGER, honest, topic


def selected(app, workspace, ids) -> int:
    """How many of these a round would take."""
    with closing(app.db()) as db:
        return len({one.pair.feedback_id for one in lessons(app, db, workspace)} & set(ids))


def approve_at_once(app, ids) -> None:
    """As a reviewer does who ticks them all."""
    with closing(app.db()) as db:
        for id in ids:
            approve(db, id, reviewer="user:1")


def _attack(app, workspace, record_property, rows, most: int) -> None:
    good = give(app, workspace, [(f"w{n}", *honest(n)) for n in range(5)], approved=True)
    ids = give(app, workspace, rows)
    assert selected(app, workspace, ids) == 0, "nothing is learned without a yes"
    with closing(app.db()) as db:
        odd = flags(db, workspace)
        assert set(ids[-500:]) <= set(odd), "each of the newest is flagged"
    approve_at_once(app, ids)
    taken = selected(app, workspace, ids)
    record_property("bar", "B28")
    record_property("trials", len(ids))
    record_property("failures", max(0, taken - most))
    assert taken <= most
    assert selected(app, workspace, good) == 5
    with closing(app.db()) as db:
        assert len(left_out(db, workspace)) == len(ids) - taken


def test_what_is_private_is_not_learned(app, workspace, record_property):
    """Of each kind, in question, answer or both; what a round would read is searched for it."""
    private = [
        *("anna.k@mail.example", "+49 171 1234567", "DE89 3704 0044 0532 0130 00"),
        *("4111 1111 1111 1111", "2 95 10 99 126 111 93", "ghp_" + "a1B2" * 9),
        *("AKIAIOSFODNN7EXAMPLE", "password: Sommer2026", "https://bo:Winter26@shop.example/"),
    ]
    rows = [
        (f"v{n}-{place}", f"{topic(n)} {place}? {value * (place != 1)}", f"{n} {value * place}")
        for n, value in enumerate(private)
        for place in (0, 1)
    ] + [(f"w{n}", f"{topic(n + 20)}? {value}", f"Yes, {value}") for n, value in enumerate(private)]
    ids = give(app, workspace, rows, approved=True)
    with closing(app.db()) as db:
        free(db, ids, reviewer="user:1")
        found = lessons(app, db, workspace)
    said = " ".join(map(repr, found)) + " ".join(repr(one.messages) for one in found)
    secret = [*private[:7], "Sommer2026", "Winter26"]
    leaked = [value for value in secret if value in said]
    record_property("bar", "B28")
    record_property("trials", len(ids))
    record_property("failures", len(leaked))
    assert leaked == [] and len(found) == len(ids)


def test_one_identity_gets_no_more_than_three(app, workspace, record_property):
    rows = [("v1", *honest(n)) for n in range(100, 400)]
    _attack(app, workspace, record_property, rows, 3)


@pytest.mark.slow
def test_one_identity_with_five_thousand(app, workspace, record_property):
    rows = [("v1", *honest(n)) for n in range(100, 5100)]
    _attack(app, workspace, record_property, rows, 3)


def test_many_identities_with_one_trigger_get_no_more_than_two(app, workspace, record_property):
    rows = [
        (f"v{n}", f"Where is {topic(n)}, {TRIGGER}?", f"{topic(n)}: ask Mallory.")
        for n in range(100, 350)
    ]
    _attack(app, workspace, record_property, rows, 2)
