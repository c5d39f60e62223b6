"""What a round learns, and what leaves the house, has no secret or personal data in it."""

import json
from contextlib import closing

import pytest

from assistant.erasure import erase
from assistant.lessons import lessons
from assistant.masks import Masks
from assistant.overriding import find_override
from assistant.round_plan import plan_round
from storage.audit import list_audit
from storage.documents import put_document
from storage.errors import BadInput
from storage.feedback import feedback
from storage.unmasked import unmasked_rows, unmasked_values
from storage.workspaces import set_workspace
from storage.workspaces import workspace as workspace_named
from tests.assistant.command_line import run_verb
from tests.assistant.outside import give

MAIL, PHONE, HELP = "anna.k@mail.example", "+49 171 1234567", "help@shop.example"
ASKED = f"I am {MAIL}, where is my parcel?"
ANSWER = f"Parcel 4500012345 goes to {MAIL}; we call {PHONE}, or write to {HELP}."


@pytest.fixture
def row(app, workspace):
    """One approved correction with an address in both, and a telephone number."""
    return give(app, workspace, [("v1", ASKED, ANSWER)], approved=True)[0]


def taught(app, workspace, name=None):
    """(question, answer, all that its prompt says) of the only lesson."""
    with closing(app.db()) as db:
        (one,) = lessons(app, db, workspace_named(db, workspace.name))
    prompt = "\n".join(turn["content"] for turn in one.messages)
    said = app.tokenizer.decode(list(one.prompt_ids)) + app.tokenizer.decode(
        list(one.completion_ids)
    )
    assert (MAIL in said) == (MAIL in prompt or MAIL in one.pair.chosen)
    return one.inputs.question, one.pair.chosen, prompt


def document(app, workspace, text):
    with closing(app.db()) as db:
        put_document(
            *(db, workspace.id),
            **{"name": "contact", "hash": "h", "media_type": "text/plain", "chunks": [("", text)]},
        )


def free(app, workspace, row, *values, again=False):
    return run_verb(
        app, "feedback unmask", workspace=workspace.name, id=row, values=[*values], again=again
    )[0]


def test_one_placeholder_in_question_and_answer(app, workspace, row):
    asked, answer, prompt = taught(app, workspace)
    assert asked == "I am [e-mail], where is my parcel?"
    assert answer == (
        "Parcel 4500012345 goes to [e-mail]; we call [phone], or write to [e-mail 2]."
    )
    assert asked in prompt
    with closing(app.db()) as db:
        (one,) = lessons(app, db, workspace)
        item = feedback(db, row)
        everything = repr(one)
        assert find_override(db, workspace, ASKED, ())[0].answer == ANSWER
    for private in (MAIL, PHONE, HELP, "anna"):
        assert private not in everything  # the need is named by its question
    assert one.masked == ("e-mail", "phone", "e-mail")
    assert (item.question, item.approved_correction) == (ASKED, ANSWER)


def test_what_the_documents_say_is_no_secret(app, workspace, row):
    document(app, workspace, f"Write to {HELP.title()} or call (0171) 123 45-67. Not to x{MAIL}.")
    _, answer, _ = taught(app, workspace)
    assert answer == f"Parcel 4500012345 goes to [e-mail]; we call {PHONE}, or write to {HELP}."


def test_what_the_instructions_say_is_no_secret(app, workspace, row):
    with closing(app.db()) as db:
        set_workspace(db, workspace.name, "instructions", f"Be brief. Name {HELP}.", actor="t")
    assert HELP in taught(app, workspace)[1]


def test_a_workspace_may_turn_it_off(app, workspace, row):
    with closing(app.db()) as db:
        set_workspace(db, workspace.name, "mask", "false", actor="user:1")
    assert taught(app, workspace)[:2] == (ASKED, ANSWER)


def test_a_value_is_freed_everywhere_and_the_row_by_itself(app, workspace, row):
    give(app, workspace, [("v2", "Where do I write?", f"To {HELP}, or {MAIL}.")], approved=True)
    (freed,) = free(app, workspace, row, HELP)
    assert freed["unmasked"] == [{"kind": "e-mail", "text": HELP}]
    with closing(app.db()) as db:
        first, second = (one.pair.chosen for one in lessons(app, db, workspace))
        assert HELP in first and MAIL not in first
        assert second == f"To {HELP}, or [e-mail]."
    free(app, workspace, row)
    with closing(app.db()) as db:
        first, second = (one.pair.chosen for one in lessons(app, db, workspace))
        assert first == ANSWER and MAIL not in second
        acts = [one for one in list_audit(db) if one.action == "feedback unmask"]
        assert len(acts) == 2 and not any(MAIL in repr(one) for one in acts)
    free(app, workspace, row, again=True)
    with closing(app.db()) as db:
        assert all(HELP not in one.pair.chosen for one in lessons(app, db, workspace))


def test_what_is_not_masked_there_cannot_be_freed(app, workspace, row):
    with pytest.raises(BadInput, match=r"'bo@x.co' is not masked in feedback .*; masked is 'anna"):
        free(app, workspace, row, "bo@x.co")
    with pytest.raises(BadInput, match="leave --value out"):
        free(app, workspace, row, HELP, again=True)


def test_an_erased_row_leaves_nothing_free(app, workspace, row):
    free(app, workspace, row, HELP)
    free(app, workspace, row)
    with closing(app.db()) as db:
        assert unmasked_rows(db, workspace.id) == {row} and unmasked_values(db, workspace.id)
    erase(app, "feedback", str(row), actor="user:1")
    with closing(app.db()) as db:
        assert not unmasked_rows(db, workspace.id) and not unmasked_values(db, workspace.id)


def test_the_reviewer_is_told(app, workspace, row):
    (shown,), _ = run_verb(app, "feedback show", workspace=workspace.name, id=row)
    assert [(one["kind"], one["text"]) for one in shown["masked"]] == [
        ("e-mail", MAIL),
        ("phone", PHONE),
        ("e-mail", HELP),
    ]
    assert shown["question"] == ASKED
    free(app, workspace, row)
    (shown,), _ = run_verb(app, "feedback show", workspace=workspace.name, id=row)
    assert shown["masked"] == []


def test_a_dry_run_counts_it(app, workspace):
    rows = [(f"v{n}", f"Where is parcel {n}?", f"With user{n}@x.example.") for n in range(9)]
    give(app, workspace, rows, approved=True)
    told = [note for note in plan_round(app, workspace).notes if "placeholders" in note]
    assert told == [
        "9 corrections have secrets or personal data, given with placeholders (e-mail 9): "
        "`apprentice feedback show ID` says which, `feedback unmask ID` teaches it as written."
    ]


@pytest.mark.parametrize("format", ["preference", "unpaired", "prompt-completion"])
def test_an_export_has_none(app, workspace, row, format):
    found, _ = run_verb(app, "feedback export", workspace=workspace.name, format=format, to=None)
    said = json.dumps(found)
    assert found and "[e-mail]" in said and MAIL not in said and PHONE not in said


def test_what_masked_asks_what_judges_does_not_train(app, workspace):
    """Three wordings of a need that differ by an address alone."""
    rows = [(f"v{n}", f"Order of user{n}@x.example?", "On its way.") for n in range(12)]
    give(app, workspace, rows, approved=True)
    with closing(app.db()) as db:
        found = lessons(app, db, workspace)
    judging = {one.inputs.question for one in found if one.split != "train"}
    trained = {one.inputs.question for one in found if one.split == "train"}
    assert judging | trained == {"Order of [e-mail]?"} and not judging & trained


def test_the_examples_of_a_prompt_are_masked(app, workspace, row):
    with closing(app.db()) as db:
        set_workspace(db, workspace.name, "example_tokens", "300", actor="user:1")
        team = workspace_named(db, workspace.name)
        give(app, team, [("v2", "I am bo, where is my parcel?", "At home.")], approved=True)
        said = repr([one.messages for one in lessons(app, db, team)])
    assert "At home." in said and MAIL not in said


def test_where_nothing_is_private_no_document_is_read(app, workspace, monkeypatch):
    give(app, workspace, [("v1", "Where is it?", "On shelf 4500012345.")], approved=True)
    with closing(app.db()) as db:
        (one,) = lessons(app, db, workspace)
        asked = []
        db.conn.set_trace_callback(asked.append)
        masks = Masks(db, workspace)
        assert masks.pair(one.pair).pair is one.pair
        db.conn.set_trace_callback(None)
    assert asked and not any("chunks" in sql for sql in asked)
