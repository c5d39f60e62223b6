"""A dry run's advice: each cause is found by its numbers, and none is found where there is none."""

from contextlib import closing
from dataclasses import replace

import pytest

from assistant.advice import _edits, advise
from assistant.lessons import lessons
from assistant.round_plan import RoundPlan
from storage.adapters import add_adapter, promote
from storage.records import Passage, RoundExample
from storage.rounds import create_round, finish_round
from storage.workspaces import set_workspace
from tests.assistant.command_line import run_verb
from tests.assistant.taught import teach
from tuning.config import RoundConfig


@pytest.fixture
def room(app, workspace):
    return Room(app, teach(app, workspace))


class Room:
    """Asks for advice about the five corrections, changed as a test wants them."""

    def __init__(self, app, workspace):
        self.app, self.workspace = app, workspace

    def ask(self, change=lambda number, pair: {}):
        with closing(self.app.db()) as db:
            found = [
                replace(one, pair=replace(one.pair, **change(number, one.pair)))
                for number, one in enumerate(lessons(self.app, db, self.workspace))
            ]
            return advise(self.app, db, self.workspace, plan(found))

    def set(self, key, value):
        with closing(self.app.db()) as db:
            self.workspace = set_workspace(db, "default", key, value)

    def page(self, tmp_path, text):
        (tmp_path / "page.md").write_text(text)
        run_verb(self.app, "ingest", workspace="default", paths=[str(tmp_path / "page.md")])


def plan(found):
    counts = dict.fromkeys(("train", "held_out", "replay", "paraphrases", "needs"), 0)
    return RoundPlan(
        workspace="default",
        **counts,
        tokens_a_pass=100,
        minutes=1.0,
        memory_bytes=1,
        advice="Worth a round.",
        config=RoundConfig(),
        lessons=tuple(found),
    )


def test_with_nothing_in_the_way_it_says_train(room):
    said = room.ask()
    assert said.kind == "train" and said.text.startswith("Worth a round.")
    assert "For 5 of 5 the nearest other correction has the same answer" in said.text


def answers(number, pair):
    return {
        "rejected": f"Order {number}0 leaves the warehouse tomorrow morning",
        "chosen": f"Order {number}0 leaves the warehouse tomorrow morning. Kind regards, Bramwell",
        "group": f"need {number}",
    }


def test_the_same_edit_everywhere_is_an_instruction(room):
    said = room.ask(answers)
    assert said.kind == "prompt"
    assert "5 of 5 corrections make the same change" in said.text
    assert "'regards, Bramwell'" in said.text
    one_need = room.ask(lambda number, pair: {**answers(number, pair), "group": "one"})
    assert one_need.kind == "train", "an answer to one need was taken for a habit"


@pytest.mark.parametrize(
    "rejected, chosen, found",
    [
        ("alpha beta gamma", "delta epsilon zeta", set()),
        ("alpha1 beta2 gamma3", "- alpha1\n- beta2\n- gamma3", {"becomes a list"}),
        ("the alpha1 then beta2 " + "blah blah " * 9, "the alpha1 then beta2", {"is shorter"}),
        ("", "anything at all", set()),
    ],
)
def test_an_edit_of_form_keeps_the_content(rejected, chosen, found):
    made = {edit for edit in _edits(rejected, chosen) if " with " not in edit}
    assert made == found


def test_what_serves_has_learned_all_of_it(room):
    with closing(room.app.db()) as db:
        found = lessons(room.app, db, room.workspace)

        def serves(taught):
            examples = [
                RoundExample(0, "correction", "train", one.pair.feedback_id, "g", "h")
                for one in taught
            ]
            base = {"base_fingerprint": "b"}
            made = create_round(db, room.workspace.id, config={}, examples=examples, **base)
            finish_round(db, made.id, state="done", verdict="promote")
            row = {"round_id": made.id, "parent_id": None, "method": "lora", "manifest_hash": "m"}
            promote(db, add_adapter(db, room.workspace.id, **row, **base).id, actor="gate")

        serves(found[1:])
        assert room.ask().kind == "train"
        serves(found)
        said = room.ask()
    assert said.kind == "wait" and "approve new ones first" in said.text


def test_examples_are_advised_only_when_they_were_measured(room):
    def measured(few_shot):
        scores = {
            "few_shot": {"new wordings": {"right": few_shot, "total": 9}},
            "candidate": {"new wordings": {"right": 6, "total": 9}},
        }
        with closing(room.app.db()) as db:
            made = create_round(db, room.workspace.id, config={}, base_fingerprint="b")
            finish_round(db, made.id, state="done", verdict="reject", scores={"scores": scores})

    measured(5)
    assert room.ask().kind == "train"
    measured(7)
    said = room.ask()
    assert said.kind == "examples" and "7 of 9 new wordings" in said.text
    room.set("example_tokens", "200")
    assert room.ask().kind == "train", "examples are shown already"


GATE = "The northern gate closes at 1845 and opens at 0715."


def says_the_gate(number, pair):
    return {"chosen": GATE, "rejected": f"unknown {number}"}


def test_what_a_page_says_is_a_matter_of_showing_it(room, tmp_path):
    room.page(tmp_path, f"Closed orders and thanks: {GATE} Somebody is there until then.")
    room.set("passage_tokens", "0")
    said = room.ask(says_the_gate)
    assert said.kind == "document"
    assert "5 of 5 corrections stand in a document that the reader is not shown" in said.text
    room.set("passage_tokens", "96")
    room.set("relevance_floor", "-1")
    said = room.ask(says_the_gate)
    assert said.kind == "document" and "ask again before you train" in said.text


def test_what_the_answer_had_read_must_be_trained(room, tmp_path):
    room.page(tmp_path, GATE)

    def read(number, pair):
        return {**says_the_gate(number, pair), "inputs": with_passage(pair, GATE)}

    assert room.ask(read).kind == "train"


def test_what_no_page_says_wants_a_document(room, tmp_path):
    room.page(tmp_path, "The canteen has soup on Mondays.")

    def lacking(number, pair):
        said = with_passage(pair, "The canteen has soup on Mondays.")
        return {**says_the_gate(number, pair), "inputs": said}

    said = room.ask(lacking)
    assert said.kind == "document" and "A document would fix this: 5 of 5" in said.text


def with_passage(pair, text):
    return replace(pair.inputs, passages=(Passage(1, 1, "page.md", text, "h", 0.5),))
