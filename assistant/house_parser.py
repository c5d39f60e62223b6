"""Verbs on the house as a whole: look at it, erase, back up, make a Space of it."""

from pathlib import Path

from assistant.verb_parser import Verbs, add, count, dials, noun

PLOTS = ("loss", "rate", "learned", "rounds", "history", "ratings", "adapters", "map")
"""A test holds that these are `assistant.plot_sources.NAMES`, which takes a second to import."""


def house_verbs(verbs: Verbs) -> None:
    """Put them on the command line."""
    _looking(verbs)
    _conversations(verbs)
    _keeping(verbs)
    _space(verbs)


def _looking(verbs: Verbs) -> None:
    add(verbs, "overview", "overview", "what goes on in the workspace, in counts", workspace=True)
    group = noun(verbs, "jobs", "long work, begun on a page or by a command: list, cancel")
    work = add(group, "list", "jobs list", "the newest first, of every workspace")
    work.add_argument("--limit", metavar="N", type=count, default=20, help="default: 20")
    stop = add(group, "cancel", "jobs cancel", "ask one to stop")
    stop.add_argument("id", metavar="ID", type=int)
    plot = add(verbs, "plot", "plot", "a plot as a drawing or its numbers", workspace=True)
    plot.add_argument("name", metavar="PLOT", help=f"one of {', '.join(PLOTS)}")
    plot.add_argument("--round", metavar="N", type=count, help="default: the newest that has it")
    plot.add_argument("--to", metavar="FILE", type=Path, required=True, help="new: .svg or .csv")
    group = noun(verbs, "audit", "who did what: list, verify")
    acts = add(group, "list", "audit list", "who did what, the newest first")
    acts.add_argument("--actor", metavar="WHO", help="of one alone, such as user:1")
    acts.add_argument("--action", metavar="WHAT", help='of one kind, such as "adapter promoted"')
    acts.add_argument("--subject", metavar="WHAT", help="to one thing, such as adapter:3")
    acts.add_argument("--before", metavar="ID", type=count, help="only those before this one")
    acts.add_argument("--limit", metavar="N", type=count, default=100, help="default: 100")
    same = add(group, "verify", "audit verify", "whether the audit is as it was written")
    same.add_argument("--head", metavar="HASH", help="a head shown earlier and noted elsewhere")


def _conversations(verbs: Verbs) -> None:
    group = noun(verbs, "conversations", "a person's chats: list, show, rename, choose")
    some = add(group, "list", "conversations list", "the last used first", workspace=True)
    some.add_argument("who", metavar="WHO", help="a user's name, or an owner such as visitor:...")
    some.add_argument("--holding", metavar="TEXT", default="", help="with this text in them")
    some.add_argument("--limit", metavar="N", type=count, default=50, help="default: 50")
    one = add(group, "show", "conversations show", "what was said, with its sources")
    one.add_argument("conversation_id", metavar="ID")
    name = add(group, "rename", "conversations rename", "give it another name")
    name.add_argument("conversation_id", metavar="ID")
    name.add_argument("title", metavar="NAME")
    tried = add(group, "choose", "conversations choose", "go on with another try at a turn")
    tried.add_argument("message_id", metavar="MESSAGE", help="`show --json` lists the other tries")


def _keeping(verbs: Verbs) -> None:
    erase = add(verbs, "erase", "erase", "forget feedback, a conversation or a contributor")
    erase.add_argument("--feedback", metavar="ID", help="one judgement")
    erase.add_argument("--conversation", metavar="ID", help="a conversation and all feedback on it")
    erase.add_argument("--contributor", metavar="ID", help="all that a person wrote")
    erase.add_argument("--request", metavar="ID", type=int, help="what a person asked to erase")
    erase.add_argument("--requests", action="store_true", help="list the requests that wait")
    erase.add_argument("--refuse", action="store_true", help="say no to --request ID")
    erase.add_argument(
        "--retrain", action="store_true", help="teach what remains, where an adapter had learned it"
    )
    dials(erase, "a dial of that round, for example epochs=10")
    backup = add(verbs, "backup", "backup", "a verified copy while serving; purge deletes old ones")
    backup.add_argument(
        "file",
        metavar="FILE|purge",
        type=lambda text: text if text == "purge" else Path(text),
        help="a new file; purge: delete copies made before the last erasure",
    )
    backup.add_argument("--yes", action="store_true", help="purge without asking")
    restore = add(verbs, "restore", "restore", "make an empty data directory from a backup")
    restore.add_argument("file", metavar="FILE", type=Path)


def _space(verbs: Verbs) -> None:
    group = noun(verbs, "space", "a Hugging Face Space: build, check")
    build = add(group, "build", "space build", "write a folder that runs as a Space")
    build.add_argument("--to", metavar="DIR", type=Path, required=True, help="a new folder")
    build.add_argument(
        "--hardware",
        choices=("cpu", "gpu", "zerogpu"),
        default="cpu",
        help="what the Space runs on: which torch it installs (default: cpu)",
    )
    add(group, "check", "space check", "what a Space still needs, seen from inside it")
