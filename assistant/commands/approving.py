"""The approval of what was just imported: what fails its own check waits for a person."""

from collections.abc import Generator, Iterator, Sequence

from sqlite_utils import Database

from assistant.app import App
from assistant.commands.who import actor
from assistant.review import Review, Reviews
from assistant.verbs import Event
from storage.database import write_transaction
from storage.records import Feedback, Workspace

MOST_WARNINGS = 20
"""About approved rows; a file of thousands would say nothing else."""


def approve_passing(
    app: App,
    db: Database,
    found: Workspace,
    waiting: Sequence[Feedback],
    *,
    reviewer: str | None = None,
) -> Generator[Event, None, list[Feedback]]:
    """Approve what passes its own check, name what does not; returns what was approved.

    `reviewer` is who said so (None: whoever sits at the terminal). Apart from the import itself: a
    check may take seconds, and nobody else writes meanwhile.
    """
    if not waiting:
        return []
    reviews, passing = Reviews(app, db, found), []
    for number, item in enumerate(waiting):
        review = reviews.look(item)
        if review.fault:
            text = f"feedback {item.id} ({item.question[:60]!r}) stays new: it fails its check"
            yield {"warning": f"{text}: {review.fault}."}
        else:
            passing.append(item)
        yield {"progress": number / len(waiting), "note": f"looking at {number + 1}"}
    with write_transaction(db):
        done = [reviews.approve(item, reviewer=reviewer or actor()) for item in passing]
    reviews.close()
    yield from _told(done)
    return [item for item, _ in done]


def _told(done: Sequence[tuple[Feedback, Review]]) -> Iterator[Event]:
    """The first warnings in full, the rest as a number."""
    warnings = [f"feedback {item.id}: {text}" for item, review in done for text in review.warnings]
    yield from ({"warning": text} for text in warnings[:MOST_WARNINGS])
    if len(warnings) > MOST_WARNINGS:
        yield {"warning": f"and {len(warnings) - MOST_WARNINGS} more: `apprentice feedback list`."}
