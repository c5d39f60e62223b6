"""One's own website into a workspace: a walk through it, each page as a document.

The work is a row in `jobs`, whoever asked for it: a command, the admin page, or the clock.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlite_utils import Database

from assistant.app import App
from assistant.background import beat, in_background, last_job
from assistant.verbs import Event
from storage.documents import document_by_name, list_documents
from storage.errors import BadInput, NotFound, Refused
from storage.records import Job, Workspace

if TYPE_CHECKING:  # the walk's libraries are not needed to look at a row
    from knowledge.site import LeftOut, Page
    from knowledge.visiting import KnownPage

KIND = "website"
COUNTED = ("added", "replaced", "unchanged", "removed", "skipped", "failed")
MOST_TOLD = 20
"""Reasons that a job keeps for the page; the command tells all."""


@dataclass(frozen=True)
class Website:
    """What is walked through: `hosts` may be visited beside the address's own."""

    address: str
    most_pages: int
    hosts: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises BadInput for an address or a host that is none."""
        from knowledge.web_address import parse_hosts, site_address

        site_address(self.address)
        parse_hosts(self.hosts)


def refuse_second(db: Database, workspace_id: int) -> None:
    """Raises Refused while a website is being taken into the workspace."""
    running = last_website(db, workspace_id)
    if running is not None and running.finished_at is None:
        raise Refused("A website is being taken in: wait for its end, or cancel it.")


def start_websites(app: App, workspace: Workspace, websites: Sequence[Website]) -> Job:
    """Take websites in, in a thread; Refused while one goes on."""

    def work(db: Database, queued: Job) -> str:
        problems: list[str] = []
        for website in websites:
            try:
                events = [*take_website(app, db, workspace, website, queued)]
                problems += [event["error"] for event in events if event.get("error")]
            except BadInput as error:
                if len(websites) == 1:
                    raise
                problems.append(str(error))
        more = len(problems) - MOST_TOLD
        return "\n".join(problems[:MOST_TOLD] + [f"And {more} more."] * (more > 0))

    return in_background(app, KIND, workspace.id, work, lambda db: refuse_second(db, workspace.id))


def last_website(db: Database, workspace_id: int) -> Job | None:
    """The workspace's newest walk, going on or not."""
    return last_job(db, workspace_id, KIND)


def take_website(
    app: App, db: Database, workspace: Workspace, website: Website, job: Job
) -> Iterator[Event]:
    """Walk and take in what is found; an event for each page, then one with the counts.

    The job's row follows. Raises BadInput when the first page cannot be had, Cancelled when that
    was asked for; what was taken in by then stays.
    """
    from knowledge.fetching import Fetcher
    from knowledge.site import Crawl
    from knowledge.web_address import parse_hosts

    counts: Counter[str] = Counter()
    beat(db, job, 0.0, f"visiting {website.address}")
    with Fetcher(parse_hosts(app.settings.site_private_hosts.split(","))) as fetcher:
        crawl = Crawl(
            website.address,
            fetcher,
            hosts=website.hosts,
            max_pages=website.most_pages,
            delay_s=app.settings.site_delay_s,
            known=_known_pages(app, db, workspace.id),
        )
        for found in crawl:
            event = _taken(app, db, workspace.id, found)
            counts[event["status"]] += 1
            beat(db, job, crawl.progress, _said(counts))
            yield event
    left = crawl.unvisited
    beat(db, job, 1.0, _said(counts) + (f", {left} not visited" if left else ""))
    yield {"site": website.address, **{name: counts[name] for name in COUNTED}, "unvisited": left}


def _taken(app: App, db: Database, workspace_id: int, found: "Page | LeftOut") -> Event:
    """What became of one page."""
    from knowledge.ingest import ingest_page, remove
    from knowledge.site import LeftOut

    event: Event = {"document": found.name, "url": found.address}
    if isinstance(found, LeftOut):
        if found.outcome == "gone" and _is_known(db, workspace_id, found.name):
            remove(db, app.datadir, app.index, workspace_id, found.name)
            return {**event, "status": "removed", "chunks": 0, "error": None}
        status = "failed" if found.outcome == "failed" else "skipped"
        return {**event, "status": status, "chunks": 0, "error": found.reason}
    done = ingest_page(
        db,
        app.datadir,
        app.index,
        app.embedder,
        workspace_id,
        found,
        max_tokens=app.settings.chunk_tokens,
        overlap=app.settings.chunk_overlap,
    )
    return {**event, "status": done.status, "chunks": done.chunks, "error": done.error}


def _known_pages(app: App, db: Database, workspace_id: int) -> "dict[str, KnownPage]":
    """The pages that the workspace has, by name, whose copies are there."""
    from knowledge.documents import MEDIA_TYPES
    from knowledge.sources import stored_copy
    from knowledge.visiting import KnownPage

    suffixes = {kind: suffix for suffix, kind in MEDIA_TYPES.items()}
    known = {}
    for item in list_documents(db, workspace_id):
        copy = stored_copy(app.datadir, workspace_id, item.name)
        if item.source_url and copy.exists():
            known[item.name] = KnownPage(
                item.source_url, copy, suffixes[item.media_type], item.etag, item.last_modified
            )
    return known


def _is_known(db: Database, workspace_id: int, name: str) -> bool:
    """Whether there is a page of this name; a file that happens to be called so is none."""
    try:
        return document_by_name(db, workspace_id, name).source_url is not None
    except NotFound:
        return False


def _said(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[name]} {name}" for name in COUNTED if counts[name]) or "nothing yet"
