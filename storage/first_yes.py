"""The rule of two reviewers: a yes counts once somebody else says yes to the very same text.

Nobody's own correction is reviewed by themselves. One row holds the first yes of what waits, or of
what is approved the other reviewer's name. A first yes to another text, or of somebody who may
review no more, does not count: the next one is the first then.
"""

from sqlite_utils import Database

from storage.audit import audit
from storage.database import NEXT, one, write, write_transaction
from storage.errors import Refused
from storage.records import Feedback
from storage.text import clean
from storage.workspaces import workspace_by_id


def settles(db: Database, known: Feedback, *, reviewer: str, text: str) -> bool:
    """Note a yes to `text` ('' for a thumb); whether the feedback is approved by it.

    Without the rule every yes is enough. With it, Refused for the contributor's own. Approved
    feedback whose text stays as it is stays approved, one that was approved before there was the
    rule too. Belongs inside the transaction that acts on the answer.
    """
    rule = two_reviewers(db, known.workspace_id)
    if rule and is_own(db, known, reviewer):
        raise Refused(
            f"Feedback {known.id} is a correction of your own: in this workspace two other "
            "reviewers have to say yes."
        )
    live = known.status == "approved" and (known.approved_correction or "") == text
    others = _others(db, known, reviewer, text, live=live)
    if rule and not others and not live:
        _put(db, known, reviewer, text)
        return False
    if others:
        _put(db, known, others[0], text)
        write(db, "update first_yeses set waits = 0 where feedback_id = ?", known.id)
    else:
        forget(db, known.id)
    return True


def two_reviewers(db: Database, workspace_id: int) -> bool:
    """Whether a correction of this workspace needs two."""
    return workspace_by_id(db, workspace_id).settings.two_reviewers


def is_own(db: Database, known: Feedback, reviewer: str) -> bool:
    """Whether the reviewer is who gave it."""
    if known.contributor == "cli":  # said at the terminal, by whoever sat there
        return reviewer.startswith("cli:")
    return same_person(db, known.contributor, reviewer)


def same_person(db: Database, one: str, other: str) -> bool:
    """Whether two owners are one: an account at the terminal with a user's name is that user."""
    return _person(db, one) == _person(db, other)


def names_of(db: Database, owner: str) -> list[str]:
    """Every name that this person has in the tables."""
    person = _person(db, owner)
    kind, _, number = person.partition(":")
    row = one(db, "select name from users where id = ?", number) if kind == "user" else None
    other = f"cli:{row['name']}" if row else person
    return list(dict.fromkeys((owner, person, other)))


def retract(db: Database, feedback_id: int, *, reviewer: str) -> None:
    """Take one's own first yes back; Refused where there is none of one's own, or a second."""
    with write_transaction(db):
        row = one(
            db,
            """select y.reviewer, f.status from first_yeses y
            join feedback f on f.id = y.feedback_id where f.id = ?""",
            feedback_id,
        )
        if row is not None and row["status"] == "approved":
            raise Refused(f"Feedback {feedback_id} has a second yes already: reject it instead.")
        if row is None or not same_person(db, row["reviewer"], reviewer):
            raise Refused(f"There is no first yes of yours on feedback {feedback_id}.")
        forget(db, feedback_id)
        audit(db, reviewer, "feedback yes taken back", f"feedback:{feedback_id}")


def forget(db: Database, feedback_id: int) -> None:
    """No first yes is on record any more: it was said to something that is no more."""
    write(db, "delete from first_yeses where feedback_id = ?", feedback_id)


def _others(db: Database, known: Feedback, reviewer: str, text: str, *, live: bool) -> list[str]:
    """Who else said yes to this very text and may be counted."""
    first = known.first_reviewer if known.first_text == text else None
    if first is not None and not (live or _may_review(db, first)):
        first = None
    said = [first, known.reviewer if live else None]
    return [
        other
        for other in said
        if other and not same_person(db, other, reviewer) and not is_own(db, known, other)
    ]


def _put(db: Database, known: Feedback, reviewer: str, text: str) -> None:
    if (known.first_reviewer, known.first_text) == (reviewer, text):
        return
    write(
        db,
        f"""insert into first_yeses (feedback_id, reviewer, text, said_at, waits)
        values (?, ?, ?, {NEXT}, 1)
        on conflict do update set reviewer = excluded.reviewer, text = excluded.text,
        said_at = excluded.said_at, waits = 1""",
        *(known.id, clean(reviewer), text),
    )


def _may_review(db: Database, owner: str) -> bool:
    """A user who still has the role; whoever else said it is known by name alone."""
    kind, _, number = owner.partition(":")
    if kind != "user":
        return True
    sql = "select 1 from users where id = ? and role in ('admin', 'reviewer')"
    return one(db, sql, number) is not None


def _person(db: Database, owner: str) -> str:
    kind, _, name = owner.partition(":")
    row = one(db, "select id from users where name = ?", name) if kind == "cli" else None
    return f"user:{row['id']}" if row else owner
