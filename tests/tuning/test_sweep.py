"""What a sweep tries, and that what scores its trials is neither trained nor the gate's."""

import pytest

from storage.errors import BadInput
from storage.records import Wording
from tests.tuning.small import DIALS
from tuning.bundle import asked, read_bundle, write_bundle
from tuning.config import PEAK_RATES, RoundConfig
from tuning.rows import RowFile
from tuning.split import split
from tuning.sweep import (
    BUNDLE,
    MOST_ROWS,
    SCORED,
    SWEPT,
    Budget,
    SearchFailed,
    best_of,
    config_of,
    divide,
    first_dials,
    rows_for,
    space_of,
    typed,
    write_pool,
)

ASKED = ("What is", "Tell me about", "Please explain", "Say something of")


@pytest.fixture
def whole(tmp_path, tiny_base, words):
    """The bundle of a round on eight needs of four wordings, split as the house splits."""
    pairs = [
        (need * 10 + number, f"need {need}", f"{ask} number {need}")
        for need in range(8)
        for number, ask in enumerate(ASKED)
    ]
    parts = split((Wording(id, group, ask, id) for id, group, ask in pairs), salt="w")
    train, heldout = [], []
    for id, group, ask in pairs:
        if parts[id] == "train":
            train.append(words.row(str(id), group, ask, f"Answer {group}", rejected="No"))
            train.append(
                words.row(f"{id}~0", group, f"{ask} please", "x", kind="variant", of=str(id))
            )
        else:
            heldout.append(words.case(str(id), group, ask, f"Answer {group}", parts[id]))
    train.append(words.row("replay", "", "Thank you", "You are welcome", kind="replay"))
    assert len(heldout) == 8
    return write_bundle(
        tmp_path / "whole",
        config=RoundConfig(**DIALS),
        base_fingerprint=tiny_base.fingerprint,
        train=train,
        heldout=heldout,
        sentinel=[words.case("s-0", "", "Bonjour, ça va?", "You", "sentinel")],
    )


def test_nothing_that_the_gate_asks_is_in_what_the_trials_get(whole, tmp_path):
    """Not as a row, a prompt, a question or a text of any file."""
    write_pool(whole, tmp_path / "pool", "w")
    gate = (*whole.heldout, *whole.sentinel)
    pool = read_bundle(tmp_path / "pool" / BUNDLE)
    scored = list(RowFile(tmp_path / "pool" / SCORED))
    there = [*pool.train, *scored]
    assert not {case.id for case in gate} & {row.id for row in there}
    assert not {case.prompt_ids for case in gate} & {row.prompt_ids for row in there}
    assert not {asked(case.messages) for case in gate} & {asked(row.messages) for row in there}
    assert pool.sentinel == () and pool.likelihood == () and pool.probes == ()
    texts = "".join(path.read_text() for path in (tmp_path / "pool").rglob("*") if path.is_file())
    for case in whole.heldout:
        assert f'"{case.messages[-1]["content"]}"' not in texts


def test_what_scores_is_of_the_training_rows_and_trains_in_no_trial(whole, tmp_path):
    parted = write_pool(whole, tmp_path / "pool", "w")
    pool = read_bundle(tmp_path / "pool" / BUNDLE)
    scored = {row.id for row in parted.scored}
    assert len(scored) == 8, "one wording of each need"
    assert scored < {row.id for row in whole.train}
    trained = {row.id for row in pool.train}
    assert not scored & trained and not {f"{id}~0" for id in scored} & trained
    assert {row.group for row in parted.scored} <= {row.group for row in pool.train}
    assert "replay" in trained
    assert {case.id for case in pool.heldout} == scored
    assert list(RowFile(tmp_path / "pool" / SCORED)) == list(parted.scored)


def test_it_is_drawn_by_the_words_and_stays(whole):
    rows = list(whole.train)
    first = {row.id for row in divide(rows, "w").scored}
    assert {row.id for row in divide(rows[::-1], "w").scored} == first
    assert {row.id for row in divide(rows, "other").scored} != first


def test_the_same_question_in_two_rows_is_kept_out_in_both(whole, words):
    parted = divide(tuple(whole.train), "w")
    again = words.row(
        "again", parted.scored[0].group, parted.scored[0].messages[-1]["content"], "Other"
    )
    twice = divide((*whole.train, again), "w")
    assert "again" not in {row.id for row in twice.train}


def test_too_few_needs_are_refused_with_the_remedy(words):
    rows = [
        words.row(f"{need}{ask}", f"need {need}", f"{ask} {need}", "x")
        for need in range(4)
        for ask in ASKED[:2]
    ]
    with pytest.raises(BadInput, match="in two wordings.*has 4: correct the same need"):
        divide(rows, "w")


def test_of_very_many_needs_some_score_and_the_others_train(words):
    rows = [
        words.row(f"{need}{ask}", f"need {need}", f"{ask} {need}", "x")
        for need in range(MOST_ROWS + 20)
        for ask in ASKED[:2]
    ]
    parted = divide(rows, "w")
    assert len(parted.scored) == MOST_ROWS
    assert len(parted.train) == len(rows) - MOST_ROWS


def test_the_space_is_around_the_rounds_own_dials(whole):
    space = space_of(whole, ("lora", "rslora"), {})
    assert set(space) == {"method", "objective", "rank", "epochs", "rate_share"}
    assert space["objective"] == ["sft"] and space["rank"] == [8, 16, 32]
    assert space["epochs"] == [30, 60, 120]
    first = first_dials(whole, space)
    assert first == {
        "method": "lora",
        "objective": "sft",
        "rank": 8,
        "epochs": 60,
        "rate_share": 1.0,
    }
    for name, values in space.items():
        assert first[name] in values


def test_values_that_were_named_are_taken_as_their_dials_are(whole):
    named = typed({"rank": ["4", "8"], "learning_rate": ["1e-3"], "method": ["ia3"]})
    space = space_of(whole, ("lora",), named)
    assert (space["rank"], space["learning_rate"], space["method"]) == ([4, 8], [0.001], ["ia3"])
    assert "rate_share" not in space
    assert first_dials(whole, space)["learning_rate"] == 0.001


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"alpha": ["8"]}, "does not try 'alpha'; it tries method, objective"),
        ({"rank": ["0"]}, "rank is 0"),
        ({"rank": ["four"]}, "rank is 'four'"),
        ({"method": ["prefix"]}, "method is 'prefix'"),
        ({"method": ["auto"]}, "auto is none"),
        ({"epochs": ["0"]}, "0 is none"),
    ],
)
def test_values_that_cannot_be_are_refused(named, said):
    with pytest.raises(BadInput, match=said):
        typed(named)


def test_an_objective_that_there_are_no_rows_for_is_refused(whole):
    with pytest.raises(BadInput, match="nothing to teach by kto"):
        space_of(whole, ("lora",), {"objective": ["sft", "kto"]})


def test_a_trials_config_is_the_rounds_but_for_its_dials():
    own = RoundConfig(**DIALS)
    found = config_of(own, {"method": "ia3", "rank": 16, "epochs": 5, "rate_share": 0.5})
    assert (found.method, found.rank, found.alpha, found.epochs) == ("ia3", 16, 64, 5)
    assert found.learning_rate == PEAK_RATES["ia3"] / 2
    assert found.batch_size == own.batch_size and found.seed == own.seed
    assert config_of(own, {}) == own
    assert set(SWEPT) <= set(own.to_json())


@pytest.mark.parametrize(
    ("trials", "minutes"), [(0, 1), (501, 1), (1, 0), (1, -2), (1, float("nan"))]
)
def test_a_budget_that_cannot_be_is_refused(trials, minutes):
    with pytest.raises(BadInput, match="A sweep of"):
        Budget(trials, minutes)


def test_each_objective_gets_its_rows(compared, thumbs, rows):
    both = [*rows, *thumbs]
    assert list(rows_for(both, "sft")) == rows
    assert list(rows_for(both, "kto")) == both
    assert list(rows_for(compared, "dpo")) == compared


def trial(score, ended=True, error=""):
    return {"dials": {"rank": score}, "score": score, "ended": ended, "error": error}


def test_the_best_is_of_those_that_trained_to_their_end():
    assert best_of([trial(0.5), trial(0.9, ended=False), trial(0.7)], 1) == {"rank": 0.7}


def test_without_one_it_says_why():
    with pytest.raises(SearchFailed, match="within 2 minutes: give it more"):
        best_of([trial(0.9, ended=False)], 2)
    with pytest.raises(SearchFailed, match="the first said: no memory"):
        best_of([trial(None, ended=False, error="no memory")], 2)
