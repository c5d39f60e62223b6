"""What a visitor of a website sees of a conversation."""

import pytest

from assistant.embed_view import shown
from storage.conversations import add_message, start_conversation, thread_to
from storage.records import Inputs, Passage

PASSAGE = Passage(
    1, 1, "returns.md", "Goods may be returned within 45 days.", "h", 1.0, source_url="https://x.y/"
)
OTHER = Passage(2, 1, "shipping.md", "Parcels leave on Mondays.", "i", 0.5)
SAID = "Goods may be returned within 45 days."


@pytest.fixture
def thread(db, workspace):
    said = start_conversation(db, workspace.id, "visitor:embed-1-x")
    asked = add_message(db, said.id, "user", "How long?")
    reply = add_message(
        db,
        said.id,
        "assistant",
        SAID,
        parent_id=asked.id,
        inputs=Inputs("How long?", "", 1, passages=(PASSAGE, OTHER)),
        finish_reason="length",
    )
    return thread_to(db, reply.id)


def test_a_question_is_its_text(thread):
    assert shown(thread, [], sources=True)[0] == {
        "id": thread[0].id,
        "role": "user",
        "text": "How long?",
    }


def test_passages_come_only_where_they_may(thread):
    with_sources = shown(thread, [], sources=True)[1]
    assert with_sources["text"] == f"{SAID} [1]" and with_sources["plain"] == SAID
    assert with_sources["sources"] == [
        {"number": 1, "document": "returns.md", "text": PASSAGE.text, "url": "https://x.y/"}
    ]
    without = shown(thread, [], sources=False)[1]
    assert (without["text"], without["sources"], without["end"]) == (SAID, [], "length")
    assert (without["rating"], without["correction"]) == (0, None)
