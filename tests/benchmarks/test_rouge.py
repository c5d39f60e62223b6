"""ROUGE against figures that rouge-score 0.1.2 gives for the same texts."""

import pytest

from tests.benchmarks.rouge import rouge_l, rouge_n, words


@pytest.mark.parametrize(
    ("reference", "summary", "one", "two", "longest"),
    [
        ("The cat sat on the mat.", "the cat lay on a mat", 2 / 3, 0.2, 2 / 3),
        (
            "Keep copyright and trademark notices intact.",
            "You keep the copyright notices and the trademark notices.",
            2 / 3,
            2 / 13,
            2 / 3,
        ),
        ("Asthma.", "Asthma.", 1.0, 0.0, 1.0),
        ("Asthma.", "", 0.0, 0.0, 0.0),
        ("", "", 0.0, 0.0, 0.0),
    ],
)
def test_as_rouge_score_has_it(reference, summary, one, two, longest):
    assert rouge_n(reference, summary, 1) == pytest.approx(one)
    assert rouge_n(reference, summary, 2) == pytest.approx(two)
    assert rouge_l(reference, summary) == pytest.approx(longest)


def test_order_counts_for_the_longest_common_subsequence_alone():
    assert rouge_n("a b c d", "d c b a", 1) == 1.0
    assert rouge_l("a b c d", "d c b a") == 0.25


def test_a_word_said_twice_counts_as_often_as_the_reference_says_it():
    assert rouge_n("no", "no no no", 1) == pytest.approx(0.5)


def test_words_are_letters_and_digits():
    assert words("Dr. X's 76-year-old, 5'4\"") == ["dr", "x", "s", "76", "year", "old", "5", "4"]
