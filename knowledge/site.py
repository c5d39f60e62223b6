"""A walk through one's own website, page by page, within bounds.

Nearest pages come first, so that what never ends (a calendar, a path that grows) takes what room
is left, and not that of what matters.
"""

import hashlib
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from knowledge.fetching import Fetcher, NotFetched
from knowledge.page import PageFacts, may_be_page, page_facts, sitemap_addresses
from knowledge.visiting import KnownPage, Left, Outcome, Visit, Visitor
from knowledge.web_address import UnknownHost, host_of, page_name, parse_hosts, site_address
from storage.errors import ApprenticeError, BadInput

MOST_DEPTH = 10
"""Links from the first page to another at most."""
MOST_WAITING = 10_000
MOST_SITEMAPS = 10
MOST_FAILURES = 5
"""Pages in a row that could not be had, after which the site is left alone."""


@dataclass(frozen=True)
class Page:
    """A page to be taken in; `suffix` is how a file of its type ends."""

    address: str
    name: str
    suffix: str
    data: bytes
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True)
class LeftOut:
    """A page that is not taken in, with the reason as a sentence."""

    address: str
    name: str
    outcome: Outcome
    reason: str


class Crawl:
    """One walk. Iterate it once; `progress` and `unvisited` tell how far it is."""

    def __init__(
        self,
        start: str,
        fetcher: Fetcher,
        *,
        hosts: Collection[str] = (),
        max_pages: int,
        delay_s: float,
        known: Mapping[str, KnownPage] | None = None,
    ) -> None:
        """`hosts` may be visited beside the start's own; `known` pages, by name, are too.

        `max_pages` counts visits, whatever came of them; `delay_s` lies between two, or more
        where robots.txt wants more. Raises BadInput for a start or host that is none.
        """
        self._start = site_address(start)
        self._hosts = {host_of(self._start)} | parse_hosts(hosts)
        self._max_pages = max_pages
        self._known = dict(known or {})
        self._visitor = Visitor(fetcher, self._hosts, delay_s, self._known)
        self._waiting: deque[tuple[str, int]] = deque()
        self._seen: set[str] = set()
        self._contents: dict[bytes, str] = {}  # hash -> the address that had it first
        self._visited = 0

    @property
    def progress(self) -> float:
        """From 0 to 1, of what is known to be there."""
        expected = min(self._max_pages, self._visited + len(self._waiting))
        return self._visited / expected if expected else 0.0

    @property
    def unvisited(self) -> int:
        """Addresses that wait; in the end those that there was no room for."""
        return len(self._waiting)

    def __iter__(self) -> Iterator[Page | LeftOut]:
        """Pages and what is left out, as they are visited.

        Raises BadInput with the reason when the first page cannot be had.
        """
        self._add(self._start, 0)
        first, failures = True, 0
        while self._visited < self._max_pages and self._more():
            address, depth = self._waiting.popleft()
            asked = self._visitor.asked
            try:
                visit = self._visitor.visit(address)
            except ApprenticeError as error:
                if first:
                    raise BadInput(f"Nothing was taken in. {error}") from None
                left = LeftOut(address, page_name(address), _outcome(error), str(error))
                failures = failures + 1 if left.outcome == "failed" else 0
                # what robots.txt forbids is not asked for, and takes no room
                self._visited += self._visitor.asked > asked
                yield left
                if failures == MOST_FAILURES:
                    return
                continue
            self._visited += 1
            failures = 0
            yield from self._judged(address, visit, depth)
            if first:
                yield from self._read_sitemaps()
            first = False

    def _more(self) -> bool:
        """Whether an address waits; pages known before come last, where nothing led to them."""
        if not self._waiting:
            for known in self._known.values():
                self._add(known.address, MOST_DEPTH)
        return bool(self._waiting)

    def _add(self, address: str, depth: int) -> None:
        name = page_name(address)
        if (
            depth <= MOST_DEPTH
            and name not in self._seen
            and host_of(address) in self._hosts
            and len(self._waiting) < MOST_WAITING
            and may_be_page(address)
        ):
            self._seen.add(name)
            self._waiting.append((address, depth))

    def _judged(self, asked: str, visit: Visit, depth: int) -> Iterator[Page | LeftOut]:
        """The page, or why it is left out; what it leads to waits from now on."""
        name = page_name(visit.address)
        if name != page_name(asked):
            if visit.moved_for_good:
                reason = f"{asked} has moved to {visit.address}."
                yield LeftOut(asked, page_name(asked), "gone", reason)
            if name in self._seen:
                return
            self._seen.add(name)
        is_html = visit.suffix == ".html"
        facts = page_facts(visit.address, visit.data, visit.robots_tag) if is_html else PageFacts()
        for link in facts.links:
            self._add(link, depth + 1)
        left = self._why_not(name, visit, facts, depth)
        yield left or Page(
            visit.address, name, visit.suffix, visit.data, visit.etag, visit.last_modified
        )

    def _why_not(self, name: str, visit: Visit, facts: PageFacts, depth: int) -> LeftOut | None:
        address, own = visit.address, facts.canonical
        if facts.noindex:
            return LeftOut(address, name, "gone", f"{address} asks not to be indexed.")
        if own and page_name(own) != name and host_of(own) in self._hosts:
            self._add(own, depth)
            return LeftOut(address, name, "gone", f"{address} says that it is {own}.")
        first = self._contents.setdefault(hashlib.sha256(visit.data).digest(), address)
        if first != address:
            return LeftOut(address, name, "skipped", f"{address} is the same as {first}.")
        return None

    def _read_sitemaps(self) -> Iterator[LeftOut]:
        """What the site's sitemaps name waits too."""
        waiting = deque(self._visitor.robots.sitemaps(self._start))
        for _ in range(MOST_SITEMAPS):
            if not waiting:
                return
            address = waiting.popleft()
            try:
                pages, more = sitemap_addresses(self._visitor.sitemap(address))
            except ApprenticeError as error:
                yield LeftOut(address, page_name(address), "skipped", str(error))
                continue
            waiting += more
            for page in pages:
                self._add(page, 1)


def _outcome(error: ApprenticeError) -> Outcome:
    if isinstance(error, Left):
        return error.outcome
    return "failed" if isinstance(error, NotFetched | UnknownHost) else "skipped"
