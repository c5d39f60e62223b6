"""Documents and their chunks: what can be found. Chroma is rebuilt from here."""

import hashlib
from collections.abc import Iterable, Sequence

from sqlite_utils import Database

from storage.database import NOW, insert, one, rows, tuples, write, write_transaction
from storage.errors import NotFound
from storage.records import Chunk, Document, Passage
from storage.text import clean, to_json

_TEXT = "case c.heading when '' then c.text else c.heading || char(10) || c.text end"

_PASSAGE = f"""
select c.id as chunk_id, c.document_id, d.name as document, c.hash, d.source_url, {_TEXT} as text
from chunks c join documents d on d.id = c.document_id
"""
_SELECT = """
select d.id, d.workspace_id, d.name, d.hash, d.media_type, d.created_at, d.updated_at, d.source_url,
    d.folder, d.etag, d.last_modified,
    (select count(*) from chunks c where c.document_id = d.id) as chunk_count
from documents d
"""


def chunk_hash(heading: str, text: str) -> str:
    """sha256 of heading and text, in hex: what says whether a chunk has changed."""
    return hashlib.sha256(f"{clean(heading)}\n{clean(text)}".encode()).hexdigest()


def put_document(
    db: Database,
    workspace_id: int,
    *,
    name: str,
    hash: str,
    media_type: str,
    chunks: Sequence[tuple[str, str]],
    source_url: str | None = None,
    folder: str | None = None,
) -> Document:
    """Save a document and its chunks of (heading, text); replaces the one of the same name.

    Chunks whose heading and text are as before keep their ids, the others are removed and added.
    `folder` is the one that it was ingested with; None leaves what is known.
    """
    with write_transaction(db):
        document_id = _upsert(db, workspace_id, clean(name), hash, media_type, source_url, folder)
        old = _old_ids_by_hash(db, document_id)
        for position, (heading, text) in enumerate(chunks):
            same = old.get(chunk_hash(heading, text))
            if same:
                write(db, "update chunks set position = ? where id = ?", position, same.pop(0))
            else:
                _add_chunk(db, document_id, workspace_id, position, heading, text)
        gone = [chunk_id for ids in old.values() for chunk_id in ids]
        write(db, "delete from chunks where id in (select value from json_each(?))", to_json(gone))
    return document_by_name(db, workspace_id, name)


def set_validators(
    db: Database, workspace_id: int, name: str, etag: str | None, last_modified: str | None
) -> None:
    """What a page's server said it is known by, to be asked next time whether it has changed."""
    with write_transaction(db):
        write(
            db,
            "update documents set etag = ?, last_modified = ? where workspace_id = ? and name = ?",
            clean(etag) if etag else None,
            clean(last_modified) if last_modified else None,
            workspace_id,
            clean(name),
        )


def document_by_name(db: Database, workspace_id: int, name: str) -> Document:
    """The workspace's document called `name`; NotFound otherwise."""
    row = one(db, f"{_SELECT} where d.workspace_id = ? and d.name = ?", workspace_id, clean(name))
    if row is None:
        raise NotFound(
            f"There is no document {clean(name)!r} in this workspace: "
            "`apprentice documents list` shows those there are."
        )
    return Document(**row)


def list_documents(db: Database, workspace_id: int) -> list[Document]:
    """The workspace's documents, by name."""
    found = rows(db, f"{_SELECT} where d.workspace_id = ? order by d.name", workspace_id)
    return [Document(**row) for row in found]


def remove_document(db: Database, workspace_id: int, name: str) -> list[int]:
    """Remove a document; returns the ids of its chunks, for the dense index to forget."""
    with write_transaction(db):
        known = document_by_name(db, workspace_id, name)
        gone = [chunk.id for chunk in chunks_of(db, known.id)]
        write(db, "delete from documents where id = ?", known.id)
    return gone


def chunks_of(db: Database, document_id: int, *, start: int = 0, limit: int = -1) -> list[Chunk]:
    """The document's chunks in reading order; none for an unknown id.

    `limit` of them at most (-1: all), without the first `start`.
    """
    found = rows(
        db,
        """select id, document_id, workspace_id, position, heading, text, hash from chunks
        where document_id = ? order by position limit ? offset ?""",
        document_id,
        limit,
        start,
    )
    return [Chunk(**row) for row in found]


def live_chunks(db: Database, workspace_id: int, ids: Iterable[int]) -> dict[int, Passage]:
    """Those of `ids` that exist in this workspace, as passages (text under its heading), score 0.

    Every hit of any index goes through here: what was removed, or is another workspace's, is not
    in the answer.
    """
    found = rows(
        db,
        f"{_PASSAGE} where c.workspace_id = ? and c.id in (select value from json_each(?))",
        workspace_id,
        to_json([int(chunk_id) for chunk_id in ids]),
    )
    return {row["chunk_id"]: Passage(**row, score=0.0) for row in found}


def neighbour(db: Database, chunk_id: int, step: int) -> Passage | None:
    """The chunk that many places after `chunk_id`, if it is of the same section; score 0."""
    row = one(
        db,
        f"""{_PASSAGE} join chunks n on n.document_id = c.document_id and n.heading = c.heading
        where n.id = ? and c.position = n.position + ?""",
        chunk_id,
        step,
    )
    return Passage(**row, score=0.0) if row else None


def chunk_hashes(db: Database, workspace_id: int) -> dict[int, str]:
    """Hash by chunk id for the whole workspace: what the dense index must hold."""
    found = rows(db, "select id, hash from chunks where workspace_id = ?", workspace_id)
    return {row["id"]: row["hash"] for row in found}


def documents_of(db: Database, ids: Iterable[int]) -> list[int]:
    """The ids of the documents that the chunks `ids` belong to, each once."""
    sql = "select distinct document_id from chunks where id in (select value from json_each(?))"
    return sorted(document_id for (document_id,) in tuples(db, sql, to_json([*ids])))


def newest_chunk(db: Database, workspace_id: int) -> int:
    """The highest id of a chunk in the workspace; 0: it has none. Ids are never used again."""
    found = one(db, "select max(id) as id from chunks where workspace_id = ?", workspace_id)
    return (found and found["id"]) or 0


def chunk_texts(db: Database, workspace_id: int, *, after: int = 0) -> list[tuple[int, str]]:
    """(id, text under its heading) of the workspace's chunks with an id above `after`."""
    sql = f"select id, {_TEXT} from chunks c where workspace_id = ? and id > ?"
    return tuples(db, sql, workspace_id, after)


def chunk_ids(db: Database, workspace_id: int, *, among: Sequence[int] | None = None) -> set[int]:
    """The ids of the workspace's chunks, or those of `among` that are there."""
    sql = "select id from chunks where workspace_id = ?"
    if among is None:
        return {chunk_id for (chunk_id,) in tuples(db, sql, workspace_id)}
    sql += " and id in (select value from json_each(?))"
    return {chunk_id for (chunk_id,) in tuples(db, sql, workspace_id, to_json([*among]))}


def _upsert(
    db: Database,
    workspace_id: int,
    name: str,
    hash: str,
    media_type: str,
    source_url: str | None,
    folder: str | None,
) -> int:
    write(
        db,
        f"""insert into documents (workspace_id, name, hash, media_type, source_url, folder)
        values (?, ?, ?, ?, ?, ?) on conflict (workspace_id, name) do update set
        hash = excluded.hash, media_type = excluded.media_type, source_url = excluded.source_url,
        folder = coalesce(excluded.folder, documents.folder), updated_at = {NOW}""",
        workspace_id,
        name,
        hash,
        media_type,
        clean(source_url) if source_url else None,
        clean(folder) if folder else None,
    )
    row = one(
        db, "select id from documents where workspace_id = ? and name = ?", workspace_id, name
    )
    assert row is not None
    return int(row["id"])


def _old_ids_by_hash(db: Database, document_id: int) -> dict[str, list[int]]:
    old: dict[str, list[int]] = {}
    for chunk in chunks_of(db, document_id):
        old.setdefault(chunk.hash, []).append(chunk.id)
    return old


def _add_chunk(
    db: Database, document_id: int, workspace_id: int, position: int, heading: str, text: str
) -> None:
    insert(
        db,
        "chunks",
        document_id=document_id,
        workspace_id=workspace_id,
        position=position,
        heading=clean(heading),
        text=clean(text),
        hash=chunk_hash(heading, text),
    )
