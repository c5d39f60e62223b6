"""One page of a website visited: redirects followed, each checked, at the pace the site wants."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from knowledge.fetching import Answer, Fetcher
from knowledge.page import suffix_of, text_of
from knowledge.robots import Robots
from knowledge.web_address import host_of, page_name, tidy_address
from storage.errors import ApprenticeError

MOST_REDIRECTS = 5
FOR_GOOD = (301, 308)
"""Redirects that say that the old address is none any more."""

Outcome = Literal["skipped", "gone", "failed"]


class Left(ApprenticeError):
    """Why a page is not taken in; `gone`: what was taken in of it before is to go too."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome


@dataclass(frozen=True)
class KnownPage:
    """A page as it was taken in before: `copy` is the file that was kept of it."""

    address: str
    copy: Path
    suffix: str
    etag: str | None = None
    last_modified: str | None = None

    @property
    def conditions(self) -> dict[str, str]:
        """The headers that ask for it only if it has changed."""
        asked = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in asked.items() if value}


@dataclass(frozen=True)
class Visit:
    """What was found at `address`, where the redirects led; `suffix` is how such a file ends."""

    address: str
    suffix: str
    data: bytes
    robots_tag: str
    etag: str | None
    last_modified: str | None
    moved_for_good: bool


class Visitor:
    """Visits pages of the allowed hosts; `known` are pages by name, asked for if changed."""

    def __init__(
        self,
        fetcher: Fetcher,
        hosts: Collection[str],
        delay_s: float,
        known: Mapping[str, KnownPage],
    ) -> None:
        self.robots = Robots(fetcher)
        self._fetcher = fetcher
        self._hosts = hosts
        self._delay_s = delay_s
        self._known = known
        self._next_visit = 0.0
        self.asked = 0
        """How many requests for pages were made."""

    def visit(self, address: str) -> Visit:
        """The page at `address`. Raises Left, Forbidden, or what fetching raises."""
        moved_for_good = True
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._ask(address)
            if answer.leads_to is None:
                return self._found(answer, moved_for_good)
            following = tidy_address(answer.leads_to, address)
            if following is None:
                raise Left("failed", f"{address} leads to no web address.")
            moved_for_good &= answer.status in FOR_GOOD
            address = following
        raise Left("failed", f"{address} leads from page to page without an end.")

    def sitemap(self, address: str) -> bytes:
        """What a sitemap holds. Raises as `visit` does."""
        self._check_host(address)
        self._wait(address)
        return self._fetcher.get(address).data

    def _ask(self, address: str) -> Answer:
        self._check_host(address)
        self.robots.check(address)
        self._wait(address)
        known = self._known.get(page_name(address))
        headers = known.conditions if known else {}
        self.asked += 1
        return self._fetcher.get(
            address, headers, wanted=lambda found: suffix_of(found) is not None
        )

    def _check_host(self, address: str) -> None:
        host = host_of(address)
        if host not in self._hosts:
            raise Left(
                "skipped",
                f"It leads to {address}, and only {', '.join(sorted(self._hosts))} may be "
                f"visited: add --host {host} if it is yours.",
            )

    def _found(self, answer: Answer, moved_for_good: bool) -> Visit:
        address, status = answer.address, answer.status
        if status in (404, 410):
            raise Left("gone", f"{address} is not there ({status}).")
        if status in (401, 403):
            raise Left("skipped", f"{address} may not be read without a login ({status}).")
        known = self._known.get(page_name(address))
        if status == 304 and known:
            data = known.copy.read_bytes()
            return self._as(answer, known.suffix, data, moved_for_good, known)
        if status != 200:
            raise Left("failed", f"{address} answers {status}.")
        suffix = suffix_of(answer)
        if suffix is None:
            raise Left("skipped", f"{address} is no text ({answer.media_type}).")
        return self._as(answer, suffix, text_of(answer), moved_for_good)

    def _as(
        self,
        answer: Answer,
        suffix: str,
        data: bytes,
        moved_for_good: bool,
        kept: KnownPage | None = None,
    ) -> Visit:
        headers = answer.headers
        return Visit(
            address=answer.address,
            suffix=suffix,
            data=data,
            robots_tag=headers.get("x-robots-tag", ""),
            etag=headers.get("etag") or (kept.etag if kept else None),
            last_modified=headers.get("last-modified") or (kept.last_modified if kept else None),
            moved_for_good=moved_for_good,
        )

    def _wait(self, address: str) -> None:
        time.sleep(max(0.0, self._next_visit - time.monotonic()))
        pause = max(self._delay_s, self.robots.delay_s(address))
        self._next_visit = time.monotonic() + pause
