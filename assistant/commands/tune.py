"""`apprentice tune`: one round from the approved corrections to the gate's verdict."""

from contextlib import closing
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from assistant.app import App
from assistant.commands.documents import mend
from assistant.commands.follow import followed
from assistant.commands.who import actor
from assistant.round_plan import RoundPlan
from assistant.verbs import Event, Events
from storage.errors import BadInput
from storage.workspaces import workspace as workspace_named

if TYPE_CHECKING:
    from assistant.sweeping import Sweep


def tune(
    app: App,
    *,
    workspace: str,
    method: str | None = None,
    objective: str | None = None,
    dials: list[str] | None = None,
    start: str | None = None,
    runner: str | None = None,
    sweep: bool = False,
    trials: int | None = None,
    minutes: float | None = None,
    tried: list[str] | None = None,
    dry_run: bool = False,
    detached: bool = False,
) -> Events:
    """Run one round and follow it; the exit code is 1 unless the gate said promote.

    `start` is "base" or an adapter's number, `runner` what trains (None: as set). With `sweep` the
    dials are looked for first, in so many `trials` and `minutes` at most; `tried` are their values
    as typed (rank=4,8). When the caller leaves, the round is cancelled, or goes on if `detached`.
    Raises BadInput for too few pairs, an unknown dial or runner, Refused while another round of
    the workspace is not finished.
    """
    from assistant.advice import dry_run as planned
    from assistant.rounds import start_round
    from assistant.sweeping import wanted_sweep

    wanted = dials_of(method, dials or [], objective)
    search = sweep_of(sweep, trials, minutes, tried or [])
    if search is not None and start is None:
        start = "base"
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        yield {"progress": 0.0, "note": "reading the corrections"}
        if dry_run:
            plan = planned(app, found, wanted, start, runner)
            if search is not None:
                plan = replace(plan, sweep=wanted_sweep(app, plan, search, wanted))
            yield _planned(plan)
            return 0
        mend(app, db, found.id)
        queued = start_round(
            app, found, dials=wanted, start=start, runner=runner, sweep=search, actor=actor()
        )
    return (yield from followed(app, queued, detached=detached))


def dials_of(method: str | None, dials: list[str], objective: str | None = None) -> dict[str, Any]:
    """The dials as typed. Raises BadInput for one that is no KEY=VALUE."""
    named = {"method": method, "objective": objective}
    wanted: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    for dial in dials:
        key, equals, value = dial.partition("=")
        if not equals:
            raise BadInput(f"{dial!r} sets nothing: write KEY=VALUE, such as epochs=10.")
        wanted[key.strip()] = value.strip()
    return wanted


def sweep_of(
    wanted: bool, trials: int | None, minutes: float | None, tried: list[str]
) -> "Sweep | None":
    """The sweep as typed, None without one. Raises BadInput for what cannot be one."""
    from assistant.sweeping import Sweep
    from tuning.sweep import Budget

    if not wanted:
        if trials is not None or minutes is not None or tried:
            raise BadInput("--trials, --minutes and --try are of a sweep: add --sweep.")
        return None
    values: dict[str, list[str]] = {}
    for one in tried:
        key, equals, some = one.partition("=")
        found = [value.strip() for value in some.split(",") if value.strip()]
        if not equals or not found:
            raise BadInput(f"{one!r} tries nothing: write KEY=A,B, such as rank=8,16.")
        values[key.strip()] = found
    own = Budget()
    budget = Budget(
        own.trials if trials is None else trials, own.minutes if minutes is None else minutes
    )
    return Sweep(budget, values)


def _planned(plan: RoundPlan) -> Event:
    return {
        "workspace": plan.workspace,
        "pairs": plan.pairs,
        "needs": plan.needs,
        "paraphrases": plan.paraphrases,
        "start": plan.start.id if plan.start else "base",
        "notes": list(plan.notes),
        "minutes": plan.minutes,
        "memory_bytes": plan.memory_bytes,
        "estimated": plan.measured,
        "method": plan.config.method,
        "objective": plan.config.objective,
        "runner": plan.runner,
        "trained_by": plan.trained_by,
        "served_by": plan.served_by,
        "advice": plan.advice,
        "advice_kind": plan.advice_kind,
        "config": plan.config.to_json(),
        "sweep": asdict(plan.sweep) if plan.sweep else None,
    }
