"""A conversation's own files: they go with it, and mark what is said with them."""

import pytest

from storage.attachments import (
    MOST_FILES,
    add_attachment,
    attached_chunks,
    attached_text,
    attachment,
    attachments_of,
    made_with_files,
    put_vectors,
    remove_attachment,
)
from storage.conversations import add_message, delete_conversation, start_conversation
from storage.database import rows
from storage.errors import NotFound, Refused
from storage.feedback import add_feedback, approve
from storage.gaps import gaps
from storage.pairs import approved_pairs, approved_preferences, approved_thumbs
from storage.records import Inputs

CHUNKS = [("Lease", "Eleven weeks.", b"1"), ("Lease", "No dogs.", b"2"), ("", "End.", b"3")]


@pytest.fixture
def talk(db, workspace):
    return start_conversation(db, workspace.id, "user:1").id


def give(db, conversation_id, name="lease.md"):
    return add_attachment(db, conversation_id, name=name, bytes=9, embedder="one", chunks=CHUNKS)


def turn(db, conversation_id, text="How long?", *, parent=None, variant=None):
    asked = parent or add_message(db, conversation_id, "user", text).id
    reply = add_message(
        db,
        conversation_id,
        "assistant",
        f"An answer to {text}{variant or ''}",
        parent_id=asked,
        variant_of=variant,
        finish_reason="stop",
        inputs=Inputs(text, "", 1),
        relevance=0.0,
    )
    return asked, reply.id


def test_a_file_is_read_back_and_goes_with_its_conversation(db, talk, workspace):
    given = give(db, talk)
    other = start_conversation(db, workspace.id, "user:1").id
    assert attachments_of(db, talk) == [attachment(db, given.id)] and not attachments_of(db, other)
    assert [chunk.shown for chunk in attached_chunks(db, talk)][1:] == ["Lease\nNo dogs.", "End."]
    assert attached_text(db, given.id) == "Lease\nEleven weeks.\nNo dogs.\nEnd."
    put_vectors(db, given.id, embedder="two", vectors=[b"4", b"5", b"6"])
    assert {(one.embedder, one.vector) for one in attached_chunks(db, talk)} == {
        ("two", b"4"),
        ("two", b"5"),
        ("two", b"6"),
    }
    delete_conversation(db, talk)
    for table in ("attachments", "attachment_chunks"):
        assert rows(db, f"select * from {table}") == []
    with pytest.raises(NotFound):
        attachment(db, given.id)
    with pytest.raises(NotFound, match="not there any more"):
        give(db, talk)


def test_there_are_only_so_many(db, talk):
    for number in range(MOST_FILES):
        give(db, talk, f"{number}.md")
    with pytest.raises(Refused, match="remove one first"):
        give(db, talk)
    remove_attachment(db, attachments_of(db, talk)[0].id)
    assert give(db, talk, "last.md").name == "last.md"


def test_what_is_said_with_a_file_stays_marked_after_it_is_gone(db, talk):
    asked, before = turn(db, talk)
    given = give(db, talk)
    _, with_it = turn(db, talk, parent=asked, variant=before)
    remove_attachment(db, given.id)
    later = add_message(db, talk, "user", "And then?", parent_id=with_it).id
    elsewhere = add_message(db, talk, "user", "Instead?", parent_id=before).id
    assert made_with_files(db, [asked, before, with_it, later, elsewhere]) == {with_it, later}


def test_nothing_is_learned_from_what_was_said_with_a_file(db, talk, workspace):
    asked, before = turn(db, talk)
    give(db, talk)
    _, with_it = turn(db, talk, parent=asked, variant=before)

    def judged(message_id, **said):
        return add_feedback(
            db, message_id=message_id, origin="staff", contributor="user:1", **said
        ).id

    for said in ({"correction": "Eleven weeks."}, {"rating": 1}, {"rating": -1}):
        with pytest.raises(Refused, match="nothing is learned"):
            approve(db, judged(with_it, **said), reviewer="user:2")
    approve(db, judged(before, rating=1), reviewer="user:2")
    assert [one.answer for one in approved_thumbs(db, workspace.id)] == ["An answer to How long?"]
    assert approved_preferences(db, workspace.id) == []  # the other try was made with the file
    assert approved_pairs(db, workspace.id) == []
    shown = {one.message_id for one in gaps(db, workspace.id, floor=0.5)}
    assert with_it not in shown
