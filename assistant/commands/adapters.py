"""`apprentice adapters` (list, show, compare, promote, rollback, ...) and `apprentice lineage`."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from sqlite_utils import Database

from assistant.adapter_deletion import delete_with_files
from assistant.app import App
from assistant.commands.who import actor
from assistant.verbs import Event, Events
from storage import adapters
from storage.conversations import message
from storage.erasure import erased_examples
from storage.errors import BadInput, NotFound
from storage.feedback import feedback
from storage.records import Feedback, RoundDocument, RoundExample
from storage.round_documents import round_documents
from storage.rounds import refuse_second, tuning_round
from storage.seen import approved_by
from storage.side_by_side import side_by_side
from storage.stale import stale_feedback
from storage.workspaces import workspace as workspace_named
from storage.workspaces import workspace_by_id


def list_all(app: App, *, workspace: str) -> Iterator[Event]:
    """The adapters of a workspace, newest first."""
    with closing(app.db()) as db:
        for item in adapters.list_adapters(db, workspace_named(db, workspace).id):
            yield asdict(item)


def show(app: App, *, id: int) -> Iterator[Event]:
    """One adapter with its workspace, metrics, folder and release notes."""
    from tuning.adapter_files import read_notes

    with closing(app.db()) as db:
        known = adapters.adapter(db, id)
        name = workspace_by_id(db, known.workspace_id).name
        folder = app.adapter_folder(id)
        taught = {
            row.feedback_id
            for row in adapters.lineage(db, id)
            if row.split == "train" and row.feedback_id is not None
        }
        stale = taught.intersection(stale_feedback(db, known.workspace_id))
        yield {
            **asdict(known),
            "workspace": name,
            "folder": str(folder),
            "stale": f"{len(stale)} of {len(taught)} corrections",
            "notes": read_notes(folder),
        }


def compare(app: App, *, left: str, right: str) -> Iterator[Event]:
    """What two said to the questions that judged both; `base` is the base model."""
    both = [None if one == "base" else _number(one) for one in (left, right)]
    with closing(app.db()) as db:
        yield from map(asdict, side_by_side(db, *both))


def _number(text: str) -> int:
    if not text.isdecimal():
        raise BadInput(f"{text!r} is no adapter: give a number, or base.")
    return int(text)


def promote(app: App, *, id: int, reason: str | None = None) -> Iterator[Event]:
    """Let an adapter serve; its files are verified first. A running server swaps by itself.

    Refused for one of another base model, and against the gate's verdict unless `reason` says why.
    """
    from assistant.promotion import let_serve

    with closing(app.db()) as db:
        known = let_serve(app, db, id, actor=actor(), reason=reason)
        yield {"adapter": known.id, "status": known.status}


def sign(app: App, *, ids: list[int]) -> Iterator[Event]:
    """Trust adapters as they are on this disk: verified, signed by this machine's key, audited.

    For a new machine or a lost key, and after looking at one whose answers were not as proved.
    """
    from assistant.signing import sign_anew

    with closing(app.db()) as db:
        for known in [adapters.adapter(db, id) for id in ids]:
            sign_anew(app.settings, db, known, app.adapter_folder(known.id), actor())
            app.forget_adapter(known.id)
            yield {"adapter": known.id, "status": known.status, "signed": True}


def rollback(app: App, *, workspace: str) -> Iterator[Event]:
    """Let what served before serve again: an adapter, or the base model."""
    with closing(app.db()) as db:
        now = adapters.rollback(db, workspace_named(db, workspace).id, actor=actor())
        yield {"workspace": workspace, "serving": now.id if now else "base"}


def delete(app: App, *, id: int) -> Iterator[Event]:
    """Delete an adapter's files; its row stays for the lineage of those made from it."""
    with closing(app.db()) as db:
        delete_with_files(app, db, id, actor=actor())
    yield {"adapter": id, "deleted": True}


def export(
    app: App,
    *,
    id: int,
    to: str,
    format: str = "peft",
    quantization: str = "f16",
    least: float | None = None,
    anyway: str | None = None,
) -> Events:
    """Write an adapter to a new folder: as PEFT's own files, as one merged model, or as GGUF.

    What was written is asked the gate's questions; the exit code is 1 when it answers unlike the
    adapter in more of them than `least` allows, and nothing is left then, but for a reason in
    `anyway`. An adapter's own files are asked only where another engine than PEFT's serves them.
    """
    from assistant.commands.working import working
    from assistant.exports import export_adapter
    from assistant.parity import LEAST_SAME_VERDICTS

    made = yield from working(
        lambda say: export_adapter(
            app,
            id,
            Path(to),
            format=format,
            quantization=quantization,
            least=LEAST_SAME_VERDICTS if least is None else least,
            anyway=anyway,
            actor=actor(),
            say=say,
        )
    )
    event: Event = {"adapter": id, "format": format, "folder": made.folder, "said": made.said}
    yield event | ({"parity": made.parity.to_json()} if made.parity else {})
    return 0 if made.folder else 1


def import_folder(app: App, *, workspace: str, folder: str) -> Events:
    """Take an adapter in from a folder; the gate judges it where there is something to judge by.

    It is a candidate in any case: it serves when a person promotes it, with a reason unless the
    gate said promote.
    """
    from assistant.adapter_import import import_adapter
    from assistant.commands.working import working
    from assistant.import_judging import NOTHING, judge_import

    with closing(app.db()) as db:
        refuse_second(db, workspace_named(db, workspace).id)
    yield {"progress": None, "note": "checking the adapter"}
    made = import_adapter(app, Path(folder), workspace=workspace, actor=actor())
    judged = yield from working(lambda say: judge_import(app, made, actor=actor(), say=say))
    with closing(app.db()) as db:
        made = adapters.adapter(db, made.id)
    yield {
        "adapter": made.id,
        "status": made.status,
        "method": made.method,
        "round": judged.id if judged else None,
        "verdict": judged.verdict if judged else "not enough evidence",
        "reasons": list(judged.reasons) if judged else [NOTHING],
    }
    return 0


def push(app: App, *, id: int, repo: str, public: bool = False) -> Iterator[Event]:
    """Upload an adapter to the Hub, into a private repository unless `public`."""
    from assistant.push import push_adapter

    yield {"progress": None, "note": f"pushing to {repo}"}
    place = push_adapter(app, id, repo, public=public, actor=actor())
    yield {"adapter": id, "place": place, "public": public}


def lineage(app: App, *, id: int) -> Iterator[Event]:
    """Every row that an adapter was taught, with the documents its prompt showed.

    Its own round first, then those of the adapters that it was made from; last the documents that
    the rounds' general questions were about, and the database that new queries have values of: the
    one of the workspace's check. Of an erased row the id and the hash are left.
    """
    with closing(app.db()) as db:
        adapters.known_adapter(db, id)
        erased = erased_examples(db)
        found = adapters.lineage(db, id)
        for example in found:
            if example.kind != "sentinel":
                yield _taught(db, example, erased.get((example.round_id, example.pair_hash)))
        family = adapters.rounds_of(db, id)
        for item in round_documents(db, family):
            yield _read(item)
        yield from _new_queries(db, family)


def _taught(db: Database, example: RoundExample, erased: int | None) -> Event:
    item = _feedback_or_none(db, example.feedback_id)
    inputs = message(db, item.message_id).inputs if item else None
    documents = sorted({passage.document for passage in inputs.passages}) if inputs else []
    return {
        "round": example.round_id,
        "kind": example.kind,
        "split": example.split,
        "feedback": example.feedback_id or erased,
        "erased": erased is not None,
        "group": example.group,
        "question": item.question if item else None,
        "taught": (item.approved_correction or item.answer) if item else None,
        "rating": item.rating if item else None,
        "contributor": item.contributor if item else None,
        "reviewer": item.reviewer if item else None,
        "first_reviewer": item.first_reviewer if item else None,
        "approved_by": approved_by(db, item) if item else [],
        "documents": documents,
        "pair_hash": example.pair_hash,
    }


def _read(item: RoundDocument) -> Event:
    """A document that general questions of the round were about, in the shape of a taught row."""
    empty = dict.fromkeys(("feedback", "question", "taught", "rating", "contributor", "reviewer"))
    return {
        **empty,
        "first_reviewer": None,
        "approved_by": [],
        "round": item.round_id,
        "kind": "replay",
        "split": "train",
        "erased": False,
        "group": "",
        "documents": [item.name],
        "removed": item.document_id is None,
        "rows": item.rows,
        "pair_hash": "",
    }


def _new_queries(db: Database, family: Sequence[int]) -> Iterator[Event]:
    """The new queries that a round made itself, in the shape of a taught row."""
    from assistant.written import recombining

    for known in (tuning_round(db, id) for id in family):
        count = known.scores.get("pairs", {}).get("recombined", 0)
        if count:
            check = recombining(workspace_by_id(db, known.workspace_id).settings.checks) or {}
            name = Path(str(check.get("database", "a database no longer named"))).name
            yield {
                **_read(RoundDocument(known.id, name, None, count)),
                "kind": "recombined",
                "removed": not check,
            }


def _feedback_or_none(db: Database, feedback_id: int | None) -> Feedback | None:
    if feedback_id is None:
        return None
    try:
        return feedback(db, feedback_id)
    except NotFound:
        return None
