"""What may be typed after `apprentice`. No logic: a verb's options become its arguments by name."""

import argparse
import sys
from pathlib import Path
from typing import Any

from assistant.cell_parser import cell_verbs
from assistant.feedback_parser import feedback_verbs
from assistant.house_parser import house_verbs
from assistant.verb_parser import Parser, Verbs, add, common, count, dials, noun, several, share

# What main needs; everything else that was parsed is an argument of the verb.
COMMON = ("data", "json", "verb", "noun", "wants_workspace", "workspace")


def build_parser() -> Parser:
    """The whole command line. `verb` in the result is a key of `assistant.verbs.VERBS`."""
    parser = Parser(
        prog="apprentice",
        description="A chat assistant over your documents that learns from being corrected.",
        parents=[common()],
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(metavar="VERB", dest="noun", required=True, title="verbs")
    _server(verbs)
    _workspaces(verbs)
    _users(verbs)
    _keys(verbs)
    _documents(verbs)
    _ask(verbs)
    feedback_verbs(verbs)
    _style(verbs)
    _overrides(verbs)
    _tuning(verbs)
    _adapters(verbs)
    house_verbs(verbs)
    cell_verbs(verbs)
    return parser


def _server(verbs: Verbs) -> None:
    serve = add(verbs, "serve", "serve", "serve the chat and the admin page")
    serve.add_argument("--host", help="address to listen on (APPRENTICE_HOST; default 127.0.0.1)")
    serve.add_argument("--port", help="port to listen on (APPRENTICE_PORT; default 7860)")
    serve.add_argument("--cell", metavar="NAME", help="which cell it is (APPRENTICE_CELL)")
    demo = add(verbs, "demo", "demo", "show the whole loop on the sample company, then serve it")
    demo.add_argument("--no-serve", action="store_true", help="stop after the loop")
    demo.add_argument("--fresh", action="store_true", help="start over in an empty directory")
    check = add(verbs, "doctor", "doctor", "check the installation and every invariant of the data")
    check.add_argument(
        "--bases", action="store_true", help="only: which well-known base models fit this machine"
    )


def _workspaces(verbs: Verbs) -> None:
    group = noun(verbs, "workspaces", "clients or departments: list, show, create, set, delete")
    add(group, "list", "workspaces list", "all workspaces")
    shown = add(group, "show", "workspaces show", "one workspace with all its settings")
    shown.add_argument("name", metavar="NAME")
    create = add(group, "create", "workspaces create", "make a workspace")
    create.add_argument("name", metavar="NAME")
    create.add_argument("--access", default="members", help="public, members (default) or embed")
    create.add_argument("--instructions", default="", help="the system prompt; @FILE reads a file")
    change = add(group, "set", "workspaces set", "change instructions, access or settings")
    change.add_argument("name", metavar="NAME")
    change.add_argument("values", metavar="KEY=VALUE", nargs="+", help="a value @FILE reads a file")
    delete = add(group, "delete", "workspaces delete", "delete a workspace with all that is in it")
    delete.add_argument("name", metavar="NAME")
    delete.add_argument("--yes", action="store_true", help="do not ask")


def _users(verbs: Verbs) -> None:
    group = noun(verbs, "users", "people with a login: list, create, set, delete")
    add(group, "list", "users list", "all users with role and workspaces")
    create = add(group, "create", "users create", "add a user; asks for the password")
    create.add_argument("name", metavar="NAME")
    create.add_argument(
        "--role", default="member", help="admin, reviewer, viewer or member (default)"
    )
    _password(create)
    change = add(group, "set", "users set", "change role, password or memberships")
    change.add_argument("name", metavar="NAME")
    change.add_argument("--role", help="admin, reviewer, viewer or member")
    change.add_argument("--password", action="store_true", help="ask for a new password")
    change.add_argument("--join", metavar="WORKSPACE", help="make a member of a workspace")
    change.add_argument("--leave", metavar="WORKSPACE", help="end the membership of a workspace")
    _password(change)
    delete = add(group, "delete", "users delete", "delete a user")
    delete.add_argument("name", metavar="NAME")


def _password(parser: Parser) -> None:
    parser.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input"
    )


def _keys(verbs: Verbs) -> None:
    group = noun(verbs, "keys", "keys of programs and websites: create, list, revoke")
    create = add(group, "create", "keys create", "make a key; it is shown once", workspace=True)
    create.add_argument("name", metavar="NAME")
    several(create, "--scope", "SCOPE", "scopes", "chat, feedback (default: these two) or metrics")
    create.add_argument(
        "--all-workspaces", action="store_true", help="of every workspace, not of --workspace alone"
    )
    create.add_argument(
        "--per-minute", metavar="N", type=count, default=60, help="requests a minute (60)"
    )
    create.add_argument("--per-day", metavar="N", type=count, help="messages a day (with --embed)")
    create.add_argument(
        "--embed", action="store_true", help="a website's key instead of an API key"
    )
    several(create, "--origin", "URL", "origins", "a website that may use it (with --embed)")
    create.add_argument(
        "--per-visitor",
        metavar="N",
        type=count,
        help="messages a day of one visitor (with --embed)",
    )
    add(group, "list", "keys list", "all keys, without their secrets")
    revoke = add(group, "revoke", "keys revoke", "end a key at once")
    revoke.add_argument("name", metavar="NAME")


def _documents(verbs: Verbs) -> None:
    ingest = add(verbs, "ingest", "ingest", "take files or a website in", workspace=True)
    ingest.add_argument("paths", metavar="PATH", nargs="*", type=Path)
    ingest.add_argument("--site", metavar="URL", help="one's own website instead of files")
    ingest.add_argument(
        "--max-pages", metavar="N", type=count, help="pages visited at most (site_pages; 200)"
    )
    ingest.add_argument(
        "--host",
        metavar="HOST",
        dest="hosts",
        action="append",
        default=[],
        help="another host that the website leads to and that may be visited; repeatable",
    )
    ingest.add_argument(
        "--runner",
        choices=("local", "ray"),
        default="local",
        help="where files are read and embedded: here, or by Ray Data (default: local)",
    )
    ingest.add_argument(
        "--workers", metavar="N", type=count, help="Ray's processes (default: APPRENTICE_THREADS)"
    )
    group = noun(verbs, "documents", "what was taken in: list, show, remove, reindex")
    add(group, "list", "documents list", "all documents of the workspace", workspace=True)
    shown = add(group, "show", "documents show", "one document's passages", workspace=True)
    shown.add_argument("name", metavar="NAME")
    remove = add(group, "remove", "documents remove", "remove documents by name", workspace=True)
    remove.add_argument("names", metavar="NAME", nargs="+")
    add(group, "reindex", "documents reindex", "rebuild the search index", workspace=True)
    search = add(verbs, "search", "search", "passages with their scores", workspace=True)
    search.add_argument("query", metavar="QUERY")
    search.add_argument("--top-k", metavar="N", type=count, help="passages at most")


def _ask(verbs: Verbs) -> None:
    ask = add(verbs, "ask", "ask", "answer a question, or a file of them", workspace=True)
    ask.add_argument("question", metavar="QUESTION", nargs="?")
    ask.add_argument("--file", type=Path, help='JSON lines: {"question" or "messages", "id"?}')
    ask.add_argument(
        "--attach", metavar="FILE", type=Path, nargs="+", default=[], help="files to ask about"
    )
    ask.add_argument(
        "--no-overrides", action="store_true", help="approved corrections do not answer"
    )
    ask.add_argument("--no-examples", action="store_true", help="no near corrections are used")
    ask.add_argument("--no-documents", action="store_true", help="no passages in the prompt")
    _adapter(ask)
    ask.add_argument("--max-tokens", metavar="N", type=count, help="tokens of a reply at most")
    evaluate = add(
        verbs, "evaluate", "evaluate", "score answers to a file of cases", workspace=True
    )
    evaluate.add_argument(
        "--file",
        type=Path,
        required=True,
        help='JSON lines: {"question", "expected", "group"?, "check"?}',
    )
    _adapter(evaluate)
    evaluate.add_argument("--no-examples", action="store_true", help="no near corrections are used")


def _adapter(parser: Parser) -> None:
    parser.add_argument(
        "--adapter", metavar="ID|base", help="an adapter's number, or base (default: what serves)"
    )


def _style(verbs: Verbs) -> None:
    group = noun(verbs, "style", "one's own writing as lessons in style: import")
    style = add(group, "import", "style import", "take mails and documents in", workspace=True)
    style.add_argument("path", metavar="FILE|FOLDER", type=Path)
    style.add_argument("--author", metavar="ADDRESS", help="whose mails count in a mailbox")
    style.add_argument(
        "--approve", action="store_true", help="approve the texts whose request was given"
    )


def _overrides(verbs: Verbs) -> None:
    group = noun(verbs, "overrides", "approved corrections served at once: list, retire")
    add(group, "list", "overrides list", "all overrides of the workspace", workspace=True)
    retire = add(group, "retire", "overrides retire", "stop serving an override", workspace=True)
    retire.add_argument("id", metavar="ID", type=int)


def _tuning(verbs: Verbs) -> None:
    tune = add(verbs, "tune", "tune", "teach the approved corrections: one round", workspace=True)
    tune.add_argument(
        "--method",
        help="auto (default: lora or qlora, the one whose base serves), lora, qlora (packed base), "
        "dora, rslora, ia3 or bottleneck",
    )
    tune.add_argument(
        "--objective", help="auto (default: by what was approved), sft, dpo, or kto (for thumbs)"
    )
    tune.add_argument(
        "--runner",
        metavar="R",
        help="where it trains: local, accelerate, hf-jobs or ray (default: APPRENTICE_RUNNER)",
    )
    dials(tune, "another dial of the round, for example epochs=10")
    tune.add_argument(
        "--from",
        dest="start",
        metavar="base|ADAPTER",
        help="train everything from the base, or teach an adapter on (default: by the minutes)",
    )
    tune.add_argument(
        "--sweep", action="store_true", help="look for the dials first, by trials on kept-out rows"
    )
    tune.add_argument("--trials", metavar="N", type=int, help="of the sweep, at most (default: 8)")
    tune.add_argument(
        "--minutes", metavar="M", type=float, help="of the sweep, at most (default: 60)"
    )
    several(
        tune,
        "--try",
        "KEY=A,B",
        "tried",
        "what the sweep tries of method, objective, rank, learning_rate or epochs",
    )
    tune.add_argument("--dry-run", action="store_true", help="say what would be done, and the cost")
    said = "rounds of training: list, show, cancel, resume, export, import, blame"
    group = noun(verbs, "rounds", said)
    add(group, "list", "rounds list", "all rounds of the workspace", workspace=True)
    show = add(group, "show", "rounds show", "one round with verdict and scores")
    show.add_argument("id", metavar="ID", type=int)
    cancel = add(group, "cancel", "rounds cancel", "stop a round")
    cancel.add_argument("id", metavar="ID", type=int)
    resume = add(group, "resume", "rounds resume", "go on with a round that failed")
    resume.add_argument("id", metavar="ID", type=int)
    export = add(group, "export", "rounds export", "copy a round's bundle, to train elsewhere")
    export.add_argument("id", metavar="ID", type=int)
    export.add_argument("to", metavar="DIR", type=Path)
    back = add(group, "import", "rounds import", "judge what a bundle trained elsewhere came to")
    back.add_argument("folder", metavar="DIR", type=Path, help="OUT of python -m tuning.run")
    blame = add(group, "blame", "rounds blame", "train a refused round again without some rows")
    blame.add_argument("id", metavar="ID", type=int)
    blame.add_argument(
        "--contributor", metavar="NAME", help="whose rows (default: those that the gate refused)"
    )


def _adapters(verbs: Verbs) -> None:
    group = noun(
        verbs,
        "adapters",
        "what rounds made: list, show, compare, promote, sign, delete, export, import, push, ...",
    )
    add(group, "list", "adapters list", "all adapters of the workspace", workspace=True)
    show = add(group, "show", "adapters show", "one adapter with its metrics")
    show.add_argument("id", metavar="ID", type=int)
    compare = add(group, "compare", "adapters compare", "two on the questions kept out of both")
    compare.add_argument("left", metavar="ID|base")
    compare.add_argument("right", metavar="ID|base")
    promote = add(group, "promote", "adapters promote", "let an adapter serve")
    promote.add_argument("id", metavar="ID", type=int)
    promote.add_argument("--reason", help="why it may serve against the gate's verdict")
    add(group, "rollback", "adapters rollback", "let the former one serve again", workspace=True)
    sign = add(group, "sign", "adapters sign", "trust adapters as they are: verify and sign")
    sign.add_argument("ids", type=int, nargs="+", metavar="ID")
    delete = add(group, "delete", "adapters delete", "delete an adapter's files")
    delete.add_argument("id", metavar="ID", type=int)
    export = add(group, "export", "adapters export", "copy an adapter's verified files")
    export.add_argument("id", metavar="ID", type=int)
    export.add_argument("--to", metavar="DIR", type=Path, required=True)
    _export(export)
    load = add(
        group, "import", "adapters import", "take an adapter in and judge it", workspace=True
    )
    load.add_argument("folder", metavar="DIR", type=Path, help="a folder of ours or of PEFT's")
    push = add(group, "push", "adapters push", "upload an adapter to the Hub (HF_TOKEN)")
    push.add_argument("id", metavar="ID", type=int)
    push.add_argument("repo", metavar="REPO", help="NAME/REPO; made, private, if not there")
    push.add_argument("--public", action="store_true", help="everybody may read it")
    rebase = add(verbs, "rebase", "rebase", "teach the same corrections to another base model")
    rebase.add_argument(
        "--base-model", metavar="ID", required=True, help="embedded, a folder or a Hub id"
    )
    rebase.add_argument("--method", help="as for tune")
    dials(rebase, "as for tune")
    lineage = add(verbs, "lineage", "lineage", "every correction and document an adapter learned")
    lineage.add_argument("id", metavar="ADAPTER_ID", type=int)


def _export(export: Parser) -> None:
    export.add_argument(
        "--format",
        choices=("peft", "merged", "gguf"),
        default="peft",
        help="the adapter alone (default), merged into its base, or that for llama.cpp",
    )
    export.add_argument(
        "--quantization", choices=("f16", "q8_0"), default="f16", help="of a GGUF (default: f16)"
    )
    export.add_argument(
        "--least", metavar="SHARE", type=share, help="same verdicts wanted (default: 0.95)"
    )
    export.add_argument("--anyway", metavar="REASON", help="keep it when it answers unlike it")


def complete(parser: Parser, argv: list[str] | None) -> argparse.Namespace:
    """Parse, and fill in what SUPPRESS left out."""
    given = parser.parse_args(sys.argv[1:] if argv is None else argv)
    defaults = {"data": None, "workspace": "default", "json": False}
    return argparse.Namespace(**{**defaults, **vars(given)})


def arguments_of(given: argparse.Namespace) -> dict[str, Any]:
    """The verb's own arguments as JSON values: paths absolute, since the work may be elsewhere."""
    own = {name: value for name, value in vars(given).items() if name not in (*COMMON, "second")}
    if given.wants_workspace:
        own["workspace"] = given.workspace
    return {name: _travelling(value) for name, value in own.items()}


def _travelling(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value.expanduser().absolute())
    if isinstance(value, list):
        return [_travelling(item) for item in value]
    return value
