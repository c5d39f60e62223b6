"""The reference pages, made from the code that they describe: `python -m docs.reference FOLDER`."""

import argparse
import inspect
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from html import escape
from pathlib import Path

import assistant
from assistant.api.door import KeyRing
from assistant.api.page import explained
from assistant.api.server import build_api
from assistant.app import App
from assistant.parser import build_parser
from assistant.settings import Settings, read_settings
from assistant.verb_parser import Parser
from docs.fields import Field, fields_of
from storage.datadir import DataDir
from storage.workspace_settings import WorkspaceSettings
from storage.workspaces import BOUNDS as WORKSPACE_BOUNDS
from tuning import adapter_files, bundle
from tuning.config import BOUNDS as DIAL_BOUNDS
from tuning.config import RoundConfig
from tuning.evaluate import Case
from tuning.rows import TrainRow
from tuning.sentinel import Choice

EVERYWHERE = {"help", "data", "workspace", "json"}
"""Options that every verb has; they are told once."""
ICON = Path(assistant.__file__).parent / "ui" / "icon.svg"
Bounds = dict[str, tuple[float, float]]


def command_line() -> Iterator[str]:
    """Every verb with all that may be typed after it."""
    yield (
        "# Command line\n\nEverywhere: `--data DIR` (or `APPRENTICE_DATA`; `./data` at first) and "
        "`--json`, results as JSON lines; `--workspace NAME` where a verb is about one workspace "
        "(`default` at first). All three may stand before or after the verb. Exit codes: 0 done, "
        "1 the thing asked for did not come about, 2 bad input with one sentence that says what "
        "to do. While a server runs, it does the work."
    )
    for words, parser in _verbs(build_parser(), "apprentice"):
        level = "#" * words.count(" ")
        yield f"#{level} {words}\n\n{_sentence(parser.description or '')}"
        if not _groups(parser):
            yield _verb(words, parser)


def _verbs(parser: Parser, words: str) -> Iterator[tuple[str, Parser]]:
    for group in _groups(parser):
        for name, child in group.choices.items():
            yield f"{words} {name}", child
            yield from _verbs(child, f"{words} {name}")


def _groups(parser: Parser) -> list[argparse._SubParsersAction]:
    return [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]


def _verb(words: str, parser: Parser) -> str:
    own = [one for one in parser._actions if one.dest not in EVERYWHERE]
    usage = argparse.HelpFormatter(words, width=90)
    usage.add_usage(None, own, [], prefix="")
    parts = [f"```text\n{usage.format_help().strip()}\n```"]
    options = [f"- {_option(one)}" for one in own if one.help or one.choices]
    if options:
        parts.append("\n".join(options))
    if parser.get_default("wants_workspace"):
        parts.append("Takes `--workspace`.")
    return "\n\n".join(parts)


def _option(action: argparse.Action) -> str:
    name = ", ".join(action.option_strings) or str(action.metavar)
    value = f" {action.metavar or '|'.join(map(str, action.choices or [action.dest.upper()]))}"
    shown = name if action.nargs == 0 or not action.option_strings else name + value
    return f"`{shown}`: {_plain(action.help or '')}"


def settings() -> Iterator[str]:
    """Every environment variable."""
    yield (
        "# Settings of the server\n\nWhat the person who runs the server may set. Each is an "
        "environment variable, read at the start; a value that cannot be used ends the start with "
        "a sentence. `HF_TOKEN`, `HF_ENDPOINT` and `HF_HUB_OFFLINE` are the Hub's own."
    )
    for field in fields_of(Settings):
        if field.said:
            yield _field(field, {}, f"APPRENTICE_{field.name.upper()}")


def workspace_settings() -> Iterator[str]:
    """Everything that `workspaces set` takes."""
    yield (
        "# Settings of a workspace\n\n`apprentice workspaces set NAME KEY=VALUE...` sets these; a "
        "value `@FILE` reads a file. `apprentice workspaces show NAME` shows what is set. A change "
        "counts from the next reply."
    )
    yield "## instructions\n\nThe system prompt. Each change is a new version; the old are kept."
    yield (
        "## access\n\nWho may chat: `public` (everybody who reaches the server), `members` (users "
        "who joined the workspace, at first) or `embed` (visitors of the websites of its keys)."
    )
    for field in fields_of(WorkspaceSettings):
        yield _field(field, WORKSPACE_BOUNDS)


def dials() -> Iterator[str]:
    """Everything that a round may be told."""
    yield (
        "# Dials of a round\n\nFor one round: `apprentice tune --set KEY=VALUE`, or the fields of "
        "the admin page. For every round of a workspace: "
        "`apprentice workspaces set NAME dials='{\"rank\": 8}'`."
    )
    for field in fields_of(RoundConfig):
        yield _field(field, DIAL_BOUNDS)


def _field(field: Field, bounds: Bounds, name: str = "") -> str:
    low, high = bounds.get(field.name, (None, None))
    within = "" if low is None else f", {low:g} to {high:g}"
    default = f" Default: `{field.default}`." if field.default else " Empty at first."
    return (
        f"## {name or field.name}\n\n{_plain(field.said)}\n\nTakes {field.takes}{within}.{default}"
    )


def http_api() -> Iterator[str]:
    """Every route under /v1, from the OpenAPI document that the server gives out."""
    app = App(read_settings(), DataDir(Path("data")))  # opens nothing; the routes only hold it
    document = build_api(app, KeyRing(app)).openapi()
    yield (
        "# HTTP API\n\nA running server has this page at `/v1/docs`, and for programs at "
        "`/v1/openapi.json`. Every request has a key: `Authorization: Bearer KEY`. How to make one "
        "and examples: [From your own programs](../how-to/program.md)."
    )
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            yield f"## {method.upper()} /v1{path}\n\n{explained(document, route)}"


def files() -> Iterator[str]:
    """The data directory, files to take in, the folders of adapters and rounds."""
    yield "# Files and folders\n\n## Data directory"
    root = DataDir(Path("DATA"))
    kept = [name for name, one in vars(DataDir).items() if isinstance(one, property)]
    yield "\n".join(
        f"- `{getattr(root, name)}`: {_plain(_for_readers(getattr(DataDir, name)))}"
        for name in kept
    )
    yield '## Files that commands read and write\n\n--8<-- "README.md:files"'
    yield (
        "## An adapter's folder\n\nWritten beside, then renamed, so it is whole or not there. "
        "Nothing loads it before its hashes, names, shapes and numbers were checked.\n\n"
        f"- `{adapter_files.WEIGHTS}`: the weights, as PEFT names them. Never a pickle.\n"
        f"- `{adapter_files.CONFIG}`: PEFT's configuration, without paths.\n"
        f"- `{adapter_files.CARD}`: the model card, with the release notes.\n"
        f"- `{adapter_files.MANIFEST}`: what it is, written last; its fields are below.\n"
        f"- `{adapter_files.GGUF}`: the same for llama.cpp, made when that engine needs it.\n"
        f"- `{adapter_files.PARITY}`: in an exported folder, what it was asked and answered."
    )
    yield _rows(adapter_files.MANIFEST, adapter_files.Manifest)
    layout = (bundle.__doc__ or "").split("\n\n", 1)[1]
    yield (
        "## A round's bundle\n\nEverything that training needs and nothing else; "
        f"`apprentice rounds export` copies it.\n\n{layout}"
    )
    for kind in (TrainRow, Case, Choice):
        yield _rows(kind.__name__, kind)


def _for_readers(described: object) -> str:
    """Its docstring, without what points into the code."""
    return re.sub(r" \(see `\w+`\)", "", inspect.getdoc(described) or "")


def _rows(name: str, kind: type) -> str:
    told = _plain(" ".join((inspect.getdoc(kind) or "").split()))
    lines = [
        f"- `{one.name}` (`{one.kind}`){': ' + _plain(one.said) if one.said else ''}"
        for one in fields_of(kind)
    ]
    return f"### {name}\n\n{told}\n\n" + "\n".join(lines)


def _sentence(text: str) -> str:
    return _plain(text[:1].upper() + text[1:].rstrip(".") + ".") if text else ""


def _plain(text: str) -> str:
    """Text whose signs mean nothing in Markdown, but for what stands in backticks."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([*_\[\]])", r"\\\1", escape(part, quote=False))
        for part in parts
    )


PAGES: dict[str, Callable[[], Iterable[str]]] = {
    "command-line": command_line,
    "settings": settings,
    "workspace-settings": workspace_settings,
    "dials": dials,
    "http-api": http_api,
    "files": files,
}


def write_pages(folder: Path) -> None:
    """Every reference page, and the icon, into `folder`, made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ICON, folder)
    for name, page in PAGES.items():
        (folder / f"{name}.md").write_text("\n\n".join(page()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
