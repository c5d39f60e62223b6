"""`apprentice feedback list|show|approve|retract|sites|set|stale|keep|reject|export`."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from sqlite_utils import Database

from assistant.admin.word_diff import plain_changes
from assistant.app import App
from assistant.commands.folders import write_new
from assistant.commands.site_exchange import queue_rows, verdict_rows
from assistant.commands.who import actor
from assistant.feedback_reasons import named_reason
from assistant.masks import Masks, in_words
from assistant.prompt import build_messages
from assistant.review import Review, Reviews
from assistant.suspicion import flags
from assistant.verbs import Event
from storage import feedback, pairs
from storage.conversations import message
from storage.copies import record_copy
from storage.database import write_transaction
from storage.errors import BadInput, NotFound
from storage.feedback_search import search_feedback, words_of
from storage.first_yes import names_of, retract
from storage.queue_filter import Sought, count_sought
from storage.records import Feedback, FeedbackStatus, Inputs, Pair, Workspace
from storage.review_reasons import set_review_reasons
from storage.seen import approved_by, mark_of
from storage.sites import known_site, sites
from storage.stale import keep as keep_stale
from storage.stale import stale_passages
from storage.workspaces import workspace as workspace_named

EXCHANGED = {"queue": queue_rows, "verdicts": verdict_rows}


def list_some(
    app: App,
    *,
    workspace: str,
    status: str | None,
    limit: int,
    reason: str | None = None,
    search: str | None = None,
    flagged: bool = False,
    half: bool = False,
    mine: bool = False,
    site: str | None = None,
) -> Iterator[Event]:
    """The newest feedback, newest first; with a `reason`, what it was given for by anybody.

    With words in `search`, what has them all in question, answers or comment, however old it is.
    `half` lists what waits for a second reviewer, `mine` what waits and whoever sits at the
    terminal neither gave nor said yes to, `site` what came from there (see `feedback sites`).
    `flags` says what is odd about what came from outside; `flagged` lists only such. BadInput for
    `flagged` together with another filter.
    """
    why = named_reason(reason) if reason else None
    narrowed = [status, why, site, half, mine, search is not None]
    if flagged and any(narrowed):
        raise BadInput("--flagged lists all that is odd and waits: leave the other filters out.")
    wanted: dict[str, Any] = {"status": status, "limit": limit, "reason": why, "half": half}
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        wanted["site"] = known_site(db, found.id, site) if site else None
        wanted["waits_for"] = names_of(db, actor()) if mine else ()
        odd = flags(db, found)
        if flagged:
            picked = [feedback.feedback(db, id) for id in list(odd)[:limit]]
        elif search is None:
            picked = feedback.list_feedback(db, found.id, **wanted)
        else:
            picked = search_feedback(db, found.id, _words(search), look=None, **wanted).items
        for item in picked:
            yield {**asdict(item), "flags": list(odd.get(item.id, ()))}


def _words(search: str) -> str:
    if not words_of(search):
        raise BadInput("--search looks for words: give at least one.")
    return search


def set_reasons(
    app: App, *, workspace: str, ids: list[int], reasons: list[str], none: bool = False
) -> Iterator[Event]:
    """Say why replies were wrong, all or none of `ids`; `none` takes a reviewer's reasons away."""
    if bool(reasons) == none:
        raise BadInput("Say why with --reason REASON, or take the reasons away with --none.")
    texts = [named_reason(one) for one in reasons]
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        with write_transaction(db):
            items = _here(db, found, ids)
            done = [set_review_reasons(db, one.id, texts, reviewer=actor()) for one in items]
        for item in done:
            yield {"feedback": item.id, "review_reasons": list(item.review_reasons)}


def approve(
    app: App,
    *,
    workspace: str,
    ids: list[int],
    correction: str | None = None,
    group: str | None = None,
    despite_check: str | None = None,
    question: str | None = None,
    seen: str | None = None,
) -> Iterator[Event]:
    """Approve corrections and thumbs, all or none; `answers` says whether it is served at once.

    Where two reviewers are wanted the first yes leaves it `new`, with its `first_reviewer`. `seen`
    is the `mark` of `feedback show`: Refused where somebody else decided since.

    `question` words a drafted request anew. Refused for one that fails its own check, unless
    `despite_check` gives a reason.
    """
    for option, text in (("correction", correction), ("question", question), ("seen", seen)):
        if text is not None and len(ids) != 1:
            raise BadInput(f"--{option} is about one correction, but {len(ids)} are named.")
    said = {"correction": correction, "group": group, "despite_check": despite_check}
    said |= {"question": question, "seen": seen}
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        items = _here(db, found, ids)
        reviews = Reviews(app, db, found)
        for item in items:
            reviews.look(
                item, correction, question
            )  # a check takes seconds: not while others cannot write
        with write_transaction(db):
            alone = len(items) == 1
            done = [reviews.approve(item, reviewer=actor(), alone=alone, **said) for item in items]
        reviews.close()
    for item, review in done:
        yield from ({"warning": f"feedback {item.id}: {text}"} for text in review.warnings)
        yield {
            "feedback": item.id,
            "status": item.status,
            "first_reviewer": item.first_reviewer,
            "group": item.group,
            "answers": item.approved_correction is not None,
            "same_as": item.same_as,
            "contradicts": [one.feedback_id for one in review.otherwise],
            "pages": [asdict(page) for page in review.pages],
        }


def show(app: App, *, workspace: str, id: int) -> Iterator[Event]:
    """One piece of feedback, with all that a reviewer is told before approving it."""
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        (item,) = _here(db, found, [id])
        review = Reviews(app, db, found).look(item)
        yield {
            **asdict(item),
            "approved_by": approved_by(db, item),
            "mark": mark_of(item),
            "flags": list(flags(db, found).get(item.id, ())),
            "masked": _masked(db, found, item, review),
            "same_as": item.same_as or review.same_as,
            "suggested_group": review.group,
            "check": review.check,
            "fault": review.fault,
            "never": review.never,
            "contradicts": [asdict(one) for one in review.otherwise],
            "pages": [asdict(page) for page in review.pages],
        }


def _masked(db: Database, found: Workspace, item: Feedback, review: Review) -> list[Event]:
    """What a round would learn a placeholder for."""
    if review.never:
        return []
    hidden = Masks(db, found).hidden(item, message(db, item.message_id).inputs)
    return [{"kind": one.kind, "text": one.text} for one in hidden]


def stale(app: App, *, workspace: str) -> Iterator[Event]:
    """Approved corrections made from passages that have changed, with the difference.

    They answer and train as before until a person keeps, edits (approves again) or rejects them.
    """
    with closing(app.db()) as db:
        found = stale_passages(db, workspace_named(db, workspace).id)
        if not found:
            yield {"warning": "no correction was made from passages that have changed."}
        for passage in found:
            item = feedback.feedback(db, passage.feedback_id)
            yield {
                "feedback": item.id,
                "question": item.question,
                "correction": item.approved_correction,
                "document": passage.document,
                "removed": passage.removed,
                "was": passage.was,
                "now": passage.now,
                "diff": plain_changes(passage.was, passage.now),
            }


def keep(app: App, *, workspace: str, ids: list[int]) -> Iterator[Event]:
    """Stale corrections that are right all the same, all or none; another change asks again."""
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        with write_transaction(db):
            kept = [
                (item, keep_stale(db, item.id, actor=actor())) for item in _here(db, found, ids)
            ]
        for item, passages in kept:
            yield {"feedback": item.id, "kept": True, "passages": len(passages)}


def reject(app: App, *, workspace: str, ids: list[int], seen: str | None = None) -> Iterator[Event]:
    """Reject feedback, all or none; `seen` as in `approve`."""
    if seen is not None and len(ids) != 1:
        raise BadInput(f"--seen is about one correction, but {len(ids)} are named.")
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        with write_transaction(db):
            _here(db, found, ids)
            done = [feedback.reject(db, id, reviewer=actor(), seen=seen) for id in ids]
        for item in done:
            yield {"feedback": item.id, "status": item.status}


def retract_yes(app: App, *, workspace: str, ids: list[int]) -> Iterator[Event]:
    """Take back one's own first yes, before there is a second; all or none."""
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        with write_transaction(db):
            for item in _here(db, found, ids):
                retract(db, item.id, reviewer=actor())
        for id in ids:
            yield {"feedback": id, "taken_back": True}


def list_sites(app: App, *, workspace: str) -> Iterator[Event]:
    """From which keys and other installations feedback came, and how much of each status."""
    with closing(app.db()) as db:
        for one in sites(db, workspace_named(db, workspace).id):
            counts = {status: one.counts.get(status, 0) for status in get_args(FeedbackStatus)}
            yield {"site": one.site, "name": one.name, **counts}


def export(
    app: App, *, workspace: str, format: str, to: str | None, site: str | None = None
) -> Iterator[Event]:
    """Approved training rows in a TRL format: to a new file, or as results.

    Or what waits here (`queue`), for the installation that reviews it, where it is known by the
    name `site`; or there what was decided on rows of `site` (`verdicts`), to be taken back.
    Secrets and personal data are masked as in a round, unless the workspace's `mask` is off.
    """
    if (site is None) is (format in EXCHANGED):
        raise BadInput("--site NAME belongs to --format queue and --format verdicts, and to both.")
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        events = EXCHANGED[format](db, found, site) if site else _rows(db, found, format)
        yield from ({"warning": text} for text in ([] if site else _left_out(db, found, format)))
        if to is None:
            yield from events
            return
        # on record before it is there: an erasure must be able to name it
        record_copy(db, kind="export", place=to, format=format, actor=actor())
        told: list[Event] = []
        count = write_new(Path(to), _lines(events, told))
        yield from told
        yield {"file": to, "format": format, "rows": count}


def _lines(events: Iterator[Event], told: list[Event]) -> Iterator[str]:
    """The rows as JSON lines; warnings go to `told`."""
    for one in events:
        if "warning" in one:
            told.append(one)
        else:
            yield json.dumps(one, ensure_ascii=False) + "\n"


def _left_out(db: Database, workspace: Workspace, format: str) -> Iterator[str]:
    """What somebody may miss in this format, in words."""
    masks, workspace_id = Masks(db, workspace), workspace.id
    yield from in_words(masks.pair(one).kinds for one in pairs.each_pair(db, workspace_id))
    one_sided = sum(pair.rejected is None for pair in pairs.each_pair(db, workspace_id))
    if format == "preference" and one_sided:
        text = f"{one_sided} corrections without a wrong answer have no rejected side"
        yield f"{text}: they are in the prompt-completion format."
    half = count_sought(db, workspace_id, Sought(half=True))
    if half:
        yield f"{half} with a first yes wait for a second reviewer and are left out."
    waiting = pairs.thumbs_to_review(db, workspace_id)
    if format == "unpaired" and waiting:
        yield f"{waiting} thumbs wait for a reviewer and are left out: approve them first."


def _rows(db: Database, workspace: Workspace, format: str) -> Iterator[Event]:
    masks = Masks(db, workspace)
    corrected = (masks.pair(one).pair for one in pairs.each_pair(db, workspace.id))
    liked = (masks.pair(one).pair for one in pairs.approved_preferences(db, workspace.id))
    if format == "preference":
        for pair in chain(corrected, liked):
            if pair.rejected is not None:
                prompt = build_messages(pair.inputs)
                both = {"chosen": _said(pair.chosen), "rejected": _said(pair.rejected)}
                yield {"prompt": prompt, **both}
    elif format == "prompt-completion":
        for pair in corrected:
            yield {"prompt": build_messages(pair.inputs), "completion": _said(pair.chosen)}
    else:
        for pair in corrected:
            yield from _unpaired(pair)
        for one in pairs.approved_thumbs(db, workspace.id):
            said = Pair(one.feedback_id, one.group, one.inputs, one.answer, None)
            shown = masks.pair(said).pair
            yield _labelled(shown.inputs, shown.chosen, one.up)


def _unpaired(pair: Pair) -> Iterator[Event]:
    yield _labelled(pair.inputs, pair.chosen, True)
    if pair.rejected is not None:
        yield _labelled(pair.inputs, pair.rejected, False)


def _labelled(inputs: Inputs, text: str, label: bool) -> Event:
    return {"prompt": build_messages(inputs), "completion": _said(text), "label": label}


def _said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _here(db: Database, found: Workspace, ids: list[int]) -> list[Feedback]:
    items = [feedback.feedback(db, id) for id in ids]
    for item in items:
        if item.workspace_id != found.id:
            raise NotFound(
                f"There is no feedback {item.id} in {found.name!r}: `feedback list` shows it."
            )
    return items
