"""What a web page says of itself: where it leads, whether it may be kept, and what it is."""

import codecs
import mimetypes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import httpx
from lxml import etree
from lxml.html import HtmlElement

from knowledge.documents import MEDIA_TYPES
from knowledge.fetching import AGENT, Answer
from knowledge.markup import parse_html
from knowledge.web_address import tidy_address

_SUFFIXES = {kind: suffix for suffix, kind in reversed(MEDIA_TYPES.items())} | {
    "application/xhtml+xml": ".html",
    "text/x-markdown": ".md",
}
_UNSAID = ("", "application/octet-stream", "text/plain")
_NO_PAGES = ("image/", "audio/", "video/", "font/", "text/css", "text/javascript")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_REFRESH = re.compile(r"^\s*\d+\s*[;,]\s*url\s*=\s*['\"]?([^'\"]+)", re.IGNORECASE)
_ROBOTS = frozenset(["robots", AGENT.lower()])


@dataclass(frozen=True)
class PageFacts:
    """`canonical` is the address that the page gives as its own; None: it gives none."""

    links: tuple[str, ...] = ()
    canonical: str | None = None
    noindex: bool = False


def suffix_of(answer: Answer) -> str | None:
    """How a file of that type ends; None for one that cannot be read as a document."""
    end = PurePosixPath(httpx.URL(answer.address).path).suffix.lower()
    if answer.media_type in _UNSAID and end in MEDIA_TYPES:
        return end
    return _SUFFIXES.get(answer.media_type or "text/html")


def may_be_page(address: str) -> bool:
    """Whether it is worth asking for: not what ends as pictures and the like do."""
    kind = mimetypes.guess_type(httpx.URL(address).path, strict=False)[0] or ""
    return not kind.startswith(_NO_PAGES)


def text_of(answer: Answer) -> bytes:
    """The body; text in another encoding that only its header tells, as UTF-8 with its mark."""
    named = _CHARSET.search(answer.headers.get("content-type", ""))
    if not named or not answer.media_type.startswith(("text/", "application/xhtml")):
        return answer.data
    try:
        if codecs.lookup(named[1]).name == "utf-8":
            return answer.data
        return codecs.BOM_UTF8 + answer.data.decode(named[1]).encode()
    except (LookupError, UnicodeError):
        return answer.data  # the reader says what is wrong with it


def page_facts(address: str, data: bytes, robots_tag: str = "") -> PageFacts:
    """What the HTML in `data` says; `robots_tag` is the header X-Robots-Tag."""
    page = parse_html(data.decode("utf-8-sig", "replace"))
    said = _words(robots_tag)
    if page is None:
        return PageFacts(noindex=bool(said & {"noindex", "none"}))
    for meta in page.iterfind(".//meta[@name]"):
        if meta.get("name", "").strip().lower() in _ROBOTS:
            said |= _words(meta.get("content", ""))
    base = tidy_address(page.xpath("string(//base/@href)"), address) or address
    leads = () if said & {"nofollow", "none"} else tuple(dict.fromkeys(_links(page, base)))
    own = page.xpath("string(//link[contains(@rel, 'canonical')]/@href)").strip()
    canonical = tidy_address(own, base) if own else None
    return PageFacts(leads, canonical, bool(said & {"noindex", "none"}))


def sitemap_addresses(data: bytes) -> tuple[list[str], list[str]]:
    """(pages, further sitemaps) that a sitemap names; none for what is no XML."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=True)
    try:
        root = etree.fromstring(data, parser) if data.strip() else None
    except etree.XMLSyntaxError:  # where there is nothing to recover
        return [], []
    if root is None:
        return [], []
    found = [text.strip() for text in root.xpath("//*[local-name()='loc']/text()")]
    return ([], found) if str(root.tag).rpartition("}")[2] == "sitemapindex" else (found, [])


def _links(page: HtmlElement, base: str) -> Iterator[str]:
    """Where it leads a reader, without what it asks not to be followed."""
    for link in page.iterfind(".//a[@href]"):
        found = tidy_address(link.get("href", ""), base)
        if found and "nofollow" not in link.get("rel", "").lower().split():
            yield found
    for meta in page.iterfind(".//meta[@http-equiv]"):
        refresh = _REFRESH.match(meta.get("content", ""))
        found = tidy_address(refresh[1], base) if refresh else None
        if found and meta.get("http-equiv", "").lower() == "refresh":
            yield found


def _words(text: str) -> set[str]:
    return set(re.split(r"[\s,:]+", text.lower()))
