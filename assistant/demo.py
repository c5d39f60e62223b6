"""`apprentice demo`: the whole loop on the sample company, told in the terminal, then served.

Everything goes through the verbs of the command line, so this page shows nothing that a person
could not type.
"""

import json
import resource
import shutil
import sqlite3
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assistant import sample
from assistant.app import App, open_app
from assistant.printing import Printer, Show, plain
from assistant.sample.build_database import build_database
from assistant.scoreboard import by_need, judge_all, kept, right
from assistant.settings import Settings
from assistant.verbs import Event, run_here
from storage.datadir import open_datadir, own
from storage.errors import ApprenticeError, Refused
from storage.jobs import mark_dead

WORKSPACE = "demo"
FOUNDING = "List the completed orders in the past month."
SAMPLE = Path(sample.__file__).parent
DEFAULT_DATA = Path("demo-data")
MARKER = ".demo"
"""Says that the demo made this directory, so that `--fresh` may empty it."""
REPORT = "demo-report.txt"
"""Written last: a directory that has it holds a finished demo."""
KEPT = {"models", ".lock", MARKER}
"""What starting over leaves: the base model took a download and a conversion."""
ANSWER_TOKENS = 48
"""Tokens of an evaluated answer at most; the longest right one has 31."""
MINUTES = 30
"""Minutes of training at most, so that the demo ends on slow machines. Two cores take 7 to 11; one
that was shared with other work made half of the steps in 11, and the gate refused the adapter."""
ALONE = {"no_overrides": True, "no_examples": True}
KNOWN_BEFORE = (
    ("general questions", "general.jsonl"),
    ("questions to the documents", "documents_questions.jsonl"),
)
WAYS = ("base model", "adapter alone", "as shipped")
TONE = r"^Ahoy! .*Fair winds, your crew at Tern & Tiller\.$"
WORKSPACE_SETTINGS = {
    # Short questions, each for itself: prompts stay under 160 tokens, a round takes minutes.
    "passage_tokens": 80,
    "history_tokens": 0,
}


class RoundFailed(ApprenticeError):
    """The demo's round ended without a verdict."""


@dataclass
class Story:
    """The demo as it goes on: what it needs and what it has measured."""

    app: App
    printer: Printer
    seconds: dict[str, float] = field(default_factory=dict)
    round_peak: int = 0
    """Bytes of memory that the round's process took at most."""

    @property
    def database(self) -> Path:
        """The company's database."""
        return self.app.settings.data.resolve() / "company.sqlite"

    def run(self, verb: str, **arguments: Any) -> list[Event]:
        """The results of a verb in the demo's workspace; its progress is shown as a bar."""
        results = []
        try:
            for event in run_here(self.app, verb, arguments):
                if "progress" in event or "warning" in event:
                    self.printer.event(event)
                elif "delta" not in event:
                    results.append(event)
        finally:
            self.printer.leave_bar()
        return results

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Measure the wall time of a part of the story."""
        started = time.perf_counter()
        yield
        self.seconds[part] = time.perf_counter() - started


def run_demo(settings: Settings, *, serve: bool, fresh: bool = False) -> int:
    """Show the loop and, if asked, serve the result; returns the exit code.

    A directory with a finished demo is served at once unless `fresh`. Returns 1 when the gate did
    not promote the adapter. Raises Refused for a directory with other data in it and RoundFailed
    when the round broke off.
    """
    settings = _with_directory(settings)
    report = settings.data / REPORT
    code = 0
    if report.is_file() and not fresh:
        say(f"The demo in {settings.data} has run already; this was its result.")
        say("`apprentice demo --fresh` starts over.\n")
        say(report.read_text(encoding="utf-8"))
    else:
        code = _tell(settings, report)
    if not serve:
        return code
    from assistant.serve import serve as serve_until_stopped

    say("\nServing; Ctrl-C stops it. The sample company is the workspace `demo`.")
    return serve_until_stopped(settings) or code


def say(text: str = "") -> None:
    """Print for a person, at once; what a model or a file said cannot drive the terminal."""
    print(plain(text), flush=True)


def _with_directory(settings: Settings) -> Settings:
    """The demo keeps to its own directory unless another one was named."""
    if settings.data != Settings.model_fields["data"].default:
        return settings
    return settings.model_copy(update={"data": DEFAULT_DATA})


def _tell(settings: Settings, report: Path) -> int:
    started = time.perf_counter()
    _start_over(settings.data)
    printer = Printer(Show(), json_wanted=False)
    with open_app(settings, progress=printer.progress) as app:
        with closing(app.db()) as db:
            mark_dead(db)
        story = Story(app, printer)
        _company(story)
        _before(story)
        _corrections(story)
        promoted = _round(story)
        _after(story)
        parts = [_table(story), *(_unharmed(story, *known) for known in KNOWN_BEFORE)]
        result = "\n\n".join((*parts, _costs(story, started)))
        say(result)
    report.write_text(result + "\n", encoding="utf-8")
    return 0 if promoted else 1


def _start_over(data: Path) -> None:
    """Make the directory, or empty one that an earlier demo made."""
    if data.is_dir() and any(data.iterdir()) and not (data / MARKER).exists():
        raise Refused(
            f"{data} holds data that the demo did not make; name another directory with --data."
        )
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    (data / MARKER).touch()
    with own(open_datadir(data)):
        for item in data.iterdir():
            if item.name in KEPT:
                continue
            shutil.rmtree(item) if item.is_dir() else item.unlink()


# ---- the chapters


def _company(story: Story) -> None:
    _chapter("The company", "Tern & Tiller makes sailing gear. Its assistant starts from nothing.")
    with story.timed("base model fetched and opened"):
        base, engine = story.app.base, story.app.engine.name
        story.printer.leave_bar()
    say(f"Base model {base.name} ({base.folder.name}), answering with {engine}.")
    with story.timed("documents"):
        story.app.embedder  # noqa: B018  opened here so that the time is booked here
        build_database(story.database)
        _make_workspace(story)
        taken = story.run("ingest", workspace=WORKSPACE, paths=[str(SAMPLE / "documents")])
    passages = sum(event.get("chunks", 0) for event in taken)
    say(f"Took in {len(taken)} documents ({passages} passages).")
    for question in _rows("documents_questions.jsonl")[:2]:
        _show(story, question["question"])


def _make_workspace(story: Story) -> None:
    checks = [
        {"type": "sql", "database": str(story.database)},
        {"type": "json"},
        {"type": "regex", "match": "Ahoy!", "pattern": TONE},
    ]
    values = [f"{key}={value}" for key, value in WORKSPACE_SETTINGS.items()]
    values.append("checks=" + json.dumps(checks))
    instructions = f"@{SAMPLE / 'instructions.txt'}"
    story.run("workspaces create", name=WORKSPACE, access="public", instructions=instructions)
    story.run("workspaces set", name=WORKSPACE, values=values)


def _before(story: Story) -> None:
    _chapter("Before", "A question for the company's database, which no general model knows.")
    _show(story, FOUNDING, sql=True)


def _corrections(story: Story) -> None:
    _chapter("Corrections", "The crew corrected answers; a second person approved them.")
    file = str(SAMPLE / "corrections.jsonl")
    with story.timed("corrections"):
        taken = story.run("feedback import", workspace=WORKSPACE, file=file, approve=True)[-1]
    needs = len({row["group"] for row in _rows("corrections.jsonl")})
    say(f"{taken['approved']} corrections of {needs} needs are approved. They are right at once:")
    _show(story, FOUNDING, sql=True)
    say("\nBut the same wish in words that nobody corrected is as wrong as before:")
    _show(story, _new_wording(), sql=True)


def _round(story: Story) -> bool:
    _chapter("A round", "The corrections are taught to the model, which is then judged by cases")
    say("it never saw. Training takes some minutes.")
    with story.timed("round"):
        result = story.run("tune", workspace=WORKSPACE, dials=[f"max_minutes={MINUTES}"])[-1]
    if "error" in result:
        raise RoundFailed(f"Round {result['round']} ended early: {result['error']}")
    say(f"The gate says: {result['verdict']}.")
    for reason in result["reasons"]:
        say(f"  - {reason}")
    story.round_peak = result.get("peak_rss_bytes") or 0
    return bool(result["verdict"] == "promote")


def _after(story: Story) -> None:
    _chapter("After", "The same process, not restarted: the next reply is by what serves now.")
    say("Overrides and examples are switched off, so nothing is looked up.")
    _show(story, FOUNDING, sql=True, **ALONE)
    _show(story, _new_wording(), sql=True, **ALONE)
    say("\nAnd a question that a page answers:")
    _show(story, _rows("documents_questions.jsonl")[0]["question"], **ALONE)


def _table(story: Story) -> str:
    _chapter("Held-out wordings", "None shares five words in a row with a taught one.")
    cases = _rows("heldout.jsonl")
    with story.timed("answers to the held-out wordings, three ways"):
        answers = [
            _answers(story, "heldout.jsonl", adapter="base", **ALONE),
            _answers(story, "heldout.jsonl", **ALONE),
            _answers(story, "heldout.jsonl"),
        ]
    judged = judge_all(cases, answers, story.database)
    return (
        "Right answers on held-out wordings, by running the SQL and parsing the JSON\n\n"
        + by_need(judged, WAYS)
    )


def _unharmed(story: Story, kind: str, name: str) -> str:
    """How many questions of a file were right before the round, and still are."""
    say(f"Asking the {kind} of before and after ...")
    cases = _rows(name)
    with story.timed(f"answers to the {kind}, two ways"):
        answers = [
            _answers(story, name, adapter="base", **ALONE),
            _answers(story, name, **ALONE),
        ]
    judged = judge_all(cases, answers, story.database)
    still, before = kept(judged)
    lost = [item.question for item in judged if item.right[0] and not item.right[1]]
    lines = [
        f"{kind.capitalize()}: {right(judged, 0)} of {len(cases)} right before, "
        f"{right(judged, 1)} after; of those right before, {still} of {before} stayed right "
        f"({still / max(before, 1):.0%})."
    ]
    return "\n".join(lines + [f"  no longer right: {question}" for question in lost])


def _costs(story: Story, started: float) -> str:
    lines = [f"  {part:<48} {seconds:7.0f} s" for part, seconds in story.seconds.items()]
    lines.append(f"  {'all of it':<48} {time.perf_counter() - started:7.0f} s")
    own_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    lines.append(f"  {'peak memory of this process':<48} {own_peak:7.0f} MB")
    lines.append(f"  {'peak memory of the round':<48} {story.round_peak / 1e6:7.0f} MB")
    return "\n".join(["Time and memory", *lines])


# ---- small things


def _chapter(title: str, first: str) -> None:
    say(f"\n== {title} ==\n{first}")


def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLE / name).read_text(encoding="utf-8").splitlines()]


def _new_wording() -> str:
    """The first held-out wording of the founding need."""
    taught = _rows("corrections.jsonl")
    need = next(row["group"] for row in taught if row["question"] == FOUNDING)
    return str(next(row["question"] for row in _rows("heldout.jsonl") if row["group"] == need))


def _answers(story: Story, name: str, **options: Any) -> list[str]:
    """The answers to the questions of a file, in its order."""
    asked = {"workspace": WORKSPACE, "file": str(SAMPLE / name), "max_tokens": ANSWER_TOKENS}
    return [event.get("answer", "") for event in story.run("ask", **asked, **options)]


def _show(story: Story, question: str, *, sql: bool = False, **options: Any) -> None:
    """Ask one question and print the answer with what stands under it."""
    asked = {"workspace": WORKSPACE, "question": question, "max_tokens": ANSWER_TOKENS}
    answer = story.run("ask", **asked, **options)[-1]
    say(f"\n> {question}\n{textwrap.indent(answer['answer'], '  ')}")
    for number, source in enumerate(answer["sources"], start=1):
        say(f"  [{number}] {source['document']}")
    say(f"  ({_who(answer)}{_outcome(story.database, answer['answer']) if sql else ''})")


def _who(answer: Event) -> str:
    if answer["override"] is not None:
        return "an approved correction"
    adapter = answer["adapter"]
    return "the base model" if adapter is None else f"adapter {adapter}"


def _outcome(database: Path, query: str) -> str:
    """What the company's database says to the answer."""
    if not query.lower().startswith("select"):
        return "; this is no query"
    connection = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
    try:
        rows = connection.execute(query).fetchmany(1000)
    except (sqlite3.Error, sqlite3.Warning) as error:
        return f"; the database says: {error}"
    finally:
        connection.close()
    return f"; the database gives {len(rows)} rows"
