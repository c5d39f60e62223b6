"""A whole round on the tiny base: its opponents, its reasons, and the same evaluation again."""

from contextlib import closing

import pytest

from assistant.opponents import Watch, opponents
from assistant.rounds import run_round_here
from storage.paraphrases import add_paraphrase
from storage.rounds import evaluations, round_examples, tuning_round
from tests.assistant.command_line import run_verb, write_rows
from tuning.bundle import read_bundle
from tuning.run import judge_round

DIALS = {"method": "lora", "epochs": 1, "rank": 2, "replay_share": 0}


@pytest.fixture
def finished(app, workspace, tmp_path):
    """A finished round of four needs of three wordings, and one of one with a paraphrase."""
    rows = [
        {"question": f"{ask} number {need}?", "correction": f"Answer {need}.", "group": f"n{need}"}
        for need in range(4)
        for ask in ("What is", "Tell me about", "Please explain")
    ]
    rows.append({"question": "When do you open?", "correction": "At nine.", "group": "hours"})
    path = write_rows(tmp_path / "rows.jsonl", *rows)
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    with closing(app.db()) as db:
        add_paraphrase(db, 13, "At what time are you there?", author="user:1")
    return run_round_here(app, workspace, dials=DIALS, actor="user:1")


def test_a_round_is_judged_by_every_opponent_and_evaluated_the_same_again(app, finished):
    with closing(app.db()) as db:
        first = evaluations(db, finished.id)
        asked = {(one.row, one.case_id) for one in first if one.slice == "new wordings"}
        cases = {case for _, case in asked}
        assert len(cases) == 5 and "13~p1" in cases
        rows = {"candidate", "serving", "base", "few_shot"}
        assert asked == {(row, case) for row in rows for case in cases}
        assert {one.row for one in first if one.slice == "sentinel"} == rows - {"few_shot"}
        assert finished.scores["scores"]["few_shot"]["new wordings"]["total"] == 5
        assert any("On 5 new wordings" in reason for reason in finished.reasons)
        assert finished.scores["pairs"]["held_out"] == 5
        kept = round_examples(db, finished.id)
        assert len(kept) == 13
        assert 13 in {one.feedback_id for one in kept if one.split == "train"}

        folder = app.datadir.rounds / str(finished.id)
        bundle = read_bundle(folder / "bundle")
        (folder / "out" / "adapter").symlink_to(app.adapter_folder(finished.scores["adapter"]))
        watch = Watch(db, tuning_round(db, finished.id), lambda share, note: None)
        with opponents(app, db, finished, bundle, watch) as (again, answer):
            second = judge_round(folder / "bundle", folder / "out", rows=again, answer=answer)
    key = {(one.row, one.case_id): (one.answer, one.right) for one in first}
    assert {(one.row, one.case_id): (one.answer, one.right) for one in second.evaluations} == key
    assert (second.verdict, second.reasons) == (finished.verdict, finished.reasons)
