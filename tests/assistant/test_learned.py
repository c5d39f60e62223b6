"""What a promoted adapter knows needs no override while it serves, and one again afterwards."""

from contextlib import closing
from pathlib import Path

import pytest

from assistant.app import App
from assistant.learned import ASKED_AT_MOST, with_learned
from assistant.lesson_rows import train_row
from assistant.lessons import lessons
from assistant.overriding import find_override
from storage.adapters import add_adapter, promote, rollback, serving_adapter
from storage.overrides import has_learned, list_overrides, note_learned, retire
from storage.rounds import create_round, finish_round
from tests.assistant.command_line import run_verb
from tests.assistant.outside import give
from tests.assistant.taught import WORDINGS, teach
from tuning.bundle import Bundle, TrainRow
from tuning.config import RoundConfig
from tuning.run import RoundResult


@pytest.fixture
def corrected(app, workspace):
    return teach(app, workspace)


def judged(app: App, workspace, said: dict[str, str], verdict="promote", rows=None):
    """What comes of a round on all corrections whose candidate says `said`, by question."""
    with closing(app.db()) as db:
        rows = rows or [
            TrainRow(
                str(one.feedback_id),
                "g",
                ({"role": "user", "content": one.question},),
                (1,),
                one.answer,
                (2,),
            )
            for one in list_overrides(db, workspace.id)
        ]
        variant = TrainRow(f"{rows[0].id}~1", "g", (), (1,), "x", (2,), kind="variant")
        bundle = Bundle(Path(), RoundConfig(), "", "", 1, [*rows, variant], (), ())
        queued = create_round(db, workspace.id, config={}, base_fingerprint=app.base.fingerprint)
        finish_round(db, queued.id, state="failed")
        asked = []

        def answer(cases, adapter_id):
            asked.extend(cases)
            return [said.get(case.messages[-1]["content"], "?") for case in cases]

        result = RoundResult(
            verdict=verdict,
            reasons=(),
            adapter=Path(),
            evaluations=(),
            scores={},
            style={},
            sentinel={},
            steps=1,
            losses=(),
            training={},
            seconds=1,
            peak_rss_bytes=1,
        )
        return with_learned(app, db, queued, bundle, result, answer), asked


def test_what_it_answers_right_unaided_is_learned(app, corrected):
    right, wrong = WORDINGS["orders"][:2]
    result, asked = judged(app, corrected, {right: "right: orders", wrong: "right: thanks"})
    with closing(app.db()) as db:
        by_question = {one.question: one for one in list_overrides(db, corrected.id)}
    assert result.learned == (by_question[right].feedback_id,)
    assert result.summary()["learned"] == 1
    assert len(asked) == 5 and all(case.approved == () for case in asked)


def test_retired_ones_and_those_of_a_refused_candidate_are_not_asked(app, corrected):
    with closing(app.db()) as db:
        retire(db, list_overrides(db, corrected.id)[0].id, actor="user:1")
    assert len(judged(app, corrected, {})[1]) == 4
    assert judged(app, corrected, {}, verdict="reject")[1] == []


def test_no_more_are_asked_than_take_a_minute_or_two(app, corrected):
    with closing(app.db()) as db:
        newest = list_overrides(db, corrected.id)[0].feedback_id
    assert ASKED_AT_MOST == 100
    _, asked = judged(app, corrected, {})
    assert asked[0].id == str(newest)


def test_it_rests_while_that_adapter_serves_and_comes_back_with_a_rollback(app, corrected):
    question = WORDINGS["thanks"][1]
    with closing(app.db()) as db:
        (override,) = [one for one in list_overrides(db, corrected.id) if one.question == question]
        made = add_adapter(
            db,
            corrected.id,
            base_fingerprint=app.base.fingerprint,
            round_id=None,
            parent_id=None,
            method="lora",
            manifest_hash="m",
            metrics={},
        )
        note_learned(db, made.id, [override.feedback_id, 10_000])
        note_learned(db, made.id, [override.feedback_id])
        assert has_learned(db, made.id, override.id)

        def answered():
            serving = serving_adapter(db, corrected.id)
            found, _ = find_override(
                db, corrected, question, (), adapter_id=serving.id if serving else None
            )
            return found

        assert answered() == override
        promote(db, made.id, actor="user:1", override_reason="test")
        assert answered() is None
        (listed,) = [
            one
            for one in run_verb(app, "overrides list", workspace="default")[0]
            if one["id"] == override.id
        ]
        assert listed["answers"] == f"no, adapter {made.id} knows it"
        rollback(db, corrected.id, actor="user:1")
        assert answered() == override
        assert {
            one["answers"] for one in run_verb(app, "overrides list", workspace="default")[0]
        } == {"yes"}


def test_an_override_that_was_taught_masked_keeps_answering(app, workspace):
    """What the adapter learned is a placeholder, so the approved words are still needed."""
    give(app, workspace, [("v1", "Where do I write?", "To bo@x.example.")], approved=True)
    with closing(app.db()) as db:
        (lesson,) = lessons(app, db, workspace)
        (active,) = list_overrides(db, workspace.id)
    assert lesson.pair.chosen == "To [e-mail]."
    result, asked = judged(app, workspace, {}, rows=[train_row(lesson)])
    assert asked == [] and result.learned == ()
    result, asked = judged(app, workspace, {})
    assert [case.expected for case in asked] == [active.answer]
