"""What a round's general questions were about stays known when the document is removed."""

from storage.documents import put_document, remove_document
from storage.records import Passage, RoundDocument
from storage.round_documents import add_round_documents, round_documents


def test_documents_of_a_round_are_counted_and_outlive_their_removal(db, workspace, candidate):
    made = candidate()
    known = {"hash": "h", "media_type": "t", "chunks": [("", "text")]}
    document = put_document(db, workspace.id, name="a.md", **known)
    shown = [Passage(n, document.id, "a.md", "text", f"h{n}", 0.5) for n in (1, 2)]
    shown.append(Passage(3, 99, "gone.md", "text", "h3", 0.5))
    for _ in range(2):  # a round that is begun again
        add_round_documents(db, made.round_id, shown)
    assert round_documents(db, [made.round_id]) == [
        RoundDocument(made.round_id, "a.md", document.id, 2),
        RoundDocument(made.round_id, "gone.md", None, 1),
    ]
    remove_document(db, workspace.id, "a.md")
    assert round_documents(db, [made.round_id])[0].document_id is None
    assert round_documents(db, []) == []
