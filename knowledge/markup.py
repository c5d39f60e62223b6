"""Markdown and HTML to parts. Pure: text in, headings and body out."""

import re
from collections.abc import Iterator

import lxml.html
import trafilatura
from lxml.etree import ParserError
from lxml.html import HtmlElement
from markdown_it import MarkdownIt
from markdown_it.token import Token

from knowledge.sections import Part

SHORT_PAGE = 2000
"""Characters under which a page is taken whole: extractors guess badly on little text."""

_TITLE = 1  # its level: above h1, which is 2
_HEADINGS = {f"h{number}": number + 1 for number in range(1, 7)}
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
# fmt: off
_NOT_CONTENT = frozenset([
    "script", "style", "noscript", "template", "head", "nav", "footer", "aside", "svg", "iframe",
    "button", "select", "textarea", "object", "canvas", "audio", "video",
])
_NOT_CONTENT_ROLES = frozenset([
    "navigation", "banner", "contentinfo", "search", "dialog", "alertdialog",
])
_PARAGRAPHS = frozenset([
    "p", "ul", "ol", "dl", "table", "blockquote", "section", "article", "main", "header", "div",
    "details", "figure",
])
# fmt: on
_SPACE = re.compile(r"\s+")
_LAYOUT = "./*//*[self::table or self::h1 or self::h2 or self::h3 or self::h4]"
_LINES = frozenset(["br", "hr", "li", "dt", "dd", "tr", "figcaption", "caption", "summary"])


def markdown_parts(text: str) -> list[Part]:
    """Headings by CommonMark's rules; the body between them stays as it was written."""
    front = _FRONT_MATTER.match(text)
    text = text[front.end() :] if front else text
    # front matter is body: CommonMark would read its last line as a heading
    parts: list[Part] = [(0, front[1])] if front else []
    lines, done = text.split("\n"), 0
    for level, title, start, end in _markdown_headings(text):
        parts += [(0, "\n".join(lines[done:start])), (level, title)]
        done = end
    return [*parts, (0, "\n".join(lines[done:]))]


def _markdown_headings(text: str) -> Iterator[tuple[int, str, int, int]]:
    """(level, title, first line, line after it) of the headings outside lists and quotes."""
    tokens = MarkdownIt("commonmark").parse(text)
    for token, inline in zip(tokens, tokens[1:], strict=False):
        if token.type == "heading_open" and token.level == 0 and token.map:
            first, after = token.map
            yield _HEADINGS[token.tag], _plain(inline), first, after


def _plain(inline: Token) -> str:
    return "".join(
        " " if child.type.endswith("break") else child.content for child in inline.children or []
    )


def html_parts(html: str) -> list[Part]:
    """The page's own text without navigation, scripts and footers.

    A page that marks its content with one <main> or <article>, and a short page, is taken whole.
    For others trafilatura finds the content, unless it loses half of the words or of the
    headings, as it does with headings that stand directly in <body> (2.3.1).
    """
    page = parse_html(html)
    if page is None:
        return []
    marked = page.xpath("//main | //article[not(ancestor::main)]")
    own = element_parts(marked[0] if len(marked) == 1 else page)
    if len(marked) == 1 or sum(len(text) for _, text in own) < SHORT_PAGE:
        return _with_title(page, own)
    found = trafilatura.extract(
        html, output_format="markdown", include_tables=True, include_comments=False
    )
    extracted = markdown_parts(found or "")
    return _with_title(page, extracted if _keeps_half(extracted, own) else own)


def element_parts(element: HtmlElement) -> list[Part]:
    """The parts of an HTML element: one line per block, list item and table row."""
    reader = _Reader()
    reader.read(element)
    reader.close()
    return reader.parts


def fragment_parts(html: str) -> list[Part]:
    """The parts of HTML that another program made: nothing in it is boilerplate."""
    page = parse_html(html)
    return [] if page is None else element_parts(page)


def parse_html(html: str) -> HtmlElement | None:
    """The page as a tree; None for one with nothing in it."""
    try:
        # as bytes: lxml refuses text that declares an encoding
        parser = lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
        return lxml.html.document_fromstring(html.encode("utf-8", "replace"), parser=parser)
    except ParserError:  # nothing in it
        return None


def _keeps_half(extracted: list[Part], own: list[Part]) -> bool:
    def size(parts: list[Part]) -> tuple[int, int]:
        return sum(len(text.split()) for _, text in parts), sum(level > 0 for level, _ in parts)

    return all(2 * kept >= whole for kept, whole in zip(size(extracted), size(own), strict=True))


def _with_title(page: HtmlElement, parts: list[Part]) -> list[Part]:
    """A page without an <h1> has its <title> above all."""
    title = page.findtext(".//title") or ""
    has_own = any(level == _HEADINGS["h1"] for level, _ in parts)
    return parts if has_own or not title.strip() else [(_TITLE, title), *parts]


class _Reader:
    """Walks the elements of a page and gathers its parts."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._body = ""

    def read(self, element: HtmlElement) -> None:
        tag = element.tag
        if tag in _NOT_CONTENT or element.get("role") in _NOT_CONTENT_ROLES or _hidden(element):
            return
        if tag in _HEADINGS:
            self.close()
            self.parts.append((_HEADINGS[tag], _one_line(element)))
        elif tag == "pre":
            self._break(2)
            self._body += element.text_content()
            self._break(2)
        elif tag == "tr" and not element.xpath(_LAYOUT):
            cells = [_one_line(cell) for cell in element.xpath("./td | ./th")]
            self._break(1)
            self._body += " | ".join(cell for cell in cells if cell)
            self._break(1)
        else:
            self._read_children(element)

    def close(self) -> None:
        self.parts.append((0, self._body))
        self._body = ""

    def _read_children(self, element: HtmlElement) -> None:
        lines = 2 if element.tag in _PARAGRAPHS else int(element.tag in _LINES)
        self._break(lines)
        self._body += "- " if element.tag == "li" else ""
        self._add(element.text)
        for child in element:
            self.read(child)
            self._add(child.tail)
        self._break(lines)

    def _break(self, lines: int) -> None:
        """End the line, and for 2 the paragraph, if that is not done yet."""
        text = self._body.rstrip(" ") if lines else self._body
        self._body = text + "\n" * (lines - len(text) + len(text.rstrip("\n")))

    def _add(self, text: str | None) -> None:
        text = _SPACE.sub(" ", text or "")
        self._body += text.lstrip() if self._body[-1:].isspace() else text


def _one_line(element: HtmlElement) -> str:
    """All text of a heading or table cell; its paragraphs become words apart."""
    reader = _Reader()
    reader._read_children(element)
    reader.close()
    return " ".join(" ".join(text for _, text in reader.parts).split())


def _hidden(element: HtmlElement) -> bool:
    style = (element.get("style") or "").replace(" ", "").lower()
    return element.get("hidden") is not None or "display:none" in style
