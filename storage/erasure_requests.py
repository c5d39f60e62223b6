"""Wishes to be forgotten: anybody may ask for what is theirs, an admin says yes or no."""

from dataclasses import dataclass
from typing import Literal

from sqlite_utils import Database

from storage.audit import audit
from storage.database import NOW, insert, one, rows, write, write_transaction
from storage.erased_text import digest
from storage.erasure_scope import ErasureKind
from storage.errors import NotFound, Refused
from storage.text import clean

RequestState = Literal["pending", "approved", "refused"]
_COLUMNS = """id, workspace_id, kind, subject, requester, state, created_at, decided_by, decided_at,
erasure_id"""


@dataclass(frozen=True)
class ErasureRequest:
    """One wish. `erasure_id` None: nothing was erased for it (yet)."""

    id: int
    workspace_id: int
    kind: ErasureKind
    subject: str
    requester: str
    state: RequestState
    created_at: str
    decided_by: str | None = None
    decided_at: str | None = None
    erasure_id: int | None = None


def file_request(
    db: Database, workspace_id: int, kind: ErasureKind, subject: str, *, requester: str
) -> ErasureRequest:
    """Note that `requester` wants this erased; asking again while it waits gives the same one.

    NotFound when it is not theirs: a conversation they own, feedback they gave, or themselves.
    """
    subject, requester = clean(subject), clean(requester)
    with write_transaction(db):
        if not _theirs(db, workspace_id, kind, subject, requester):
            raise NotFound(f"There is no {kind} {subject[:64]!r} of yours in this workspace.")
        waiting = one(
            db,
            """select id from erasure_requests where workspace_id = ? and kind = ? and subject = ?
            and state = 'pending'""",
            workspace_id,
            kind,
            subject,
        )
        request_id = waiting["id"] if waiting else None
        if request_id is None:
            request_id = insert(
                db,
                "erasure_requests",
                workspace_id=workspace_id,
                kind=kind,
                subject=subject,
                requester=requester,
            )
            audit(db, requester, "erasure requested", f"request:{request_id}", {"kind": kind})
    return erasure_request(db, request_id)


def erasure_request(db: Database, request_id: int) -> ErasureRequest:
    """The request with this id; NotFound otherwise."""
    row = one(db, f"select {_COLUMNS} from erasure_requests where id = ?", request_id)
    if row is None:
        raise NotFound(
            f"There is no erasure request {request_id}: `apprentice erase --requests` shows them."
        )
    return ErasureRequest(**row)


def list_requests(
    db: Database, workspace_id: int | None = None, *, state: RequestState | None = "pending"
) -> list[ErasureRequest]:
    """The oldest first: of one workspace or (None) of all, in one state or (None) in any."""
    found = rows(
        db,
        f"""select {_COLUMNS} from erasure_requests where (? is null or workspace_id = ?)
        and (? is null or state = ?) order by id""",
        workspace_id,
        workspace_id,
        state,
        state,
    )
    return [ErasureRequest(**row) for row in found]


def requests_of(db: Database, workspace_id: int, requester: str) -> list[ErasureRequest]:
    """What one person asked for in a workspace, decided or not, the newest first."""
    found = rows(
        db,
        f"""select {_COLUMNS} from erasure_requests
        where workspace_id = ? and requester in (?, ?) order by id desc""",
        workspace_id,
        clean(requester),
        digest(requester),  # what is left of the name after a yes
    )
    return [ErasureRequest(**row) for row in found]


def approve_request(
    db: Database, request_id: int, erasure_id: int, *, actor: str
) -> ErasureRequest:
    """Note the yes and the erasure that came of it; a contributor's id becomes its hash."""
    with write_transaction(db):
        known = _waiting(db, request_id)
        subject = digest(known.subject) if known.kind == "contributor" else known.subject
        write(
            db,
            "update erasure_requests set subject = ?, requester = ?, erasure_id = ? where id = ?",
            subject,
            digest(known.requester),
            erasure_id,
            request_id,
        )
        _decide(db, request_id, "approved", actor)
    return erasure_request(db, request_id)


def refuse_request(db: Database, request_id: int, *, actor: str) -> ErasureRequest:
    """Note the no; nothing is erased. Refused when it was decided already."""
    with write_transaction(db):
        _waiting(db, request_id)
        _decide(db, request_id, "refused", actor)
    return erasure_request(db, request_id)


def _waiting(db: Database, request_id: int) -> ErasureRequest:
    known = erasure_request(db, request_id)
    if known.state != "pending":
        raise Refused(f"Erasure request {request_id} is already {known.state}.")
    return known


def _decide(db: Database, request_id: int, state: RequestState, actor: str) -> None:
    write(
        db,
        f"""update erasure_requests set state = ?, decided_by = ?, decided_at = {NOW}
        where id = ?""",
        state,
        clean(actor),
        request_id,
    )
    audit(db, actor, f"erasure request {state}", f"request:{request_id}")


def _theirs(
    db: Database, workspace_id: int, kind: ErasureKind, subject: str, requester: str
) -> bool:
    if kind == "contributor":
        return subject == requester
    sql = {
        "conversation": """select 1 from conversations
            where id = ? and workspace_id = ? and owner = ?""",
        "feedback": """select 1 from feedback
            where cast(id as text) = ? and workspace_id = ? and contributor = ?""",
    }[kind]
    return one(db, sql, subject, workspace_id, requester) is not None
