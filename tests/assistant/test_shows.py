"""Results as a person reads them."""

import pytest

from assistant.shows import SHOWS

SOURCE = {
    "document": "returns.md",
    "chunk_id": 3,
    "text": "Within\n30 days. " * 20,
    "score": 0.5,
    "used": True,
}
ANSWER = {"question": "How long?", "answer": "30 days.", "sources": [SOURCE], "notices": ["Old."]}
ROUND = {
    "round": 4,
    "verdict": "reject",
    "reasons": ["No better than what serves."],
    "adapter": 7,
    "pairs": {"train": 30, "held_out": 9, "replay": 3},
    "scores": {
        "candidate": {"new wordings": {"right": 5, "total": 9}},
        "few_shot": {"new wordings": {"right": 7, "total": 9}},
        "look_up": None,
    },
    "sentinel": {"before": 38, "after": 38},
    "seconds": 61.25,
    "peak_rss_bytes": 10**9,
}
SHOWN = {
    **{"round": 4, "state": "done", "verdict": "reject", "reasons": ROUND["reasons"]},
    **{"scores": {"scores": ROUND["scores"], "seconds": 5}, "config": {"rank": 8}},
}
RUNNING = {**SHOWN, "state": "running", "verdict": None, "reasons": [], "note": "step 3 of 9"}
RUNNING["scores"] = {}
SCORES = {"check": "sql", "cases": 10, "right": 5, "score": 0.5, "low": 0.24, "high": 0.76}


@pytest.mark.parametrize(
    ("verb", "row", "parts"),
    [
        ("ask", ANSWER, ["> How long?", "30 days.", "[1] returns.md: Within 30 days.", "(Old.)"]),
        ("ask", {"question": "Q", "error": "Too long."}, ["> Q", "(no answer: Too long.)"]),
        ("search", SOURCE, ["0.5000", "returns.md", "#3"]),
        ("ingest", {"document": "a", "status": "failed", "error": "empty"}, ["failed", "a: empty"]),
        ("ingest", {"document": "a", "status": "added", "chunks": 2}, ["added", "a (2 chunks)"]),
        ("tune", ROUND, ["round 4: reject", "- No better", "5 of 9", "61.25"]),
        ("tune", ROUND, ["few shot   7 of 9"]),
        ("rounds show", SHOWN, ["round 4: reject", "- No better", "7 of 9", "done", "rank"]),
        ("rounds show", RUNNING, ["round 4: running", "step 3 of 9"]),
        ("tune", {**ROUND, "changes": ["3 are worse."]}, ["what changed:\n  - 3 are worse.\n"]),
        ("tune", {**ROUND, "verdict": None, "error": "killed"}, ["no verdict: killed"]),
        ("tune", {"workspace": "w", "minutes": 3.5}, ["minutes:", "3.5"]),
        ("evaluate", SCORES, ["sql", "5 of 10", "50%", "24%", "76%"]),
        (
            "doctor",
            {"check": "disk", "state": "warn", "detail": "1 GB", "remedy": "Make room."},
            ["warn  disk: 1 GB", "\n      Make room."],
        ),
        ("feedback export", {"prompt": [], "chosen": []}, ['{"prompt": [], "chosen": []}']),
    ],
)
def test_text_of_a_result(verb, row, parts):
    text = SHOWS[verb].text(row)
    for part in parts:
        assert part in text
    assert "look" not in text  # a score that was not taken


def test_sources_stand_under_an_answer_that_was_printed_piece_by_piece():
    assert SHOWS["ask"].after(ANSWER).splitlines()[-1] == "  (Old.)"
    assert all(len(line) < 200 for line in SHOWS["ask"].after(ANSWER).splitlines())


def test_only_what_an_answer_rests_on_stands_under_it_or_else_all():
    other = SOURCE | {"document": "hours.md", "used": False}
    said = SHOWS["ask"].after(ANSWER | {"sources": [other, SOURCE]})
    assert "[2] returns.md" in said and "hours.md" not in said
    said = SHOWS["ask"].after(ANSWER | {"sources": [other, other]})
    assert said.splitlines()[0] == "  (no sentence was found in these passages)"
    assert "[1] hours.md" in said and "[2] hours.md" in said


def test_open_questions_are_shown_by_topic():
    row = {"questions": ["Do you ship?", "Is there shipping?"], "asked": 3, "declined": 3}
    assert SHOWS["feedback gaps"].text(row | {"disliked": 0}) == (
        "3x Do you ship? (3 declined)\n    Is there shipping?"
    )
    once = {"questions": ["Why?"], "asked": 1, "declined": 0, "disliked": 0}
    assert SHOWS["feedback gaps"].text(once) == "1x Why?"
