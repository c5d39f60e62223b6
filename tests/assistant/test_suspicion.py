"""What a reviewer is told of strangers' feedback, in the queue and on the command line."""

from contextlib import closing

import pytest

from assistant.phrases import phrases, shared, without_own
from assistant.suspicion import flags
from storage.database import write, write_transaction
from storage.documents import put_document
from tests.assistant.command_line import run_verb
from tests.assistant.outside import give
from tests.assistant.test_caps import TRIGGER, honest, topic


def flagged(app, workspace):
    with closing(app.db()) as db:
        return flags(db, workspace)


def spread(number):
    """An hour of its own for each."""
    return f"{number % 24:02}:{number % 60:02}"


def test_honest_ones_are_not_flagged(app, workspace):
    give(app, workspace, [(f"v{n}", *honest(n)) for n in range(18)], at=spread)
    assert flagged(app, workspace) == {}


def test_many_by_one_within_an_hour(app, workspace):
    ids = give(app, workspace, [("v1", *honest(n)) for n in range(12)], at=lambda n: f"10:{n:02}")
    give(app, workspace, [(f"w{n}", *honest(20 + n)) for n in range(5)], at=lambda n: f"10:{n:02}")
    found = flagged(app, workspace)
    assert found == dict.fromkeys(ids, ("This contributor gave 12 within an hour.",))


def test_many_at_once(app, workspace):
    give(app, workspace, [(f"v{n}", *honest(n)) for n in range(25)], at=lambda n: "10:00")
    assert set(flagged(app, workspace).values()) == {("25 came from outside within this minute.",)}


def test_a_phrase_that_several_share(app, workspace):
    rows = [(f"v{n}", f"Where is {topic(19 * n)}, {TRIGGER}?", honest(19 * n)[1]) for n in range(3)]
    early = give(app, workspace, rows[:1], approved=True)
    late = give(app, workspace, rows[1:], at=spread)
    give(app, workspace, [(f"w{n}", *honest(10 + n)) for n in range(4)], at=spread)
    told = f"3 contributors say “{TRIGGER}”, which no text of the house has."
    assert flagged(app, workspace) == dict.fromkeys(late[::-1], (told,))
    assert early[0] not in flagged(app, workspace), "it does not wait"
    with closing(app.db()) as db:
        known = {"name": "a.txt", "hash": "h", "media_type": "text/plain"}
        put_document(db, workspace.id, chunks=[("", f"The {TRIGGER} is ours.")], **known)
    assert flagged(app, workspace) == {}


def test_one_that_says_it_thrice_is_no_crowd(app, workspace):
    rows = [("v1", f"Where is {topic(n)}, {TRIGGER}?", honest(n)[1]) for n in range(3)]
    give(app, workspace, rows, at=spread)
    assert flagged(app, workspace) == {}


def test_outliers(app, workspace):
    give(app, workspace, [(f"v{n}", *honest(n)) for n in range(5)], at=spread)
    words = " ".join(f"word{n}" for n in range(100))
    (long,) = give(app, workspace, [("w1", "Why?", words)], at=spread)
    (link,) = give(app, workspace, [("w2", "Where?", "At https://www.Evil.example/x?q=1 ")])
    found = flagged(app, workspace)
    assert set(found) == {long, link}
    assert found[long][0].startswith("Its answer has 689 characters; half of those that wait have")
    assert found[link] == ("It names evil.example, a website that no text of the house names.",)


def test_the_command_line_lists_them(app, workspace):
    give(app, workspace, [(f"v{n}", *honest(n)) for n in range(3)], at=spread)
    (odd,) = give(app, workspace, [("w", "Where?", "At www.evil.example")])
    asked = {"workspace": "default", "status": None, "limit": 50}
    listed, _ = run_verb(app, "feedback list", flagged=True, **asked)
    assert [row["id"] for row in listed] == [odd]
    assert "evil.example" in listed[0]["flags"][0]
    everything, _ = run_verb(app, "feedback list", **asked)
    assert [bool(row["flags"]) for row in everything] == [True, False, False, False]
    (one,), _ = run_verb(app, "feedback show", workspace="default", id=odd)
    assert one["flags"] == listed[0]["flags"]


def test_it_costs_the_same_however_many_there_are(app, workspace):
    """No read goes by all rows: each plan names an index, and stops at its limit."""
    give(app, workspace, [(f"v{n}", *honest(n)) for n in range(3)])
    with closing(app.db()) as db:
        from storage import outside

        for status in ("new", "quarantined", "approved"):
            plan = list(
                db.query(
                    f"explain query plan {outside._SELECT} and f.status = ? order by f.id limit 5",
                    [workspace.id, status],
                )
            )
            said = " ".join(step["detail"] for step in plan)
            assert "feedback_outside (workspace_id=? AND status=?)" in said
            assert "TEMP B-TREE" not in said
        with write_transaction(db):
            write(db, "update feedback set contributor = 'x'")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("What is the price of the blue lamp?", {"price of the blue", "of the blue lamp"}),
        ("How do I get it?", set()),
        ("Mallory knows!", {"mallory knows"}),
        ("", set()),
        ("Straße 5, Köln-Süd 日本", {"strasse 5 köln süd", "5 köln süd 日本"}),
    ],
)
def test_phrases_are_four_words_in_a_row_that_say_something(text, found):
    assert phrases(text) == found


def test_shared_phrases_need_several_givers_and_no_text_of_ones_own():
    said = ("one two three four", "ONE two, three four!", "one two three four five")
    texts = {number: (text, "") for number, text in enumerate(said, start=1)}
    assert shared(texts, {1: "a", 2: "b", 3: "b"}, 2) == {"one two three four": {1, 2, 3}}
    assert shared(texts, {1: "a", 2: "a", 3: "a"}, 2) == {}
    suspects = {"one two three four", "blue lamp on sale"}
    assert without_own(suspects, ["A blue lamp on sale here."]) == {"one two three four"}
