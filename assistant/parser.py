"""What may be typed after `apprentice`. No logic: a verb's options become its arguments by name."""

import argparse
import sys
from pathlib import Path
from typing import Any, NoReturn

# What main needs; everything else that was parsed is an argument of the verb.
COMMON = ("data", "json", "verb", "noun", "wants_workspace", "workspace")
Verbs = Any  # argparse names the type of add_subparsers() only privately


class Parser(argparse.ArgumentParser):
    """argparse with one sentence for a mistake instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and where to read more; exit 2."""
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`.\n")


def build_parser() -> Parser:
    """The whole command line. `verb` in the result is a key of `assistant.verbs.VERBS`."""
    parser = Parser(
        prog="apprentice",
        description="A chat assistant over your documents that learns from being corrected.",
        parents=[_common()],
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(metavar="VERB", dest="noun", required=True, title="verbs")
    _server(verbs)
    _workspaces(verbs)
    _users(verbs)
    _documents(verbs)
    _ask(verbs)
    _feedback(verbs)
    _tuning(verbs)
    _adapters(verbs)
    _keeping(verbs)
    return parser


def _common() -> argparse.ArgumentParser:
    """Options that may stand before and after the verb.

    SUPPRESS leaves them out when not typed: a default here would overwrite, after the verb, what
    was typed before it.
    """
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("options everywhere")
    group.add_argument(
        "--data", metavar="DIR", type=Path, help="data directory (APPRENTICE_DATA; default ./data)"
    )
    group.add_argument("--workspace", metavar="NAME", help="workspace (default: default)")
    group.add_argument("--json", action="store_true", help="results as JSON on standard output")
    return common


def _add(verbs: Verbs, name: str, words: str, help: str, *, workspace: bool = False) -> Parser:
    """A verb called `name` within `verbs`; `words` is all that is typed for it."""
    parser: Parser = verbs.add_parser(
        name, help=help, description=help, parents=[_common()], allow_abbrev=False
    )
    parser.set_defaults(verb=words, wants_workspace=workspace)
    return parser


def _group(verbs: Verbs, noun: str, help: str) -> Verbs:
    parser = verbs.add_parser(
        noun, help=help, description=help, parents=[_common()], allow_abbrev=False
    )
    return parser.add_subparsers(metavar="VERB", dest="second", required=True, title="verbs")


def _server(verbs: Verbs) -> None:
    serve = _add(verbs, "serve", "serve", "serve the chat and the admin page")
    serve.add_argument("--host", help="address to listen on (APPRENTICE_HOST; default 127.0.0.1)")
    serve.add_argument("--port", help="port to listen on (APPRENTICE_PORT; default 7860)")
    demo = _add(verbs, "demo", "demo", "show the whole loop on the sample company, then serve it")
    demo.add_argument("--no-serve", action="store_true", help="stop after the loop")
    demo.add_argument("--fresh", action="store_true", help="start over in an empty directory")
    _add(verbs, "doctor", "doctor", "check the installation and every invariant of the data")


def _workspaces(verbs: Verbs) -> None:
    group = _group(verbs, "workspaces", "clients or departments: list, show, create, set, delete")
    _add(group, "list", "workspaces list", "all workspaces")
    shown = _add(group, "show", "workspaces show", "one workspace with all its settings")
    shown.add_argument("name", metavar="NAME")
    create = _add(group, "create", "workspaces create", "make a workspace")
    create.add_argument("name", metavar="NAME")
    create.add_argument("--access", default="members", help="public, members (default) or embed")
    create.add_argument("--instructions", default="", help="the system prompt; @FILE reads a file")
    change = _add(group, "set", "workspaces set", "change instructions, access or settings")
    change.add_argument("name", metavar="NAME")
    change.add_argument("values", metavar="KEY=VALUE", nargs="+", help="a value @FILE reads a file")
    delete = _add(group, "delete", "workspaces delete", "delete a workspace with all that is in it")
    delete.add_argument("name", metavar="NAME")
    delete.add_argument("--yes", action="store_true", help="do not ask")


def _users(verbs: Verbs) -> None:
    group = _group(verbs, "users", "people with a login: list, create, set, delete")
    _add(group, "list", "users list", "all users with role and workspaces")
    create = _add(group, "create", "users create", "add a user; asks for the password")
    create.add_argument("name", metavar="NAME")
    create.add_argument("--role", default="member", help="admin, reviewer or member (default)")
    _password(create)
    change = _add(group, "set", "users set", "change role, password or memberships")
    change.add_argument("name", metavar="NAME")
    change.add_argument("--role", help="admin, reviewer or member")
    change.add_argument("--password", action="store_true", help="ask for a new password")
    change.add_argument("--join", metavar="WORKSPACE", help="make a member of a workspace")
    change.add_argument("--leave", metavar="WORKSPACE", help="end the membership of a workspace")
    _password(change)
    delete = _add(group, "delete", "users delete", "delete a user")
    delete.add_argument("name", metavar="NAME")


def _password(parser: Parser) -> None:
    parser.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input"
    )


def _documents(verbs: Verbs) -> None:
    ingest = _add(verbs, "ingest", "ingest", "take files or folders in", workspace=True)
    ingest.add_argument("paths", metavar="PATH", nargs="+", type=Path)
    group = _group(verbs, "documents", "what was taken in: list, remove, reindex")
    _add(group, "list", "documents list", "all documents of the workspace", workspace=True)
    remove = _add(group, "remove", "documents remove", "remove documents by name", workspace=True)
    remove.add_argument("names", metavar="NAME", nargs="+")
    _add(group, "reindex", "documents reindex", "rebuild the search index", workspace=True)
    search = _add(verbs, "search", "search", "passages with their scores", workspace=True)
    search.add_argument("query", metavar="QUERY")
    search.add_argument("--top-k", metavar="N", type=_count, help="passages at most")


def _ask(verbs: Verbs) -> None:
    ask = _add(verbs, "ask", "ask", "answer a question, or a file of them", workspace=True)
    ask.add_argument("question", metavar="QUESTION", nargs="?")
    ask.add_argument("--file", type=Path, help='JSON lines: {"question" or "messages", "id"?}')
    ask.add_argument(
        "--no-overrides", action="store_true", help="approved corrections do not answer"
    )
    ask.add_argument("--no-examples", action="store_true", help="no near corrections are used")
    ask.add_argument("--no-documents", action="store_true", help="no passages in the prompt")
    _adapter(ask)
    ask.add_argument("--max-tokens", metavar="N", type=_count, help="tokens of a reply at most")
    evaluate = _add(
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


def _feedback(verbs: Verbs) -> None:
    group = _group(
        verbs, "feedback", "judgements: import, list, show, approve, stale, keep, reject, export"
    )
    load = _add(group, "import", "feedback import", "take feedback in from a file", workspace=True)
    load.add_argument("file", metavar="FILE.jsonl", type=Path)
    load.add_argument(
        "--approve", action="store_true", help="approve rows with a correction or thumb"
    )
    load.add_argument("--ask", action="store_true", help="where no answer is given, ask for it")
    load.add_argument("--strict", action="store_true", help="refuse unknown fields")
    load.add_argument("--skip-bad", action="store_true", help="leave bad lines out, take the rest")
    some = _add(group, "list", "feedback list", "the newest feedback", workspace=True)
    some.add_argument("--status", help="quarantined, new, approved or rejected")
    some.add_argument("--limit", metavar="N", type=_count, default=50)
    show = _add(group, "show", "feedback show", "one, with what to know first", workspace=True)
    show.add_argument("id", metavar="ID", type=int)
    approve = _add(
        group, "approve", "feedback approve", "approve corrections and thumbs", workspace=True
    )
    approve.add_argument("ids", metavar="ID", nargs="+", type=int)
    approve.add_argument("--correction", metavar="TEXT", help="an edited correction, for one ID")
    approve.add_argument(
        "--question", metavar="TEXT", help="an edited request, for one ID that was drafted"
    )
    approve.add_argument("--group", help="the need it belongs to")
    approve.add_argument(
        "--despite-check", metavar="REASON", help="why it may be taught although its check fails"
    )
    _add(group, "stale", "feedback stale", "those whose documents have changed", workspace=True)
    keep = _add(group, "keep", "feedback keep", "keep stale ones as they are", workspace=True)
    keep.add_argument("ids", metavar="ID", nargs="+", type=int)
    reject = _add(group, "reject", "feedback reject", "reject feedback", workspace=True)
    reject.add_argument("ids", metavar="ID", nargs="+", type=int)
    another = _add(
        group,
        "paraphrase",
        "feedback paraphrase",
        "add another wording of a corrected question, to judge by; it never trains",
        workspace=True,
    )
    another.add_argument("id", metavar="ID", nargs="?", type=int, help="the approved correction")
    another.add_argument("question", metavar="QUESTION", nargs="?")
    another.add_argument("--remove", metavar="ID", type=int, help="remove this paraphrase instead")
    _add(group, "paraphrases", "feedback paraphrases", "all paraphrases", workspace=True)
    export = _add(group, "export", "feedback export", "training rows as JSON lines", workspace=True)
    export.add_argument(
        "--format",
        choices=("preference", "unpaired", "prompt-completion"),
        default="preference",
        help="columns as TRL names them (default: preference)",
    )
    export.add_argument("--to", metavar="FILE", type=Path, help="a new file (default: stdout)")
    group = _group(verbs, "style", "one's own writing as lessons in style: import")
    style = _add(group, "import", "style import", "take mails and documents in", workspace=True)
    style.add_argument("path", metavar="FILE|FOLDER", type=Path)
    style.add_argument("--author", metavar="ADDRESS", help="whose mails count in a mailbox")
    style.add_argument(
        "--approve", action="store_true", help="approve the texts whose request was given"
    )
    group = _group(verbs, "overrides", "approved corrections served at once: list, retire")
    _add(group, "list", "overrides list", "all overrides of the workspace", workspace=True)
    retire = _add(group, "retire", "overrides retire", "stop serving an override", workspace=True)
    retire.add_argument("id", metavar="ID", type=int)


def _tuning(verbs: Verbs) -> None:
    tune = _add(verbs, "tune", "tune", "teach the approved corrections: one round", workspace=True)
    tune.add_argument(
        "--method",
        help="auto (default: lora or qlora, the one whose base serves), lora, qlora (packed base), "
        "dora, rslora, ia3 or bottleneck",
    )
    tune.add_argument(
        "--objective", help="auto (default: by what was approved), sft, dpo, or kto (for thumbs)"
    )
    tune.add_argument(
        "--set",
        metavar="KEY=VALUE",
        dest="dials",
        action="append",
        default=[],
        help="another dial of the round, for example epochs=10",
    )
    tune.add_argument(
        "--from",
        dest="start",
        metavar="base|ADAPTER",
        help="train everything from the base, or teach an adapter on (default: by the minutes)",
    )
    tune.add_argument("--dry-run", action="store_true", help="say what would be done, and the cost")
    group = _group(
        verbs, "rounds", "rounds of training: list, show, cancel, resume, export, import"
    )
    _add(group, "list", "rounds list", "all rounds of the workspace", workspace=True)
    show = _add(group, "show", "rounds show", "one round with verdict and scores")
    show.add_argument("id", metavar="ID", type=int)
    cancel = _add(group, "cancel", "rounds cancel", "stop a round")
    cancel.add_argument("id", metavar="ID", type=int)
    resume = _add(group, "resume", "rounds resume", "go on with a round that failed")
    resume.add_argument("id", metavar="ID", type=int)
    export = _add(group, "export", "rounds export", "copy a round's bundle, to train elsewhere")
    export.add_argument("id", metavar="ID", type=int)
    export.add_argument("to", metavar="DIR", type=Path)
    back = _add(group, "import", "rounds import", "judge what a bundle trained elsewhere came to")
    back.add_argument("folder", metavar="DIR", type=Path, help="OUT of python -m tuning.run")


def _adapters(verbs: Verbs) -> None:
    group = _group(
        verbs,
        "adapters",
        "what rounds made: list, show, promote, rollback, delete, export, import, push",
    )
    _add(group, "list", "adapters list", "all adapters of the workspace", workspace=True)
    show = _add(group, "show", "adapters show", "one adapter with its metrics")
    show.add_argument("id", metavar="ID", type=int)
    promote = _add(group, "promote", "adapters promote", "let an adapter serve")
    promote.add_argument("id", metavar="ID", type=int)
    promote.add_argument("--reason", help="why it may serve against the gate's verdict")
    _add(group, "rollback", "adapters rollback", "let the former one serve again", workspace=True)
    delete = _add(group, "delete", "adapters delete", "delete an adapter's files")
    delete.add_argument("id", metavar="ID", type=int)
    export = _add(group, "export", "adapters export", "copy an adapter's verified files")
    export.add_argument("id", metavar="ID", type=int)
    export.add_argument("--to", metavar="DIR", type=Path, required=True)
    _export(export)
    load = _add(
        group, "import", "adapters import", "take an adapter in and judge it", workspace=True
    )
    load.add_argument("folder", metavar="DIR", type=Path, help="a folder of ours or of PEFT's")
    push = _add(group, "push", "adapters push", "upload an adapter to the Hub (HF_TOKEN)")
    push.add_argument("id", metavar="ID", type=int)
    push.add_argument("repo", metavar="REPO", help="NAME/REPO; made, private, if not there")
    push.add_argument("--public", action="store_true", help="everybody may read it")
    rebase = _add(verbs, "rebase", "rebase", "teach the same corrections to another base model")
    rebase.add_argument(
        "--base-model", metavar="ID", required=True, help="embedded, a folder or a Hub id"
    )
    rebase.add_argument("--method", help="as for tune")
    rebase.add_argument(
        "--set", metavar="KEY=VALUE", dest="dials", action="append", default=[], help="as for tune"
    )
    lineage = _add(verbs, "lineage", "lineage", "every correction and document an adapter learned")
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
        "--least", metavar="SHARE", type=_share, help="same verdicts wanted (default: 0.95)"
    )
    export.add_argument("--anyway", metavar="REASON", help="keep it when it answers unlike it")


def _share(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share from 0 to 1")
    return number


def _keeping(verbs: Verbs) -> None:
    erase = _add(verbs, "erase", "erase", "forget feedback, a conversation or a contributor")
    erase.add_argument("--feedback", metavar="ID", help="one judgement")
    erase.add_argument("--conversation", metavar="ID", help="a conversation and all feedback on it")
    erase.add_argument("--contributor", metavar="ID", help="all that a person wrote")
    erase.add_argument("--request", metavar="ID", type=int, help="what a person asked to erase")
    erase.add_argument("--requests", action="store_true", help="list the requests that wait")
    erase.add_argument("--refuse", action="store_true", help="say no to --request ID")
    erase.add_argument(
        "--retrain", action="store_true", help="teach what remains, where an adapter had learned it"
    )
    erase.add_argument(
        "--set",
        metavar="KEY=VALUE",
        dest="dials",
        action="append",
        default=[],
        help="a dial of that round, for example epochs=10",
    )
    backup = _add(
        verbs, "backup", "backup", "a verified copy while serving; purge deletes old ones"
    )
    backup.add_argument(
        "file",
        metavar="FILE|purge",
        type=lambda text: text if text == "purge" else Path(text),
        help="a new file; purge: delete copies made before the last erasure",
    )
    backup.add_argument("--yes", action="store_true", help="purge without asking")
    restore = _add(verbs, "restore", "restore", "make an empty data directory from a backup")
    restore.add_argument("file", metavar="FILE", type=Path)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 up")
    return number


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
