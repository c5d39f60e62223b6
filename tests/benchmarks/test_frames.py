"""JSON extraction: which rows are taught, and what counts as valid, exact and a right slot."""

import json

import pytest

from tests.benchmarks.frames import (
    FILE,
    FRAMES,
    INTENTS,
    frame,
    measure_frames,
    read_frames,
    slots,
)
from tests.benchmarks.skill import Cases, Item, Reply
from tuning.checks import fault

WEATHER = {"intent": "GetWeather", "slots": {"city": "Ohio", "timeRange": "now"}}
PLAY = {"intent": "PlayMusic", "slots": {"artist": "Bach"}}


def cases(*targets):
    return Cases((), tuple(Item("a request", json.dumps(target)) for target in targets))


def replies(*answers):
    return [Reply(answer) for answer in answers]


def test_right_answers_have_everything():
    found = measure_frames(cases(WEATHER), replies(f"```json\n{json.dumps(WEATHER)}\n```"))
    assert {name: score.value for name, score in found.items()} == {
        "valid JSON": 1.0,
        "exact frames": 1.0,
        "right intent": 1.0,
        "slot F1": 1.0,
    }


def test_half_right_answers_are_told_apart():
    wrong_slot = {**WEATHER, "slots": {"city": "Ohio", "timeRange": "today"}}
    found = measure_frames(
        cases(WEATHER, WEATHER, PLAY), replies(json.dumps(wrong_slot), "{", json.dumps(PLAY))
    )
    assert found["valid JSON"].text == "2 of 3"
    assert found["exact frames"].text == "1 of 3"
    assert found["right intent"].text == "2 of 3"
    # right: 2 of the 3 that were said, of the 5 wanted
    assert found["slot F1"].value == pytest.approx(4 / 8)


@pytest.mark.parametrize("answer", ["", "{", "[1]", "7", '{"a": 1, "a": 2}', '{"a": NaN}', "Sure!"])
def test_no_frame(answer):
    assert frame(answer) is None


def test_a_list_is_several_slots_and_nonsense_none():
    assert slots({"slots": {"artist": ["a", "b"], "year": 1}}) == {
        ("artist", "a"),
        ("artist", "b"),
        ("year", "1"),
    }
    assert slots({"slots": "none"}) == slots({}) == set()


def test_taught_and_asked_are_apart_and_mixed(tmp_path):
    rows = [
        {"text": f"{intent} number {number}", "target": {"intent": intent, "slots": {}}}
        for intent in INTENTS
        for number in range(40)
    ]
    (tmp_path / FILE).write_text("".join(json.dumps(row) + "\n" for row in [*rows, *rows]))
    found = read_frames(tmp_path)
    assert (len(found.taught), len(found.asked)) == (150, 105)
    asked = {item.question for item in found.asked}
    assert len(asked) == 105 and not asked & {item.question for item in found.taught}
    for intent in INTENTS:
        assert sum(intent in item.answer for item in found.asked) == 15
    assert found == read_frames(tmp_path)


def test_its_check_wants_an_intent_that_there_is():
    assert fault(FRAMES.checks[0], json.dumps(WEATHER)) is None
    assert fault(FRAMES.checks[0], '{"intent": "Sing", "slots": {}}')


def test_without_the_file_it_says_what_is_missing(tmp_path):
    for folder in (None, tmp_path):
        with pytest.raises(SystemExit, match=FILE):
            read_frames(folder)
