"""The certificate as a person reads it."""

from assistant.certificate import LIMITS, NOT_OURS, NOT_UNLEARNING, as_markdown

FACTS = {
    "certificate": 3,
    "kind": "contributor",
    "subject": "a" * 64,
    "asked_by": "user:1",
    "asked_at": "2026-11-21T04:00:00Z",
    "erased_at": "2026-11-21T04:00:01Z",
    "finished_at": "2026-11-21T04:00:09Z",
    "rows": [{"table": "feedback", "id": 7, "hash": "b" * 64}],
    "adapters_tainted": [2],
    "rounds_emptied": [5],
    "serving_now": {"1": "base"},
    "retrained": [
        {"workspace": "a", "round": 6, "verdict": "reject", "adapter": 8},
        {"workspace": "b", "round": None, "error": "0 approved pairs"},
        {"workspace": "c", "round": 7, "running": True},
        {"workspace": "d", "round": 9, "error": "killed"},
    ],
    "still_held": [{"what": "backup", "place": "/mnt/a.tar", "remedy": "backup purge"}],
    "verified": True,
    "searched": {"texts": 4, "found_in": {}},
    "statements": [NOT_UNLEARNING, NOT_OURS, LIMITS],
}


def test_it_says_everything_in_plain_lines():
    text = as_markdown(FACTS)
    for said in (
        "# Certificate of erasure 3",
        "- feedback `7` (sha256 `bbbb",
        "- adapter 2: its weights are deleted",
        "- round 5: its bundle, logs and checkpoints are deleted",
        "- workspace 1: the base model",
        "round 6 made adapter 8 without the rows; the gate said reject",
        "- b: no round was started: 0 approved pairs",
        "- c: round 7 is running",
        "- d: round 9 broke off: killed",
        "- backup: `/mnt/a.tar`; remedy: backup purge",
        "4 texts were searched for, and found in no file",
        "not unlearning",
    ):
        assert said in text


def test_it_says_when_nothing_was_there_and_when_something_is_left():
    empty = {"adapters_tainted": [], "rounds_emptied": [], "retrained": [], "still_held": []}
    found = {"texts": 4, "found_in": {"left.txt": 2}}
    text = as_markdown({**FACTS, **empty, "verified": False, "searched": found})
    for said in ("no adapter and no round", "nothing was retrained", "nothing on record"):
        assert f"- {said}" in text
    assert "- still found in `left.txt`" in text and "found in no file" not in text
    nothing = {"verified": False, "searched": {"texts": 4, "found_in": {}}, "finished_at": None}
    text = as_markdown({**FACTS, **nothing})
    assert "- not verified" in text and "Finished: not yet" in text
