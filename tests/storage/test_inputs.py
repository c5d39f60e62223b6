import json

from storage.inputs import inputs_from_json, inputs_to_json
from storage.records import Example, Inputs, Passage

FULL = Inputs(
    question="Wie viele? 🙂",
    instructions="Be brief.",
    instructions_version=3,
    history=({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}),
    passages=(Passage(7, 2, "a.md", "text", "h", 0.03, 0.8, 1, None, "https://example.com"),),
    examples=(Example(4, "q", "a"),),
)


def test_everything_comes_back():
    assert inputs_from_json(inputs_to_json(FULL)) == FULL
    bare = Inputs("q", "", 1)
    assert inputs_from_json(inputs_to_json(bare)) == bare


def test_what_another_version_wrote_is_read():
    stored = json.loads(inputs_to_json(FULL))
    stored["later"] = 1
    stored["passages"][0]["later"] = 1
    del stored["examples"]
    read = inputs_from_json(json.dumps(stored))
    assert read.passages == FULL.passages
    assert read.examples == ()


def test_text_that_cannot_be_stored_is_cleaned():
    read = inputs_from_json(inputs_to_json(Inputs("a\0\ud800", "", 1)))
    assert read.question == "a\ufffd"


def test_many_rows_with_the_same_instructions_hold_them_once():
    first, second = (inputs_from_json(inputs_to_json(FULL)) for _ in range(2))
    assert first.instructions is second.instructions
