"""Changed figures are found beside the page's own sentence; what agrees is left alone."""

import pytest

from knowledge.contradictions import page_contradictions
from storage.records import Passage

RETURNS = Passage(
    1,
    1,
    "returns.md",
    "Returns\nUnused goods may be returned within 45 days of delivery. A refund takes 10 days.",
    "h",
    0.1,
)
SHIPPING = Passage(2, 2, "shipping.md", "Shipping is free for orders over 120 euros.", "h", 0.1)
QUESTION = "How long may goods be returned?"


@pytest.fixture
def found(embedder):
    def find(correction, *passages):
        pages = passages or (RETURNS, SHIPPING)
        return page_contradictions(QUESTION, correction, pages, embedder.embed)

    return find


def test_a_changed_figure_is_shown_with_both_sentences(found):
    (page,) = found("We are sorry. You may return unused goods within 30 days.")
    assert (page.document, page.kind) == ("returns.md", "number of day")
    assert page.written == "Unused goods may be returned within 45 days of delivery."
    assert page.said == "You may return unused goods within 30 days."


def test_a_bare_figure_is_about_its_question(found):
    assert [page.document for page in found("30 days.")] == ["returns.md"]
    assert [page.kind for page in found("Shipping is free for orders over 90 euros.")] == ["amount"]


@pytest.mark.parametrize(
    "correction",
    [
        "Unused goods may be returned within 45 days.",
        "Goods may be returned within 10 days of the refund.",  # a page names 10 days too
        "Unused goods may be returned within two months.",
        "Our office in Kiel has 30 desks.",
        "Yes.",
        "",
    ],
)
def test_no_alarm(found, correction):
    assert found(correction) == []


def test_another_matter_with_a_figure_of_the_same_kind_is_left_alone(found):
    assert found("The moon goes round the earth in 27 days.") == []


def test_nothing_is_embedded_without_a_differing_figure():
    def embed(texts):
        raise AssertionError(texts)

    assert page_contradictions(QUESTION, "Within 45 days.", (RETURNS,), embed) == []
