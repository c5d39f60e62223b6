"""`apprentice ingest`, `apprentice documents list|show|remove|reindex` and `apprentice search`."""

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlite_utils import Database

from assistant.app import App
from assistant.background import at_work
from assistant.commands.who import actor
from assistant.retrieval import AWAY
from assistant.verbs import Event, Events
from assistant.website import KIND, Website, refuse_second, take_website
from knowledge.chroma_place import IndexAway
from storage import jobs
from storage.audit import audit
from storage.documents import (
    chunk_hashes,
    chunks_of,
    document_by_name,
    list_documents,
    newest_chunk,
)
from storage.errors import BadInput
from storage.records import Passage
from storage.stale import stale_feedback
from storage.workspaces import workspace as workspace_named

if TYPE_CHECKING:  # it takes a second to import
    from knowledge.preparing import Preparer


def ingest(
    app: App,
    *,
    workspace: str,
    paths: list[str],
    site: str | None = None,
    max_pages: int | None = None,
    hosts: list[str] | None = None,
    runner: str = "local",
    workers: int | None = None,
) -> Events:
    """Take files and folders in, or one's own website; one result per file or page.

    `runner` is `local` or `ray`: where files are read, cut and embedded.
    """
    if bool(paths) == bool(site):
        raise BadInput("Give files or folders, or --site with an address, and not both.")
    if site:
        if runner != "local" or workers:
            raise BadInput("--runner and --workers are for files: leave them out with --site.")
        return (yield from _ingest_site(app, workspace, site, max_pages, tuple(hosts or ())))
    if max_pages or hosts:
        raise BadInput("--max-pages and --host are for a website: name it with --site.")
    if workers and runner != "ray":
        raise BadInput("--workers is how many processes Ray starts: name it with --runner ray.")
    preparer = _by_ray(app, workers) if runner == "ray" else None
    return (yield from _ingest_files(app, workspace, paths, preparer))


def _by_ray(app: App, workers: int | None) -> "Preparer":
    from knowledge.by_ray import prepared_by_ray, refuse_without_ray

    refuse_without_ray()
    return partial(
        prepared_by_ray, embedder=app.embedder.place, workers=workers or app.settings.threads
    )


def _ingest_site(
    app: App, workspace: str, site: str, max_pages: int | None, hosts: tuple[str, ...]
) -> Events:
    """A walk through the website; the exit code is 1 when some pages could not be had."""
    failed, changed = 0, False
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        website = Website(site, max_pages or found.settings.site_pages, hosts)
        job = jobs.create_job(db, KIND, found.id, lambda db: refuse_second(db, found.id))
        with at_work(db, job):
            yield {"progress": None, "note": "opening the search index"}
            sync(app, db, found.id)
            for event in take_website(app, db, found, website, job):
                if "status" in event:
                    failed += event["status"] == "failed"
                    changed |= event["status"] in ("replaced", "removed")
                    row = jobs.job(db, job.id)
                    yield {"progress": row.progress, "note": row.note}
                yield event
        if changed:
            yield from stale_warning(db, found.id)
    return 1 if failed else 0


def _ingest_files(
    app: App, workspace: str, paths: list[str], preparer: "Preparer | None"
) -> Events:
    """Files and folders.

    BadInput when a path does not exist (then nothing is taken) and when no file could be read;
    the exit code is 1 when some could not.
    """
    for path in paths:
        if not Path(path).exists():
            raise BadInput(f"There is no file or folder {path}: check its name.")
    failures, done, changed = [], 0, False
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        yield {"progress": None, "note": "opening the search index"}
        sync(app, db, found.id)
        for event in _ingested(app, db, found.id, paths, preparer):
            yield event
            if event["status"] == "failed":
                failures.append(event["error"])
            else:
                done += 1
                changed |= event["status"] in ("replaced", "removed")
        if changed:
            yield from stale_warning(db, found.id)
    if failures and not done:
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise BadInput(f"Nothing was taken in. {failures[0]}{more}")
    return 1 if failures else 0


def list_all(app: App, *, workspace: str) -> Iterator[Event]:
    """The documents of a workspace, by name."""
    with closing(app.db()) as db:
        for item in list_documents(db, workspace_named(db, workspace).id):
            yield {**asdict(item), "chunks": item.chunk_count}


def show(app: App, *, workspace: str, name: str) -> Iterator[Event]:
    """The passages that a document was cut into, in reading order."""
    with closing(app.db()) as db:
        known = document_by_name(db, workspace_named(db, workspace).id, name)
        yield from map(asdict, chunks_of(db, known.id))


def remove(app: App, *, workspace: str, names: list[str]) -> Iterator[Event]:
    """Remove documents with their chunks and vectors; none when one of them is not there."""
    from knowledge.ingest import remove as remove_everywhere

    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        for known in [document_by_name(db, found.id, name) for name in dict.fromkeys(names)]:
            remove_everywhere(db, app.datadir, app.index, found.id, known.name)
            audit(db, actor(), "document removed", f"document:{known.id}")
            yield {"document": known.name, "chunks": known.chunk_count, "removed": True}
        yield from stale_warning(db, found.id)


def reindex(app: App, *, workspace: str) -> Iterator[Event]:
    """Make the workspace's part of the search index anew from the database."""
    from knowledge.corrections import corrections_collection
    from knowledge.search import chunks_collection

    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        chunks = len(chunk_hashes(db, found.id))
        yield {"progress": None, "note": f"embedding {chunks} chunks"}
        pages = chunks_collection(found.id, app.embedder)
        with app.index.filling(pages):
            for collection in (pages, corrections_collection(found.id, app.embedder)):
                app.index.drop(collection)
            sync(app, db, found.id)
    yield {"workspace": workspace, "chunks": chunks}


def search(app: App, *, workspace: str, query: str, top_k: int | None = None) -> Iterator[Event]:
    """The nearest passages, best first, also those under the workspace's relevance floor."""
    from knowledge.search import search as find

    if not query.strip():
        raise BadInput("The query is empty; type something to look for.")
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        if not list_documents(db, found.id):
            text = f"{workspace!r} has no documents yet: `apprentice ingest PATH` takes some in."
            yield {"warning": text}
            return
        most = top_k or found.settings.top_k
        with suppress(IndexAway):
            mend(app, db, found.id)
        for item in find(db, app.index, app.lexical, app.embedder, found.id, query, top_k=most):
            yield passage_event(item)
        if app.index.away:
            yield {"warning": AWAY}


def stale_warning(db: Database, workspace_id: int) -> Iterator[Event]:
    """How many corrections were made from passages that have changed, if any."""
    if count := len(stale_feedback(db, workspace_id)):
        text = f"{count} corrections were" if count > 1 else "1 correction was"
        yield {"warning": f"{text} made from passages that changed: `apprentice feedback stale`."}


def passage_event(passage: Passage) -> Event:
    """A passage as `search --json` prints it."""
    return {
        "document": passage.document,
        "url": passage.source_url,
        "chunk_id": passage.chunk_id,
        "text": passage.text,
        "score": passage.score,
        "dense_rank": passage.dense_rank,
        "lexical_rank": passage.lexical_rank,
        "similarity": passage.similarity,
        "relevance": passage.relevance,
    }


def sync(app: App, db: Database, workspace_id: int) -> None:
    """Make the index equal to the database: after a loss, or an ingest that was cut off."""
    from knowledge.chunk_vectors import sync_index

    sync_index(db, app.index, app.embedder, workspace_id)


def mend(app: App, db: Database, workspace_id: int) -> None:
    """Fill the index again when it was lost; looks only at what costs nothing to look at.

    Raises IndexAway.
    """
    if not newest_chunk(db, workspace_id):
        return
    prefix = f"chunks-{workspace_id}-"
    if not any(name.startswith(prefix) for name in app.index.collections()):
        sync(app, db, workspace_id)


def _ingested(
    app: App, db: Database, workspace_id: int, paths: list[str], preparer: "Preparer | None"
) -> Iterator[Event]:
    from knowledge.ingest import ingest as take_in

    for event in take_in(
        db,
        app.datadir,
        app.index,
        app.embedder,
        workspace_id,
        [Path(path) for path in paths],
        max_tokens=app.settings.chunk_tokens,
        overlap=app.settings.chunk_overlap,
        preparer=preparer,
    ):
        yield {
            "document": event.name,
            "status": event.status,
            "chunks": event.chunks,
            "error": event.error,
        }
