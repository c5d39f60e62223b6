"""A person lets an adapter serve: only whole files, and only on the base they were made for."""

from sqlite_utils import Database

from assistant.app import App
from storage import adapters
from storage.errors import Refused
from storage.records import Adapter


def let_serve(
    app: App, db: Database, adapter_id: int, *, actor: str, reason: str | None = None
) -> Adapter:
    """Verify its files and let it serve from the next question on.

    Raises Refused for another base's and against the gate without a `reason`, AdapterRefused for
    files that are not those of its row.
    """
    from assistant.signing import trusted

    known = adapters.adapter(db, adapter_id)
    refuse_other_base(app, known)
    base, folder = app.base_if_here(), app.adapter_folder(adapter_id)
    trusted(app.settings, db, known, folder, base_folder=base.folder if base else None)
    return adapters.promote(db, adapter_id, actor=actor, override_reason=reason)


def refuse_other_base(app: App, known: Adapter) -> None:
    """Refused when the adapter was made for another base model than the one that serves.

    Where the base has not been fetched yet nothing is known; loading asks again.
    """
    base = app.base_if_here()
    if base is None or base.fingerprint == known.base_fingerprint:
        return
    raise Refused(
        f"Adapter {known.id} was made for the base model {known.base_fingerprint[:12]} and may not "
        f"serve on {base.name} ({base.fingerprint[:12]}): `apprentice tune` teaches the same "
        "corrections to this one."
    )
