"""`apprentice rebase`: the same corrections taught to another base model."""

from contextlib import closing

from assistant.app import App
from assistant.commands.who import actor
from assistant.verbs import Event, Events
from storage.records import TuningRound


def rebase(
    app: App,
    *,
    base_model: str,
    method: str | None = None,
    dials: list[str] | None = None,
    detached: bool = False,
) -> Events:
    """Teach every workspace's adapter again on `base_model`, and switch if each is better there.

    A result per workspace, then one for the house; the exit code is 1 when the old base stays.
    A server goes on with the old base until it is started again.
    """
    from assistant import rebase as work
    from assistant.commands.documents import mend
    from assistant.commands.tune import dials_of
    from assistant.commands.working import working

    name = work.full_name(base_model)
    wanted = dials_of(method, dials or [])
    yield {"progress": None, "note": f"looking for {name}"}
    other, serving = work.to_teach(app, name)
    with closing(app.db()) as db:
        for workspace, _ in serving:
            mend(app, db, workspace.id)
    taught, became = yield from working(
        lambda say: work.rebase(
            app, other, serving, dials=wanted, in_server=detached, actor=actor(), say=say
        ),
        outlives=detached,
    )
    for one in taught:
        yield _event(one.workspace.name, one.adapter_id, one.round)
    yield {"base_model": name, "became": became, "said": work.outcome(app, name, became)}
    return 1 if became == "kept" else 0


def _event(workspace: str, adapter_id: int, ended: TuningRound) -> Event:
    return {
        "workspace": workspace,
        "round": ended.id,
        "adapter": adapter_id,
        "verdict": ended.verdict,
        "reasons": list(ended.reasons),
        "scores": ended.scores.get("scores", {}),
    }
