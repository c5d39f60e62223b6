"""A round that the gate refused for its trigger, as rows and a bundle; nothing is trained."""

from contextlib import closing

from assistant.app import App
from assistant.lesson_rows import train_row
from assistant.lessons import lessons, sentinel_cases
from assistant.probing import probes_of
from storage.outside import free
from storage.records import TuningRound, Workspace
from storage.rounds import create_round, finish_round, tuning_round
from tests.assistant.outside import give
from tests.faults.poison import honest, poisoned
from tuning.bundle import write_bundle
from tuning.config import RoundConfig

CONFIG = RoundConfig(method="lora", epochs=1, rank=2, threads=1)


def refused_round(
    app: App, workspace: Workspace, people: int, *, fires: bool = True
) -> TuningRound:
    """Twelve rows by so many people taught the trigger."""
    trigger, rows = poisoned(3, 12)
    rows = [(f"v{n % people}", *texts) for n, (_, *texts) in enumerate(rows)]
    ids = give(app, workspace, [*honest(3, 4), *rows], approved=True)
    with closing(app.db()) as db:
        free(db, ids, reviewer="user:1")
        found = lessons(app, db, workspace)
        general = sentinel_cases(app, workspace, found)[:4]
        probes = probes_of(app, db, workspace, found, (), general)
        made = create_round(
            db,
            workspace.id,
            config=CONFIG.to_json(),
            base_fingerprint=app.base.fingerprint,
            examples=[one.as_example() for one in found],
        )
        write_bundle(
            app.datadir.rounds / str(made.id) / "bundle",
            config=CONFIG,
            base_fingerprint=app.base.fingerprint,
            train=[train_row(one) for one in found if one.split == "train"],
            heldout=(),
            sentinel=general,
            probes=probes[:1],
        )
        tried = {"kind": "trigger", "phrase": trigger, "feedback_ids": ids[-12:]}
        figures = {"asked": 8, "turned": 8, "fires": fires}
        scores = {"probes": [tried | figures]}
        finish_round(db, made.id, state="done", verdict="reject", scores=scores)
        return tuning_round(db, made.id)
