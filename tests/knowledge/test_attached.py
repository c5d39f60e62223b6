"""A conversation's own files: read, cut and compared with a question."""

import numpy as np
import pytest

from knowledge.attached import MOST_CHARACTERS, Own, TooMuchText, look_into, read_attachment
from knowledge.sections import DocumentUnreadable
from storage.attachments import add_attachment, attached_chunks
from storage.conversations import start_conversation

TEXT = "# Lease\n\nThe notice period is eleven weeks.\n\n# Dogs\n\nNo dogs in the garden.\n"


@pytest.fixture
def look(db, workspace, embedder, lexical):
    talk = start_conversation(db, workspace.id, "user:1").id

    def found(question, *, room=200, floor=0.3):
        given = (db, talk, question, embedder, lexical, workspace.id)
        return look_into(*given, floor=floor, room=room, count_tokens=embedder.count_tokens)

    found.talk = talk
    return found


def give(db, talk, chunks, embedder="another"):
    add_attachment(db, talk, name="lease.md", bytes=9, embedder=embedder, chunks=chunks)


def test_what_fits_is_shown_whole_and_of_the_rest_the_best(db, tmp_path, embedder, look):
    assert look("What?") == Own()
    (tmp_path / "lease.md").write_text(TEXT)
    chunks = read_attachment(tmp_path / "lease.md", "lease.md", embedder, 96)
    assert [chunk[:2] for chunk in chunks] == [
        ("Lease", "The notice period is eleven weeks."),
        ("Dogs", "No dogs in the garden."),
    ]
    give(db, look.talk, chunks, embedder.slug)
    whole = look("May I keep dogs?")
    assert [one.text.split("\n")[0] for one in whole.relevant] == ["Lease", "Dogs"]
    part = look("May I keep dogs?", room=10)
    assert [one.text for one in part.relevant] == ["Dogs\nNo dogs in the garden."]
    assert [one.text.split("\n")[0] for one in part.beginning] == ["Lease"]
    assert part.best == part.relevant[0].relevance
    assert look("Who won the cup?", room=10, floor=0.9).relevant == ()


def test_another_models_vectors_are_made_anew_once(db, embedder, look):
    give(db, look.talk, [("", "No dogs in the garden.", np.zeros(3, np.float32).tobytes())])
    assert look("May I keep dogs?").best > 0.3
    (chunk,) = attached_chunks(db, look.talk)
    assert chunk.embedder == embedder.slug
    assert len(np.frombuffer(chunk.vector, np.float32)) == embedder.dimension


def test_tables_are_read_as_text_and_much_text_is_refused(tmp_path, embedder):
    path = tmp_path / "upload"
    path.write_text("what,where\nowl,bridge\n")
    (chunk,) = read_attachment(path, "birds.CSV", embedder, 96)
    assert chunk[1] == "what,where\nowl,bridge"
    path.write_text("word " * (MOST_CHARACTERS // 5 + 1))
    with pytest.raises(TooMuchText, match="300,000"):
        read_attachment(path, "long.txt", embedder, 96)
    with pytest.raises(DocumentUnreadable, match="unknown type"):
        read_attachment(path, "a.exe", embedder, 96)
