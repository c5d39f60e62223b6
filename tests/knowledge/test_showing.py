import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.showing import distinct, fit_passages, with_neighbours
from storage.documents import chunks_of, live_chunks, put_document
from storage.records import Passage


@pytest.fixture
def page(db, workspace):
    """The passages of a document with two sections, in reading order."""
    chunks = [("A", f"{n} a a") for n in range(5)] + [("B", f"{n} b b") for n in range(3)]
    made = put_document(
        db, workspace.id, name="a.md", hash="h", media_type="text/plain", chunks=chunks
    )
    ids = [chunk.id for chunk in chunks_of(db, made.id)]
    live = live_chunks(db, workspace.id, ids)
    return [live[chunk_id] for chunk_id in ids]


def words(text: str) -> int:
    return len(text.split())


def passage(text: str) -> Passage:
    return Passage(1, 1, "a.md", text, "hash", 1.0)


def test_passages_are_taken_whole_while_they_fit():
    one, two, three = passage("a b c"), passage("d e"), passage("f")
    assert fit_passages([one, two, three], 5, words) == [one, two]
    assert fit_passages([one, two, three], 99, words) == [one, two, three]
    # the order says what matters: a later one does not overtake
    assert fit_passages([one, passage("d e f g"), three], 5, words) == [one]


@pytest.mark.parametrize(
    ("text", "budget", "cut"),
    [
        ("One two three. Four five six.", 5, "One two three."),
        ("Head\nOne two three four. Five six seven eight.", 7, "Head\nOne two three four."),
        ("Head\nOne two three four five six.", 5, "Head\nOne two three four"),
        ("One two three", 2, "One two"),
    ],
)
def test_a_first_passage_that_is_too_long_is_cut_at_a_sentence_or_word(text, budget, cut):
    assert [part.text for part in fit_passages([passage(text)], budget, words)] == [cut]


@pytest.mark.parametrize("budget", [0, -5])
def test_no_budget_fits_nothing(budget):
    assert fit_passages([passage("a b c")], budget, words) == []
    assert fit_passages([], 10, words) == []


@given(st.lists(st.text("ab .\n", min_size=1, max_size=30), max_size=4), st.integers(0, 12))
def test_the_budget_is_never_exceeded(texts, budget):
    fitting = fit_passages([passage(text) for text in texts], budget, len)
    assert sum(len(part.text) for part in fitting) <= budget
    assert all(whole.startswith(part.text) for whole, part in zip(texts, fitting, strict=False))


def places(page, shown):
    return [page.index(passage) for passage in shown]


@pytest.mark.parametrize(
    ("hits", "budget", "shown"),
    [
        ([2], 4, [2]),
        ([2], 8, [2, 3]),
        ([2], 12, [1, 2, 3]),
        ([2], 99, [0, 1, 2, 3, 4]),  # not the next section
        ([0], 99, [0, 1, 2, 3, 4]),
        ([5, 2], 12, [5, 6, 2]),
        ([5, 2], 16, [5, 6, 2, 3]),
        ([1, 3], 99, [0, 1, 2, 3, 4]),
        ([7, 0], 99, [5, 6, 7, 0, 1, 2, 3, 4]),
        ([], 99, []),
    ],
)
def test_what_is_left_of_the_budget_is_filled_with_what_stands_around(
    db, page, hits, budget, shown
):
    found = with_neighbours(db, [page[hit] for hit in hits], budget, words)
    assert places(page, found) == shown
    assert sum(words(one.text) for one in found) <= max(budget, 4 * len(hits))


def test_what_says_the_same_is_shown_once():
    footer = "Write to us or call us at any time of the day, also on Sundays and on holidays"
    one, same = passage(f"Returns\n{footer}"), passage(footer)
    other = passage("Goods may be returned within 30 days")
    assert distinct([one, other, same]) == [one, other]
    # the longer one says more
    assert distinct([same, passage(f"{footer}. {other.text}")])[1:] != []
    assert distinct([]) == []
