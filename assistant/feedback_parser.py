"""What may be typed after `apprentice feedback`. No logic."""

from pathlib import Path

from assistant.verb_parser import Verbs, add, count, noun, several

_SEEN = "the mark of `feedback show`, for one ID: not if somebody else decided since"


def feedback_verbs(verbs: Verbs) -> None:
    """Adds them to the parser of `assistant.parser`."""
    group = noun(
        verbs,
        "feedback",
        "judgements: import, list, show, approve, retract, sites, set, gaps, stale, keep, "
        "reject, export",
    )
    _import(group)
    _look(group)
    _decide(group)
    add(group, "sites", "feedback sites", "where it came from, counted", workspace=True)
    why = add(group, "set", "feedback set", "say why replies were wrong", workspace=True)
    why.add_argument("ids", metavar="ID", nargs="+", type=int)
    several(why, "--reason", "REASON", "reasons", "such as wrong_tone or 'Wrong tone'")
    why.add_argument("--none", action="store_true", help="take the reasons away")
    gaps = add(group, "gaps", "feedback gaps", "what to teach next, by topic", workspace=True)
    gaps.add_argument("--days", metavar="N", type=count, default=30, help="looked back (30)")
    add(group, "stale", "feedback stale", "those whose documents have changed", workspace=True)
    keep = add(group, "keep", "feedback keep", "keep stale ones as they are", workspace=True)
    keep.add_argument("ids", metavar="ID", nargs="+", type=int)
    reject = add(group, "reject", "feedback reject", "reject feedback", workspace=True)
    reject.add_argument("ids", metavar="ID", nargs="+", type=int)
    reject.add_argument("--seen", metavar="MARK", help=_SEEN)
    free = add(group, "unmask", "feedback unmask", "teach what looks private", workspace=True)
    free.add_argument("id", metavar="ID", type=int)
    several(free, "--value", "TEXT", "values", "only this, as `feedback show` has it; repeatable")
    free.add_argument("--again", action="store_true", help="mask all of the row once more")
    _paraphrases(group)
    _exchange(group)


def _import(group: Verbs) -> None:
    load = add(group, "import", "feedback import", "take feedback in from a file", workspace=True)
    load.add_argument("file", metavar="FILE.jsonl", type=Path)
    load.add_argument(
        "--approve", action="store_true", help="approve rows with a correction or thumb"
    )
    load.add_argument("--ask", action="store_true", help="where no answer is given, ask for it")
    load.add_argument("--strict", action="store_true", help="refuse unknown fields")
    load.add_argument("--skip-bad", action="store_true", help="leave bad lines out, take the rest")


def _look(group: Verbs) -> None:
    some = add(group, "list", "feedback list", "the newest feedback", workspace=True)
    some.add_argument("--status", help="quarantined, new, approved or rejected")
    some.add_argument("--limit", metavar="N", type=count, default=50)
    some.add_argument("--reason", help="only what this was given for, such as wrong_tone")
    some.add_argument("--search", metavar="WORDS", help="only what has these words, anywhere")
    some.add_argument("--flagged", action="store_true", help="only what is odd, and waits")
    some.add_argument("--half", action="store_true", help="only what waits for a second reviewer")
    some.add_argument("--mine", action="store_true", help="only what waits for you")
    some.add_argument("--site", metavar="NAME", help="only from this key or installation")
    show = add(group, "show", "feedback show", "one, with what to know first", workspace=True)
    show.add_argument("id", metavar="ID", type=int)


def _decide(group: Verbs) -> None:
    approve = add(
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
    approve.add_argument("--seen", metavar="MARK", help=_SEEN)
    back = add(group, "retract", "feedback retract", "take your own first yes back", workspace=True)
    back.add_argument("ids", metavar="ID", nargs="+", type=int)


def _exchange(group: Verbs) -> None:
    verdicts = add(
        group, "verdicts", "feedback verdicts", "decide as another installation did", workspace=True
    )
    verdicts.add_argument("file", metavar="FILE.jsonl", type=Path)
    verdicts.add_argument(
        "--from", metavar="NAME", dest="by", default="central", help="before its reviewers' names"
    )
    export = add(group, "export", "feedback export", "training rows as JSON lines", workspace=True)
    export.add_argument(
        "--format",
        choices=("preference", "unpaired", "prompt-completion", "queue", "verdicts"),
        default="preference",
        help="columns as TRL names them (default: preference); queue: what waits, for another "
        "installation; verdicts: what was decided here on another one's",
    )
    export.add_argument("--site", metavar="NAME", help="the site's name (queue and verdicts)")
    export.add_argument("--to", metavar="FILE", type=Path, help="a new file (default: stdout)")


def _paraphrases(group: Verbs) -> None:
    another = add(
        group,
        "paraphrase",
        "feedback paraphrase",
        "add another wording of a corrected question, to judge by; it never trains",
        workspace=True,
    )
    another.add_argument("id", metavar="ID", nargs="?", type=int, help="the approved correction")
    another.add_argument("question", metavar="QUESTION", nargs="?")
    another.add_argument("--remove", metavar="ID", type=int, help="remove this paraphrase instead")
    add(group, "paraphrases", "feedback paraphrases", "all paraphrases", workspace=True)
