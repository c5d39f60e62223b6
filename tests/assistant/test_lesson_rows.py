"""Rows of a round: each taught pair in several words, and never a held-out one."""

from contextlib import closing
from dataclasses import replace

import pytest

from assistant import lesson_rows
from assistant.lesson_rows import (
    ending_rows,
    raft_rows,
    recombined_rows,
    train_row,
    training_rows,
    variant_rows,
    varied,
)
from assistant.lessons import lessons
from assistant.replay import plain_inputs
from storage.documents import put_document
from storage.records import Paraphrase, Passage
from storage.workspaces import set_workspace
from tests.assistant.taught import WORDINGS, teach
from tuning.bundle import asked


@pytest.fixture
def taught(app, workspace):
    """Five approved corrections of two needs."""
    return teach(app, workspace)


def test_variants_are_marked_and_never_a_held_out_wording(app, taught):
    with closing(app.db()) as db:
        found = lessons(app, db, taught)
    rows = list(variant_rows(app, found))
    assert rows and {row.kind for row in rows} == {"variant"}
    trained = {train_row(one).id for one in found if one.split == "train"}
    assert {row.of for row in rows} <= trained
    asked = {row.messages[-1]["content"].casefold() for row in rows}
    assert not asked & {one.inputs.question.casefold() for one in found}


def test_of_many_some_get_further_rows_and_whatever_judges_is_known(app, taught, monkeypatch):
    with closing(app.db()) as db:
        found = lessons(app, db, taught)
    trained = [one for one in found if one.split == "train"]
    assert varied(found) == found
    monkeypatch.setattr(lesson_rows, "MOST_VARIED", 1)
    of = trained[-1].pair.feedback_id
    asked_otherwise = Paraphrase(1, of, "Asked otherwise?", "boss", "2026-11-21")
    some = [*trained[:-1], replace(trained[-1], paraphrases=(asked_otherwise,))]
    assert varied(some) == [some[0], some[-1]]


def test_an_answer_begun_after_another_question_ends_as_taught(app, taught):
    with closing(app.db()) as db:
        found = lessons(app, db, taught)
    taught_lessons = {str(one.pair.feedback_id): one for one in found if one.split == "train"}
    answers = {one.completion_ids for one in taught_lessons.values()}
    rows = list(ending_rows(app, found))
    assert {row.of for row in rows} == set(taught_lessons)
    for row in rows:
        own = taught_lessons[row.of]
        begun = own.completion_ids[: -len(row.completion_ids)]
        assert begun + row.completion_ids == own.completion_ids
        assert row.prompt_ids[-len(begun) :] == begun
        assert [answer for answer in answers if answer[: len(begun)] == begun] == [
            own.completion_ids
        ]
        question = row.messages[-2]["content"]
        group = next((k for k, asked in WORDINGS.items() if question in asked), None)
        assert group != own.pair.group


OWN = Passage(0, 0, "returns.md", "Closed orders are marked.", "own", 1.0)


@pytest.fixture
def shown(app, workspace):
    """The same corrections, each with a passage in its prompt, and two documents beside."""
    with closing(app.db()) as db:
        for name in ("a.md", "b.md"):
            chunks = [("", f"{name} is about boats. They sail.")]
            fields = {"hash": name, "media_type": "text/markdown", "chunks": chunks}
            put_document(db, workspace.id, name=name, **fields)
    return teach(app, workspace, passages=(OWN,))


def test_pairs_with_passages_are_also_taught_without_and_among_others(app, shown):
    with closing(app.db()) as db:
        found = lessons(app, db, shown)
        rows = list(raft_rows(app, db, shown, found))
        assert rows == list(raft_rows(app, db, shown, found)), "it is not by chance alone"
    trained = {str(one.pair.feedback_id): one for one in found if one.split == "train"}
    assert {row.of for row in rows} == set(trained) and {row.kind for row in rows} == {"raft"}
    assert len(rows) == 2 * len(trained)
    for bare, among in zip(rows[::2], rows[1::2], strict=True):
        question = trained[bare.of].inputs.question
        assert bare.messages[-1]["content"] == question
        said = among.messages[-1]["content"]
        assert OWN.text in said and "is about boats" in said and said.endswith(question)
        for row in (bare, among):
            assert row.prompt_ids == tuple(app.tokenizer.render(list(row.messages)))
            assert row.completion_ids == trained[row.of].completion_ids
            assert asked(row.messages) not in {
                asked(one.messages) for one in found if one.split != "train"
            }


def test_an_answer_with_numbered_sources_keeps_them_right(app, shown):
    answer = "They are marked. [1]"
    ids = tuple(app.tokenizer.completion_ids(answer))
    with closing(app.db()) as db:
        found = [
            replace(one, pair=replace(one.pair, chosen=answer), completion_ids=ids)
            for one in lessons(app, db, shown)
        ]
        rows = list(raft_rows(app, db, shown, found))
    assert len(rows) == sum(one.split == "train" for one in found)
    numbers = set()
    for row in rows:
        said = row.messages[-1]["content"]
        number = row.completion.removeprefix("They are marked. [")[0]
        assert f"[{number}] returns.md: {OWN.text}" in said and "is about boats" in said
        assert row.completion_ids == tuple(app.tokenizer.completion_ids(row.completion))
        numbers.add(number)
    assert len(numbers) > 1, "it does not always stand in one place"


def test_no_distraction_where_the_budget_is_spent(app, shown):
    budget = app.tokenizer.count(OWN.text) + 1
    with closing(app.db()) as db:
        tight = set_workspace(db, "default", "passage_tokens", str(budget))
        rows = list(raft_rows(app, db, tight, lessons(app, db, tight)))
    assert rows and all("boats" not in row.messages[-1]["content"] for row in rows)


def test_pairs_without_passages_have_no_such_rows(app, taught):
    with closing(app.db()) as db:
        found = lessons(app, db, taught)
        assert list(raft_rows(app, db, taught, found)) == []
        rows = list(training_rows(app, db, taught, found))
    assert {row.kind for row in rows} == {"correction", "variant"}
    begun = [row for row in rows if "~end" in row.id]
    assert begun and all(row.rejected_ids == () for row in begun)
    assert all(row.rejected_ids for row in rows if row.kind == "correction")


def test_written_wordings_count_twice_and_are_varied(app, taught):
    with closing(app.db()) as db:
        found = lessons(app, db, taught)
    one = next(one for one in found if one.split == "train")
    wording = "Name whatever was finished by today, all of it"
    plain = {row.id for row in variant_rows(app, found)}
    rows = list(variant_rows(app, found, {one.pair.feedback_id: [wording]}))
    assert len({row.id for row in rows}) == len(rows) == len(plain) + 2 + 3
    same = [row for row in rows if row.messages[-1]["content"] == wording]
    assert len(same) == 2 and {row.of for row in same} == {str(one.pair.feedback_id)}
    assert {row.completion for row in same} == {one.pair.chosen}


def test_new_questions_are_rows_of_their_own_as_far_as_they_fit(app, taught):
    inputs = plain_inputs(taught, "How many are there?")
    long = replace(inputs, question="How many? " * 300)
    (row,) = recombined_rows(app, [(inputs, "SELECT 1"), (long, "SELECT 2")])
    assert (row.kind, row.of, row.completion) == ("recombined", None, "SELECT 1")
    assert row.prompt_ids == tuple(app.tokenizer.render(list(row.messages)))
