"""Corrections whose documents changed: found, shown with the difference, decided upon."""

import pytest

from storage.audit import list_audit
from storage.documents import chunks_of, put_document, remove_document
from storage.errors import Refused
from storage.feedback import approve, reject
from storage.pairs import approved_pairs
from storage.records import Passage
from storage.stale import keep, stale_feedback, stale_passages

OLD = "Goods may be returned within 30 days. Keep the bill."
NEW = "Goods may be returned within 45 days. Keep the bill."
MORE = "The shop opens at nine. Parcels leave at noon."


@pytest.fixture
def put(db, workspace):
    """Saves `returns.md` with these chunks under one heading."""

    def put(*texts, name="returns.md"):
        return put_document(
            db,
            workspace.id,
            name=name,
            hash="|".join(texts),
            media_type="text/markdown",
            chunks=[("Returns", text) for text in texts],
        )

    return put


@pytest.fixture
def taught(db, corrected, put):
    """An approved correction made from the first chunk of the document as it was."""
    document = put(OLD, MORE)
    chunk = chunks_of(db, document.id)[0]
    text = f"Returns\n{OLD}"
    passage = Passage(chunk.id, document.id, "returns.md", text, chunk.hash, 0.1)
    return corrected("How long?", "30 days", passages=[passage], yes=True)


def stale(db, workspace):
    return stale_feedback(db, workspace.id)


def test_a_changed_sentence_is_shown_beside_what_it_is_now(db, workspace, put, taught):
    assert stale(db, workspace) == []
    put(NEW, MORE)
    (found,) = stale_passages(db, workspace.id)
    assert (found.feedback_id, found.document, found.removed) == (taught.id, "returns.md", False)
    assert (found.was, found.now) == (f"Returns\n{OLD}", f"Returns\n{NEW}")


@pytest.mark.parametrize(
    "texts",
    [
        ("Welcome to the shop. Goods may be returned within 30", "within 30 days. Keep the bill."),
        (f"{OLD} {MORE}",),
        (MORE, OLD),
    ],
)
def test_a_document_that_is_only_cut_elsewhere_changes_nothing(db, workspace, put, taught, texts):
    put(*texts)
    assert stale(db, workspace) == []


def test_a_removed_document_is_said_and_its_return_heals(db, workspace, put, taught):
    remove_document(db, workspace.id, "returns.md")
    (found,) = stale_passages(db, workspace.id)
    assert found.removed and (found.now, found.seen) == ("", "")
    put(NEW)
    assert stale_passages(db, workspace.id)[0].now == f"Returns\n{NEW}"
    put(OLD, name="elsewhere.md")
    assert stale(db, workspace) == []


def test_keeping_is_about_the_text_as_it_is_now(db, workspace, put, taught):
    put(NEW, MORE)
    assert len(keep(db, taught.id, actor="user:2")) == 1
    act = list_audit(db, 1)[0]
    assert (act.actor, act.action, act.subject) == (
        "user:2",
        "feedback kept",
        f"feedback:{taught.id}",
    )
    put(NEW, "The shop opens at ten.")
    assert stale(db, workspace) == []
    put("Goods may be returned within 60 days.", MORE)
    assert stale(db, workspace) == [taught.id]
    keep(db, taught.id, actor="user:2")
    with pytest.raises(Refused, match="not stale"):
        keep(db, taught.id, actor="user:2")


def test_a_decided_pair_is_taught_with_the_page_as_it_is(db, workspace, put, taught):
    put(NEW, MORE)

    def shown():
        return [passage.text for passage in approved_pairs(db, workspace.id)[0].inputs.passages]

    assert shown() == [f"Returns\n{OLD}"]
    approve(db, taught.id, reviewer="user:2", correction="45 days")
    assert stale(db, workspace) == []
    assert shown() == [f"Returns\n{NEW}"]
    remove_document(db, workspace.id, "returns.md")
    assert stale(db, workspace) == [taught.id] and shown() == [f"Returns\n{OLD}"]
    keep(db, taught.id, actor="user:2")
    assert shown() == []


def test_what_is_not_approved_and_what_was_imported_is_never_stale(
    db, workspace, corrected, taught
):
    given = Passage(0, 0, "passage", "Goods: 30 days.", "given", 0.0)
    corrected("imported?", "a", passages=[given], yes=True)
    reject(db, taught.id, reviewer="user:2")
    remove_document(db, workspace.id, "returns.md")
    assert stale(db, workspace) == []


def test_what_a_newer_correction_replaced_asks_nothing(db, workspace, put, corrected, taught):
    newer = corrected("How long?", "60 days", yes=True)
    put(NEW, MORE)
    assert stale(db, workspace) == []
    reject(db, newer.id, reviewer="user:2")
    assert stale(db, workspace) == [taught.id]
