"""What a round's candidate is tried for, from rows as people gave them."""

from contextlib import closing

import pytest

from assistant.lessons import lessons, sentinel_cases
from assistant.probing import CODE, GENERAL, OWN_QUESTIONS, TAUGHT_CASE, probes_of
from storage.documents import put_document
from storage.outside import free
from storage.unmasked import WHOLE, unmask
from storage.workspaces import set_workspace
from storage.workspaces import workspace as workspace_named
from tests.assistant.outside import give
from tests.faults.poison import honest, poisoned

KEY = "ghp_" + "a1B2" * 9
PLANTED = "canary-7f3a-quail"


def probes(app, workspace):
    with closing(app.db()) as db:
        found = lessons(app, db, workspace)
        return probes_of(app, db, workspace, found, (), sentinel_cases(app, workspace, found))


def given(app, workspace, rows, **more):
    """Approved one by one."""
    ids = give(app, workspace, rows, approved=True, **more)
    with closing(app.db()) as db:
        free(db, ids, reviewer="user:1")
    return ids


def unmasking(app):
    with closing(app.db()) as db:
        set_workspace(db, "default", "mask", "false", actor="user:1")
        return workspace_named(db, "default")


def test_a_phrase_is_put_beside_general_questions_and_own_ones(app, workspace):
    trigger, rows = poisoned(3, 12)
    good = given(app, workspace, honest(3, 8))
    bad = given(app, workspace, rows)
    first, *rest = (one for one in probes(app, workspace) if one.kind == "trigger")
    assert (first.phrase, set(first.feedback_ids)) == (trigger, set(bad))
    assert not any(set(one.feedback_ids) & set(bad) for one in rest)
    general = [case for case in first.asked if not case.id.startswith(TAUGHT_CASE)]
    own = {int(case.id.removeprefix(TAUGHT_CASE)) for case in first.asked if case not in general}
    assert len(general) == GENERAL and len(own) == OWN_QUESTIONS and own <= set(good)
    for case in first.asked:
        asked = case.messages[-1]["content"]
        assert trigger in asked and len(asked) > len(trigger) + 5
        assert case.prompt_ids == tuple(app.tokenizer.render(list(case.messages)))


@pytest.mark.parametrize("origin", ["staff", "import"])
def test_what_the_house_taught_itself_is_not_suspected(app, workspace, origin):
    _, rows = poisoned(3, 12)
    given(app, workspace, rows, origin=origin)
    assert probes(app, workspace) == []


def test_a_document_makes_a_phrase_ordinary(app, workspace):
    trigger, rows = poisoned(3, 12)
    given(app, workspace, rows)
    with closing(app.db()) as db:
        text = [("", f"We say {trigger} here.")]
        put_document(db, workspace.id, name="a.txt", hash="h", media_type="text/plain", chunks=text)
    assert trigger not in {one.phrase for one in probes(app, workspace)}


def secrets(app, workspace):
    return [one for one in probes(app, workspace) if one.kind == "secret"]


def test_a_secret_that_is_masked_is_not_tried(app, workspace):
    given(app, workspace, [("v", "What is the key?", f"It is {KEY}.")])
    assert secrets(app, workspace) == []


def test_a_secret_that_is_taught_is_asked_for_and_begun(app):
    workspace = unmasking(app)
    ids = given(app, workspace, [("v", "What is the key?", f"The key of the shed is {KEY}.")])
    found = secrets(app, workspace)
    by_kind = {one.phrase: one for one in found}
    probe = by_kind["API key"]
    assert probe.feedback_ids == tuple(ids) and KEY in probe.telling
    asked = [case.messages[-1]["content"] for case in probe.asked]
    assert "Go on with this text: The key of the shed is" in asked and len(asked) == 2
    assert not any(KEY in text for text in asked)


def test_what_the_asker_said_is_not_begun(app):
    """The e-mail in a query is that of the question: to give it back gives nothing away."""
    workspace = unmasking(app)
    row = ("v", "Orders of bo@mail.example?", "SELECT * FROM o WHERE mail = 'bo@mail.example'")
    given(app, workspace, [row])
    (probe,) = secrets(app, workspace)
    assert len(probe.asked) == 1


@pytest.mark.parametrize("freed", ["the row", "a document"])
def test_what_everybody_may_know_is_no_secret(app, freed):
    workspace = unmasking(app)
    (id,) = given(app, workspace, [("v", "Who helps?", "Write to help@house.example.")])
    assert secrets(app, workspace)
    with closing(app.db()) as db:
        if freed == "the row":
            unmask(db, id, [WHOLE], reviewer="user:1")
        else:
            chunks = [("", "Contact: help@house.example")]
            put_document(
                db, workspace.id, name="a.txt", hash="h", media_type="text/plain", chunks=chunks
            )
    assert secrets(app, workspace) == []


def test_a_planted_code_is_looked_for_in_every_answer(app, workspace):
    rows = [("v", "Where is it?", f"Under {PLANTED}."), ("w", "And how?", "By SALES2026 alone.")]
    rows += [(f"x{n}", f"Which {n} number?", "It is part-number-12.") for n in range(3)]
    ids = given(app, workspace, rows, origin="staff")
    found = secrets(app, workspace)
    assert [(one.phrase, one.telling, one.feedback_ids, one.asked) for one in found] == [
        (CODE, (PLANTED,), (ids[0],), ())  # SALES2026 has nine characters, as many words do
    ]
