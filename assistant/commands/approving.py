"""The approval of what was just imported: what fails its own check waits for a person."""

from collections.abc import Generator, Iterator, Sequence

from sqlite_utils import Database

from assistant.app import App
from assistant.commands.who import actor
from assistant.review import Review, Reviews
from assistant.verbs import Event
from storage.database import write_transaction
from storage.first_yes import is_own
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
    """Approve what passes its own check, name what does not; returns what is approved now.

    Where two reviewers are wanted that is what somebody else said yes to before.

    `reviewer` is who said so (None: whoever sits at the terminal). Apart from the import itself: a
    check may take seconds, and nobody else writes meanwhile.
    """
    if not waiting:
        return []
    by, two = reviewer or actor(), found.settings.two_reviewers
    reviews, passing = Reviews(app, db, found), []
    for number, item in enumerate(waiting):
        review = reviews.look(item)
        if two and is_own(db, item, by):
            yield {"warning": f"feedback {item.id} is your own: two others have to say yes."}
        elif review.fault:
            text = f"feedback {item.id} ({item.question[:60]!r}) stays new: it fails its check"
            yield {"warning": f"{text}: {review.fault}."}
        else:
            passing.append(item)
        yield {"progress": number / len(waiting), "note": f"looking at {number + 1}"}
    with write_transaction(db):
        done = [reviews.approve(item, reviewer=by) for item in passing]
    reviews.close()
    yield from _told(done)
    approved = [item for item, _ in done if item.status == "approved"]
    if len(done) > len(approved):
        first = f"{len(done) - len(approved)} got a first yes and wait for a second reviewer"
        yield {"warning": f"{first}: `apprentice feedback list --half`."}
    return approved


def _told(done: Sequence[tuple[Feedback, Review]]) -> Iterator[Event]:
    """The first warnings in full, the rest as a number."""
    warnings = [f"feedback {item.id}: {text}" for item, review in done for text in review.warnings]
    yield from ({"warning": text} for text in warnings[:MOST_WARNINGS])
    if len(warnings) > MOST_WARNINGS:
        yield {"warning": f"and {len(warnings) - MOST_WARNINGS} more: `apprentice feedback list`."}
