"""A workspace with at least one row in every table that it may have rows in, and its files."""

from sqlite_utils import Database

from storage.audit import audit
from storage.conversations import add_message, finish_message, start_conversation
from storage.database import insert, write, write_transaction
from storage.datadir import DataDir
from storage.documents import put_document
from storage.feedback import add_feedback, approve
from storage.keys import create_key
from storage.records import Inputs, Passage, Workspace
from storage.rounds import add_evaluation, add_metric, create_round, finish_round
from storage.users import create_user, join
from storage.workspaces import create_workspace, set_workspace

BASE = "base-fingerprint"


def full_workspace(datadir: DataDir, db: Database, name: str, *, tables: bool = True) -> Workspace:
    """Make it; with `tables` also what is rare, by plain rows."""
    made = create_workspace(db, name, instructions="Be brief.")
    set_workspace(db, name, "top_k", "3")
    set_workspace(db, name, "access", "public")
    user = create_user(db, f"{name}-ada", "hash", "member")
    join(db, user.id, made.id)
    create_key(db, f"{name}-key", workspace_id=made.id, actor="t")
    known = {"kind": "embed", "origins": ["https://a.example"]}
    create_key(db, f"{name}-site", workspace_id=made.id, actor="t", **known)
    document = put_document(
        *(db, made.id),
        name="terms.md",
        hash="h",
        media_type="text/markdown",
        chunks=[("Returns", f"{name} takes returns for {days} days.") for days in range(30)],
    )
    for number in range(4):
        ask(db, made.id, f"user:{user.id}", f"{name}: how long, {number}?", document.id)
    round_ = create_round(db, made.id, config={}, base_fingerprint=BASE)
    finish_round(db, round_.id, state="done", verdict="promote")
    add_metric(db, round_.id, 1, "loss", 0.5)
    if tables:
        _rare(db, made.id, round_.id)
    audit(db, f"user:{user.id}", "round looked at", f"round:{round_.id}", {"loss": 1})
    for folder, number in (("documents", made.id), ("rounds", round_.id)):
        (datadir.root / folder / str(number)).mkdir(mode=0o700)
        (datadir.root / folder / str(number) / "file.txt").write_text(f"{name} {folder}")
    return made


def ask(db: Database, workspace_id: int, owner: str, question: str, document_id: int = 0) -> str:
    """One turn with an approved correction; returns the question's id."""
    talk = start_conversation(db, workspace_id, owner)
    asked = add_message(db, talk.id, "user", question)
    passage = Passage(1, document_id, "terms.md", "30 days", "hash", 0.9)
    inputs = Inputs(question, "Be brief.", 1, (), (passage,))
    reply = add_message(db, talk.id, "assistant", "", inputs=inputs, parent_id=asked.id)
    finish_message(
        *(db, reply.id),
        content="I do not know.",
        finish_reason="stop",
        prompt_tokens=1,
        completion_tokens=1,
        latency_ms=1.0,
        ttft_ms=1.0,
    )
    given = add_feedback(
        db, message_id=reply.id, origin="staff", contributor=owner, correction=f"{question} 30."
    )
    approve(db, given.id, reviewer="user:1")
    return asked.id


def _rare(db: Database, workspace_id: int, round_id: int) -> None:
    [one, two, *_] = [
        row["id"]
        for row in db.query("select id from feedback where workspace_id = ?", [workspace_id])
    ]
    where = "select c.id from conversations c where c.workspace_id = ?"
    talk = next(db.query(where, [workspace_id]))["id"]
    with write_transaction(db):
        of = {"workspace_id": workspace_id}
        insert(db, "checks", **of, position=0, type="json", specification='{"type": "json"}')
        insert(db, "avatars", **of, hash="h", png=b"png")
        insert(db, "gone_chunks", **of, hash="gone")
        common = {"base_fingerprint": BASE, "method": "lora", "manifest_hash": "m"}
        adapter = insert(db, "adapters", **of, round_id=round_id, status="serving", **common)
        insert(db, "servings", **of, adapter_id=adapter, actor="gate")
        file = insert(db, "attachments", conversation_id=talk, name="a.txt", bytes=3, embedder="e")
        part = {"position": 0, "heading": "", "text": "abc", "hash": "h", "vector": b"\0" * 8}
        insert(db, "attachment_chunks", attachment_id=file, **part)
        insert(db, "duplicates", feedback_id=one, same_as=two)
        insert(db, "kept_passages", feedback_id=one, hash="h", seen="", kept_by="user:1")
        words = {"question": "q", "question_key": "q", "author": "user:1"}
        insert(db, "paraphrases", feedback_id=one, **words)
        insert(db, "freed_feedback", feedback_id=one, reviewer="user:1")
        insert(db, "unmasked", feedback_id=one, value="", reviewer="user:1")
        insert(db, "first_yeses", feedback_id=one, reviewer="user:1", text="", waits=0)
        if not db.execute(
            "select 1 from overrides where workspace_id = ?", [workspace_id]
        ).fetchone():
            key = {"question": "q", "question_key": "q", "history_key": "", "answer": "a"}
            insert(db, "overrides", **of, feedback_id=one, **key)
        override = next(db.query("select id from overrides where workspace_id = ?", [workspace_id]))
        insert(db, "learned_overrides", override_id=override["id"], adapter_id=adapter)
        insert(
            *(db, "round_examples"),
            **{"round_id": round_id, "kind": "correction", "split": "train"},
            **{"feedback_id": one, "group": "g", "pair_hash": "p"},
        )
        insert(db, "round_documents", round_id=round_id, name="terms.md", rows=1)
        place = {"place": "/else", "format": "peft", "hash": "", "actor": "t"}
        insert(db, "copies", kind="export", adapter_id=adapter, **place)
        erased = {"kind": "feedback", "subject": "9", "subject_hash": "h", "actor": "t"}
        erasure = insert(db, "erasures", **erased, state="done")
        asked = {"kind": "feedback", "subject": "9", "requester": "user:1"}
        insert(db, "erasure_requests", **of, **asked, erasure_id=erasure)
        write(db, "insert or ignore into feedback_passages values (?, 'h', null)", one)
    told = {"row": "candidate", "answer": "a", "right": True, "slice": "new wordings"}
    add_evaluation(db, round_id, case_id="case", **told)
