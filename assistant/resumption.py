"""Rounds that were at work when their process died go on by themselves: once, and in their hours.

Nothing is remembered but rows. A round says in its config what became of it, so that one which
brings the server down is not resumed by it again and again.
"""

import logging
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlite_utils import Database

from assistant.app import App
from assistant.schedule import hours_of, undisturbing
from storage import rounds
from storage.errors import ApprenticeError, Refused
from storage.records import TuningRound, Workspace
from storage.round_times import killed_rounds
from storage.workspaces import workspace_by_id
from tuning.bundle import bundle_hash
from tuning.checkpoint import last_checkpoint

log = logging.getLogger(__name__)

KEPT = timedelta(hours=24)
"""Time in which a round goes on by itself: some hour of any day is one of the idle hours. One that
was found later was forgotten, and a new one by the schedule holds more."""
NOT_RESUMED = {
    "trained_elsewhere": "judged what was trained elsewhere: import that again with "
    "`apprentice rounds import`",
    "blames": "trained another one again to compare: start that anew with "
    "`apprentice rounds blame`, or “Find whose rows” under Rounds",
}
"""A key in a round's config -> why it does not go on."""
RESUMED = "Its process was killed; the round went on by itself."


def resume_killed(app: App, now: datetime | None = None) -> None:
    """Go on with the rounds that may; nothing that goes wrong here ends the pages."""
    now = now or datetime.now().astimezone()
    try:
        with closing(app.db()) as db:
            may = [
                item
                for item in _killed(app, db, now)
                if undisturbing(db, workspace_by_id(db, item.workspace_id), now)
            ]
        for item in may:
            _resume(app, item)
    except Exception:
        log.exception("no round could be resumed")


def refuse_unresumable(known: TuningRound) -> None:
    """Refused for a round that did not train for itself."""
    for key, said in NOT_RESUMED.items():
        if key in known.config:
            raise Refused(f"Round {known.id} {said}.")


def goes_on(app: App, db: Database, workspace: Workspace) -> str:
    """Which round of the workspace waits for its hours to go on, as a sentence; '' for none."""
    waits = [
        item.id
        for item in _killed(app, db, datetime.now().astimezone())
        if item.workspace_id == workspace.id
    ]
    if not waits:
        return ""
    return f"The process of round {waits[0]} was killed; it goes on by itself{hours_of(workspace)}."


def goes_on_from(out: Path, bundle: Path) -> str:
    """Where a resumed training would go on, in words."""
    if (out / "adapter").is_dir():
        return "from the end of its training"
    checkpoint = last_checkpoint(out, bundle_hash(bundle))
    return f"from step {checkpoint.step}" if checkpoint else "from its start"


def _killed(app: App, db: Database, now: datetime) -> list[TuningRound]:
    """Rounds that can go on and were not tried yet."""
    since = (now - KEPT).astimezone(UTC).isoformat(timespec="milliseconds")
    found = (rounds.tuning_round(db, id) for id in killed_rounds(db, since))
    return [item for item in found if (app.datadir.rounds / str(item.id) / "bundle").is_dir()]


def _resume(app: App, item: TuningRound) -> None:
    from assistant.rounds import resume_round

    with closing(app.db()) as db:
        rounds.note_resumption(db, item.id, RESUMED)  # first: it may bring this process down too
        try:
            _, where = resume_round(app, item.id, actor="server")
            log.warning("round %d, whose process was killed, goes on %s", item.id, where)
        except ApprenticeError as error:
            said = f"Its process was killed, and it did not go on by itself: {error}"
            rounds.note_resumption(db, item.id, said)
            log.warning("round %d: %s", item.id, said)
