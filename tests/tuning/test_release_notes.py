"""Release notes say what was measured: who won what, in whose words, and nothing else."""

import re
from dataclasses import replace

import pytest

from storage.erased_text import pieces, without
from tuning.evaluate import Case, Evaluation
from tuning.release_notes import changes, release_notes
from tuning.style import likeness, style_check

TRAINING = {"learned": 4, "pairs": 5, "steps": 20, "stopped": "learned", "sentinel": None}
SENTINEL = {
    "base_right": 376,
    "lost": 3,
    "nats_lost": 0.0284,
    "kinds": {"knowledge": {"lost": 0}, "arithmetic": {"lost": 1}, "format": {"lost": 2}},
}


def case(id, group="g", slice="new wordings", question=None):
    messages = ({"role": "user", "content": question or f"question {id}?"},)
    return Case(id, group, slice, messages, (1,), "x")


def judged(row, case, right, answer=None):
    return Evaluation(case.id, row, answer or f"{row} on {case.id}", right, case.slice, case.group)


def notes(*outcomes, training=TRAINING, served=False):
    """Notes of cases given as (case, right before, right now)."""
    cases = [one for one, _, _ in outcomes]
    found = [judged("serving", one, before) for one, before, _ in outcomes]
    found += [judged("base", one, before) for one, before, _ in outcomes]
    found += [judged("candidate", one, now) for one, _, now in outcomes]
    return release_notes(cases, found, training, served=served)


def test_before_and_after_are_the_real_answers():
    said = notes((case("a"), False, True), (case("b", "h"), True, False))
    worse, better = said.index("### Worse: 1 held-out"), said.index("### Better: 1 held-out")
    assert worse < better
    assert "- `question b?` (1 of 1 wordings of this need)\n  - before: `serving on b`" in said
    assert "  - now: `candidate on b`" in said[worse:better]
    assert "`question a?`" in said[better:]
    assert "Of 1 held-out questions that were right before, 1 are wrong now." in said
    assert "It learned 4 of 5 corrections in 20 steps (learned)." in said
    assert "Of 2 new wordings it has 1 right; what served 1, the base model 1." in said


def test_nothing_worse_is_said_only_when_it_was_measured():
    kept = "No held-out question that was right before is wrong now."
    assert kept in notes((case("a"), True, True))
    assert "None of these 1 held-out questions was right before." in notes((case("a"), False, True))
    nothing = release_notes([], [], TRAINING, served=False)
    assert kept not in nothing and "held-out" not in nothing
    general = notes((case("s", "s", "sentinel"), True, True))
    assert kept not in general and "Of 1 general questions it has 1 right" in general


def test_what_before_means_is_said():
    assert "Before, below, is the base model." in notes((case("a"), False, True))
    assert "is what served before." in notes((case("a"), False, True), served=True)


def test_likelihoods_are_told_by_kind():
    said = notes((case("a"), False, True), training={**TRAINING, "sentinel": SENTINEL})
    assert "3 of 376 general items" in said
    assert "are lost (arithmetic 1, format 2);" in said and "answers lost 0.028 nats." in said
    assert "likelihood" not in notes((case("a"), False, True))


def test_needs_with_most_changed_come_first_and_the_page_is_short():
    outcomes = [
        (case(f"{n}-{m}", f"need {n}"), True, False) for n in range(9) for m in range(n + 1)
    ]
    outcomes += [(case(f"w{n}", f"won {n}"), False, True) for n in range(9)]
    outcomes += [(case(f"s{n}", f"s{n}", "sentinel"), True, False) for n in range(9)]
    said = notes(*outcomes, training={**TRAINING, "sentinel": SENTINEL})
    assert len(said.splitlines()) <= 45
    shown = re.findall(r"\((\d) of \d wordings", said)
    assert shown[:3] == ["9", "8", "7"]
    assert said.count("- and 6 more needs") == 2
    assert "### General questions lost: 9" in said and "- and 7 more questions" in said


@pytest.mark.parametrize("nasty", ["a `tick` b", "``two``", "<b>bold</b>", "# head\n- item", "`"])
def test_no_answer_leaves_its_quotes(nasty):
    one = case("a", question=nasty)
    found = [judged("serving", one, False, nasty), judged("candidate", one, True, nasty)]
    said = release_notes([one], found, TRAINING, served=False)
    quoted = [line for line in said.splitlines() if "now:" in line]
    words = " ".join(nasty.split())
    (fence,) = re.fullmatch(rf"  - now: (`+) ?{re.escape(words)} ?\1", quoted[0]).groups()
    assert fence not in words


@pytest.mark.parametrize(
    "secret",
    [
        "Call Mrs Miller",
        "Dear Mrs Miller,\nyour invoice  is late.\nYours, Ada Lovelace of the office",
        "One long line about Mrs Miller. " * 20,
        "\n".join(f"Line {n} of a letter to Mrs Miller about her boat." * 5 for n in range(8)),
    ],
)
def test_an_erasure_finds_every_quoted_word(secret):
    one = case("a", question=secret)
    found = [judged("serving", one, False, secret), judged("candidate", one, True, secret)]
    said = release_notes([one], found, TRAINING, served=False)
    assert "Miller" in said
    assert "Miller" not in without(said, pieces([secret]))


def test_an_empty_answer_is_called_so():
    one = case("a")
    found = [judged("serving", one, True), Evaluation("a", "candidate", " ", False, one.slice, "g")]
    assert "  - now: (nothing)" in release_notes([one], found, TRAINING, served=False)


def test_the_short_form_quotes_nobody():
    one = case("a", question="Call Mrs Miller")
    found = [judged("serving", one, True, "Miller"), judged("candidate", one, False, "Miller")]
    said = changes([one], found, {**TRAINING, "sentinel": SENTINEL})
    assert len(said) == 4 and "Miller" not in " ".join(said)


def test_likeness_to_an_author_is_said_where_texts_were_kept_back():
    own = ["HELLO THERE!!! THANKS!!!", "HELLO AGAIN!!! THANKS!!!"]
    check = style_check(own)
    kept = replace(case("a"), expected="HELLO!!! THANKS!!!", check=check)
    found = [judged("candidate", kept, True, own[0]), judged("base", kept, False, "dear sir")]
    (said,) = [one for one in changes([kept], found, TRAINING) if "author" in one]
    assert said == (
        "Its answers are 100% like the author's writing; the base model 0%, and the author's own "
        f"texts that were kept back {likeness(check['grams'], kept.expected):.0%}."
    )
    assert not [one for one in changes([case("b")], [], TRAINING) if "author" in one]


def test_new_queries_with_values_of_a_database_are_said():
    cases = [replace(case("1"), check={"type": "sql", "database": "/srv/shop.sqlite"})]
    said = release_notes(cases, [], TRAINING, served=False, recombined=80)
    assert "taught 80 new queries" in said and "common values of shop.sqlite." in said
    assert "/srv" not in said
    assert "new queries" not in release_notes(cases, [], TRAINING, served=False)
