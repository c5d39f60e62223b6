"""The map of documents and questions, from real vectors in a real index."""

import numpy as np
import pytest

from knowledge.document_map import document_map, plane
from knowledge.ingest import ingest
from storage.documents import chunk_ids, remove_document

ASKED = [
    "Within how many days can goods be sent back?",
    "Who won the football world cup?",
    "When are you open?",
]


@pytest.fixture
def read(db, datadir, index, embedder, workspace, docs):
    list(ingest(db, datadir, index, embedder, workspace.id, [docs]))
    return workspace


@pytest.fixture
def mapped(db, index, embedder, read):
    return lambda questions, **most: document_map(db, index, embedder, read.id, questions, **most)


def test_a_question_that_no_document_is_about_is_the_farthest(db, mapped, read):
    found = mapped(ASKED)
    assert [one.text for one in found.questions][0] == ASKED[1]
    similar = [one.similarity for one in found.questions]
    assert similar == sorted(similar) and similar[0] < 0.3 < similar[-1]
    nearest = {one.text: one.nearest for one in found.questions}
    assert nearest[ASKED[0]] == "returns.md" and nearest[ASKED[2]] == "sub/hours.html"
    assert len(found.passages) == found.all_passages == len(chunk_ids(db, read.id))
    assert found.all_questions == 3 and 0.0 < found.shown <= 1.0

    places = {one.text: np.array([one.x, one.y]) for one in found.questions}
    passages = np.array([[one.x, one.y] for one in found.passages])
    gap = {text: np.linalg.norm(passages - at, axis=1).min() for text, at in places.items()}
    assert max(gap, key=gap.get) == ASKED[1]


def test_the_same_vectors_give_the_same_map(mapped):
    assert mapped(ASKED) == mapped(ASKED)


def test_of_many_passages_every_nth_is_there_and_the_nearest_is_still_found(mapped):
    whole = mapped(ASKED)
    few = mapped(ASKED, most_passages=2, most_questions=2)
    assert len(few.passages) == 2 and few.all_passages == whole.all_passages
    assert len(few.questions) == 2 and few.all_questions == 3
    known = {one.text: (one.nearest, pytest.approx(one.similarity)) for one in whole.questions}
    assert all(known[one.text] == (one.nearest, one.similarity) for one in few.questions)


def test_what_was_removed_is_no_nearest_document(db, index, embedder, read):
    remove_document(db, read.id, "sub/hours.html")
    found = document_map(db, index, embedder, read.id, ASKED)  # its vectors are still there
    assert "sub/hours.html" not in {one.nearest for one in found.questions}
    assert "sub/hours.html" not in {one.document for one in found.passages}


def test_without_documents_it_is_empty_and_without_questions_not(
    db, index, embedder, workspace, mapped
):
    found = mapped([])
    assert found.questions == () and found.passages and 0.0 < found.shown <= 1.0
    empty = document_map(db, index, embedder, workspace.id + 1, ASKED)
    assert (empty.passages, empty.questions, empty.all_questions) == ((), (), 3)


def test_how_far_it_is_is_told(db, index, embedder, read):
    told = []
    document_map(
        *(db, index, embedder, read.id, ASKED),
        on_progress=lambda share, note: told.append((share, note)),
    )
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert "reading 3 questions" in [note for _, note in told]


def test_a_plane_keeps_what_lies_in_one():
    """Points that differ in two directions only are shown whole, at their own distances."""
    flat = np.random.default_rng(0).normal(size=(20, 2)) * [3.0, 1.0]
    turned = flat @ np.linalg.qr(np.random.default_rng(1).normal(size=(9, 9)))[0][:2]
    places, shown = plane(turned[:15], turned[15:])
    assert shown == pytest.approx(1.0)
    between = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    assert np.linalg.norm(places[:, None] - places[None], axis=2) == pytest.approx(between)


def test_equal_points_have_no_differences_to_show():
    places, shown = plane(np.ones((3, 4)), np.empty((0, 4)))
    assert shown == 0.0 and not places.any()
