"""One parser fed by atheris, which looks for inputs that reach new lines of it.

    python tests/faults/fuzzer.py TARGET [options of libFuzzer]

A program of its own: atheris ends the process, and an input that is too much for it too.
"""

import sys
from collections.abc import Callable
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["knowledge", "assistant", "tuning", "storage"]):
    from assistant.plain_markdown import as_typed, plain_markdown
    from assistant.private_values import values
    from knowledge.markup import html_parts, markdown_parts
    from knowledge.page import page_facts, sitemap_addresses
    from knowledge.sections import outline
    from knowledge.web_address import is_public, site_address, tidy_address
    from storage.errors import ApprenticeError
    from tuning.json_check import parse
    from tuning.sql_check import looks_like_sql, parsed


def markdown(text: str) -> None:
    outline(markdown_parts(text))


def html(text: str) -> None:
    with suppress(ApprenticeError):
        outline(html_parts(text))


def page(text: str) -> None:
    page_facts("https://example.org/a", text.encode(errors="replace"), text[:40])
    sitemap_addresses(text.encode(errors="replace"))


def address(text: str) -> None:
    found = tidy_address(text, "https://example.org/")
    assert found is None or tidy_address(found) == found, "what is tidy stays"
    with suppress(ApprenticeError):
        site_address(text)
    with suppress(ValueError):
        is_public(text)


def shown(text: str) -> None:
    made = plain_markdown(text, [("$$", "$$")])
    assert "<script" not in made.lower()
    plain = plain_markdown(text)
    assert plain_markdown(as_typed(plain)) == plain


def answer(text: str) -> None:
    with suppress(ValueError, RecursionError):
        parse(text)
    looks_like_sql(text)
    parsed(text)


def private(text: str) -> None:
    for found in values(text):
        assert text[found.start : found.end]


TARGETS: dict[str, Callable[[str], None]] = {
    one.__name__: one for one in (markdown, html, page, address, shown, answer, private)
}


def main() -> None:
    """Never returns: libFuzzer ends the process, with 0 where nothing was found."""
    target = TARGETS[sys.argv.pop(1)]

    def fed(data: bytes) -> None:
        target(atheris.FuzzedDataProvider(data).ConsumeUnicodeNoSurrogates(len(data)))

    atheris.Setup(sys.argv, fed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
