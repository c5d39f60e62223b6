"""What a reviewer is told before a correction is approved, and the approval itself."""

from dataclasses import dataclass

from sqlite_utils import Database

from assistant.app import App
from assistant.declared_checks import declared_checks
from storage import feedback as judgements
from storage.errors import BadInput
from storage.records import Feedback, Workspace
from storage.workspaces import workspace_by_id


@dataclass(frozen=True)
class Review:
    """What is known about a correction before it is approved."""

    check: str
    """The type of the check that judges it."""
    fault: str | None
    """Why it fails that check, in words; None when it does not, or there is no correction."""


def look(app: App, db: Database, item: Feedback, correction: str | None = None) -> Review:
    """Look at feedback as it would be approved; `correction` is a reviewer's wording."""
    text = correction or item.approved_correction or item.correction
    kind, fault = own_check(app, workspace_by_id(db, item.workspace_id), text)
    return Review(kind, fault)


def own_check(app: App, workspace: Workspace, text: str | None) -> tuple[str, str | None]:
    """The type of the check that judges this text in the workspace, and why the text fails it.

    A check that cannot be used, its database gone, is passed by nothing.
    """
    from tuning.checks import check_for, fault

    if text is None:
        return "exact", None
    try:
        check = check_for(text, declared_checks(app, workspace))
        return str(check["type"]), fault(check, text)
    except BadInput as error:
        return "own", f"it cannot be checked: {str(error).rstrip('.')}"


def approve(
    app: App,
    db: Database,
    item: Feedback,
    *,
    reviewer: str,
    correction: str | None = None,
    group: str | None = None,
    despite_check: str | None = None,
) -> Feedback:
    """Look, then approve.

    Refused when it fails its own check, unless `despite_check` says why it may be taught.
    """
    return approve_reviewed(
        db,
        item,
        look(app, db, item, correction),
        reviewer=reviewer,
        correction=correction,
        group=group,
        despite_check=despite_check,
    )


def approve_reviewed(
    db: Database,
    item: Feedback,
    review: Review,
    *,
    reviewer: str,
    correction: str | None = None,
    group: str | None = None,
    despite_check: str | None = None,
) -> Feedback:
    """Approve what was looked at (with the same `correction`) outside of the transaction."""
    return judgements.approve(
        db,
        item.id,
        reviewer=reviewer,
        correction=correction,
        group=group,
        fault=review.fault,
        despite_check=despite_check,
    )
