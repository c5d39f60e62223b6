"""A brand's voice: each check on its own, and that the taught pairs pass them."""

import pytest

from tests.benchmarks.skill import Cases, Item, Reply
from tests.benchmarks.voice import (
    GREETING,
    LEAST_WORDS,
    SIGN_OFF,
    VOICE,
    VOICE_CHECKS,
    body,
    measure_voice,
    read_voice,
)
from tuning.checks import fault

MIDDLE = "We have packed your two boxes again today and the post takes them at noon. " * 2
RIGHT = f"{GREETING}\n\n{MIDDLE.strip()}\n\n{SIGN_OFF}"
ASKED = Item("Where is my box?", facts=("parcel", "box"))


def failed(text):
    return {name for name, check in VOICE_CHECKS.items() if not check(ASKED, text)}


def test_what_is_written_as_we_write_passes():
    assert failed(RIGHT) == set()
    assert body(RIGHT) == MIDDLE.strip()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (RIGHT.removeprefix(GREETING), {"greeting"}),
        (f"{RIGHT}\n", {"sign-off"}),
        (RIGHT.replace("We have", "I have"), {'"we"'}),
        (RIGHT.replace("We have", "They have"), {'"we"'}),
        (RIGHT.replace("today", "today!"), {"words"}),
        (RIGHT.replace("today", "Unfortunately"), {"words"}),
        (RIGHT.replace("boxes", "jars"), {"on the matter"}),
        (RIGHT.replace(MIDDLE.strip(), MIDDLE * 4), {"length"}),
        (RIGHT.replace(MIDDLE.strip(), "We sent the box."), {"length"}),
        ("", {"greeting", "sign-off", '"we"', "length", "on the matter"}),
    ],
)
def test_each_check_finds_its_own_fault(text, wrong):
    assert failed(text) == wrong


def test_the_taught_pairs_pass_and_the_asked_messages_are_others():
    cases = read_voice(None)
    assert len(cases.taught) >= 30 and len(cases.asked) >= 30
    own = tuple(Item(item.question, facts=("",)) for item in cases.taught)
    found = measure_voice(Cases(cases.taught, own), [Reply(item.answer) for item in cases.taught])
    assert found["every check"].value == 1.0
    assert found["no taught answer again"].value == 0.0
    assert found["as like us as our own"].value >= 0.75
    assert not {item.question for item in cases.taught} & {item.question for item in cases.asked}
    assert not [item for item in cases.taught if fault(VOICE.checks[0], item.answer)]


def test_another_voice_is_less_like_ours():
    cases = Cases(read_voice(None).taught, (ASKED, ASKED))
    strange = (
        "Dear Sir or Madam, I regret that the consignment is delayed. Yours faithfully, B. Smith"
    )
    found = measure_voice(cases, [Reply(RIGHT), Reply(strange)])
    assert found["every check"].text == found["as like us as our own"].text == "1 of 2"
    assert found["no taught answer again"].text == "2 of 2"
    assert len(body(RIGHT).split()) >= LEAST_WORDS


def test_its_check_refuses_what_is_not_our_voice():
    assert fault(VOICE.checks[0], RIGHT) is None
    for wrong in ("We are glad.", RIGHT.replace("We have", "I have"), RIGHT.replace(".", "!")):
        assert fault(VOICE.checks[0], wrong)
