"""`apprentice audit list|verify`."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict

from assistant.app import App
from assistant.verbs import Event, Events
from storage.audit import audit_chain, list_audit


def list_some(
    app: App,
    *,
    actor: str | None,
    action: str | None,
    subject: str | None,
    before: int | None,
    limit: int,
) -> Iterator[Event]:
    """Who did what, the newest first."""
    with closing(app.db()) as db:
        found = list_audit(db, limit, actor=actor, action=action, subject=subject, before=before)
    yield from map(asdict, found)


def verify(app: App, *, head: str | None) -> Events:
    """Whether all acts are as they were written; exit code 1 where they are not.

    With a head that was noted earlier also whether the acts up to it are those of then.
    """
    with closing(app.db()) as db:
        chain = audit_chain(db, head or "")
    yield {**asdict(chain), "kept": chain.kept, "said": chain.said}
    return 0 if chain.kept else 1
