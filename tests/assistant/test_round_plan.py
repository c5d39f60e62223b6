"""What a round would do, by what was approved: too little, too long, odd, and thumbs alone."""

from contextlib import closing

import pytest

from assistant.lessons import REJECTED_TOKENS
from assistant.round_plan import plan_round
from assistant.rounds import start_round
from storage import rounds
from storage.errors import BadInput
from storage.pairs import approved_thumbs
from storage.workspaces import set_workspace
from tests.assistant.command_line import run_verb, write_rows
from tuning.objective import LEAST_OF_A_KIND, THUMBS_NEEDED


@pytest.fixture
def load(app, workspace, tmp_path):
    """Imports rows, approved; gives the workspace."""

    def load(*rows):
        path = write_rows(tmp_path / "rows.jsonl", *rows)
        run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
        return workspace

    return load


def corrections(count, **more):
    return [
        {
            "question": f"What is {number}?",
            "answer": f"No {number}.",
            "correction": f"It is {number}.",
            "group": f"need {number // 3}",
            **more,
        }
        for number in range(count)
    ]


def thumbs(ups, downs):
    return [
        {"question": f"Tell me {n}.", "answer": f"Told {n}.", "rating": 1 if n < ups else -1}
        for n in range(ups + downs)
    ]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_pairs_are_refused(app, workspace, load, count):
    if count:
        load(*corrections(count))
    with pytest.raises(BadInput, match=f"has {count} approved corrections.* thumbs with"):
        plan_round(app, workspace)


def test_pairs_of_one_need_train_but_hardly_judge(app, load):
    plan = plan_round(app, load(*corrections(9, group="one")))
    assert (plan.train, plan.held_out, plan.needs) == (8, 1, 1)
    assert "Only 1 needs" in plan.advice
    assert plan.config.objective == "sft"
    assert plan.notes[0].startswith("sft, because 8 rejected answers")


def test_a_correction_longer_than_the_context_is_left_out_and_named(app, load):
    long = {"question": "What is long?", "answer": "x", "correction": "word " * 19_000}
    assert app.tokenizer.count(long["correction"]) > app.settings.context
    plan = plan_round(app, load(*corrections(9), long))
    assert plan.train + plan.held_out == 9
    (note,) = [note for note in plan.notes if "left out" in note]
    assert note.startswith("Feedback 10 is left out: its prompt and answer are ")
    assert f"tokens long, and {app.settings.context:,} fit." in note


def test_a_long_wrong_answer_is_cut(app, load):
    plan = plan_round(app, load(*corrections(12, answer="wrong " * 5000)), {"objective": "dpo"})
    assert plan.config.objective == "dpo"
    assert {len(one.rejected_ids) for one in plan.lessons} == {REJECTED_TOKENS}


def test_odd_characters_are_taught_as_they_can_be(app, load):
    odd = {"question": "Odd \x00 \ud800?", "answer": "\ufffe", "correction": "\x01\x02 \udfff ok"}
    plan = plan_round(app, load(*corrections(8), odd))
    (lesson,) = [one for one in plan.lessons if "Odd" in one.inputs.question]
    assert "ok" in app.tokenizer.decode(lesson.completion_ids)


def test_thumbs_alone_are_enough_for_kto(app, load):
    workspace = load(*thumbs(THUMBS_NEEDED - LEAST_OF_A_KIND, LEAST_OF_A_KIND))
    plan = plan_round(app, workspace)
    assert (plan.config.objective, plan.train, plan.held_out) == ("kto", 0, 0)
    assert plan.pairs["thumbs"] == len(plan.judged) == THUMBS_NEEDED
    assert plan.tokens_a_pass > 0 and plan.minutes > 0
    with pytest.raises(BadInput, match="approved corrections"):
        plan_round(app, workspace, {"objective": "sft"})


def test_thumbs_beside_corrections(app, load):
    workspace = load(*corrections(9), *thumbs(4, 4))
    plan = plan_round(app, workspace)
    assert plan.config.objective == "sft" and plan.judged == ()
    assert "8 thumbs are left out" in plan.notes[0]
    asked = plan_round(app, workspace, {"objective": "kto"})
    assert len(asked.judged) == 8 and asked.train == plan.train
    assert asked.notes[0] == "kto was asked for."


def test_a_thumb_on_a_held_out_question_is_left_out(app, load):
    workspace = load(*corrections(9), *thumbs(4, 4))
    held = next(one for one in plan_round(app, workspace).lessons if one.split != "train")
    asked = {"question": held.inputs.question, "answer": "Otherwise.", "rating": 1}
    load(asked)
    with closing(app.db()) as db:
        assert len(approved_thumbs(db, workspace.id)) == 9
    assert len(plan_round(app, workspace, {"objective": "kto"}).judged) == 8


def test_a_thumbs_prompt_is_that_of_service_today(app, load):
    load(*thumbs(4, 4))
    with closing(app.db()) as db:
        today = set_workspace(db, "default", "instructions", "Be brief.")
    for lesson in plan_round(app, today, {"objective": "kto"}).judged:
        assert lesson.messages[0] == {"role": "system", "content": "Be brief."}
        assert lesson.prompt_ids == tuple(app.tokenizer.render(list(lesson.messages)))
        assert lesson.completion_ids == tuple(app.tokenizer.completion_ids(lesson.pair.chosen))


def test_a_round_of_thumbs_ends_without_evidence_and_keeps_its_lineage(app, load):
    load(*thumbs(4, 4))
    dials = ["epochs=1", "rank=2", "replay_share=0"]
    (result,), code = run_verb(
        app, "tune", workspace="default", method="lora", objective="kto", dials=dials
    )
    assert (result["verdict"], code) != ("promote", 0) and "error" not in result
    assert result["pairs"]["thumbs"] == 8
    with closing(app.db()) as db:
        kept = rounds.tuning_round(db, result["round"])
        examples = rounds.round_examples(db, result["round"])
    assert (kept.config["objective"], kept.config["notes"][0]) == ("kto", "kto was asked for.")
    assert {(one.kind, one.split) for one in examples} == {("thumb", "train")}
    assert sorted(one.feedback_id for one in examples) == list(range(1, 9))
    taught, _ = run_verb(app, "lineage", id=result["adapter"])
    assert [row["kind"] for row in taught] == ["thumb"] * 8
    assert {row["taught"] for row in taught} == {f"Told {n}." for n in range(8)}


def test_too_few_thumbs_start_nothing(app, load):
    workspace = load(*thumbs(3, 3))
    with pytest.raises(BadInput, match="6 approved thumbs"):
        start_round(app, workspace, dials={"objective": "kto"}, actor="user:1")
    with closing(app.db()) as db:
        assert rounds.list_rounds(db, workspace.id) == []
