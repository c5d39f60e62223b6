"""New base, same lessons: every adapter taught again on another base model, from the same pairs.

One base serves all workspaces, so the house switches as a whole: only if the gate says of every
workspace that has an adapter that the new base with its new adapter beats the old base with its
old one. Otherwise everything stays as it is, and what was made is rejected.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.app import App
from assistant.rounds import run_round_here
from storage import adapters
from storage.audit import audit
from storage.errors import BadInput, Refused
from storage.house import do_planned_switch, plan_switch
from storage.records import Adapter, TuningRound, Workspace
from storage.workspaces import list_workspaces

Say = Callable[[float, str], None]


@dataclass(frozen=True)
class Taught:
    """One workspace's round on the new base."""

    workspace: Workspace
    replaced: Adapter
    round: TuningRound

    @property
    def adapter_id(self) -> int:
        """The adapter that the round made."""
        return int(self.round.scores["adapter"])

    @property
    def better(self) -> bool:
        """Whether the gate prefers it to the old base with its adapter."""
        return self.round.verdict == "promote"


def full_name(base_model: str) -> str:
    """What was typed, with the whole path if it is a folder: the switch is kept under it.

    BadInput for what is too long for either.
    """
    try:
        return str(Path(base_model).absolute()) if Path(base_model).is_dir() else base_model
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise BadInput(f"{base_model[:60]!r} cannot be a base model ({said}).") from None


def to_teach(app: App, base_model: str) -> tuple[App, list[tuple[Workspace, Adapter]]]:
    """The app on the new base, and the workspaces with the adapters that serve now.

    Fetches the base when it is missing. Raises Refused for the base that serves already, for a
    house without adapters and for one that a model server answers for, BadInput and
    ModelUnavailable for a base that cannot be had.
    """
    if app.settings.engine == "remote":
        raise Refused(
            "The model server of APPRENTICE_ENGINE=remote has one base model and would answer for "
            "both: rebase with APPRENTICE_ENGINE=auto, then start that server on the new base."
        )
    other = app.on_base(base_model)
    if other.base.fingerprint == app.base.fingerprint:
        raise Refused(f"{base_model} is the base model that serves: name another one.")
    with closing(app.db()) as db:
        serving = [
            (workspace, adapter)
            for workspace in list_workspaces(db)
            if (adapter := adapters.serving_adapter(db, workspace.id)) is not None
        ]
    if not serving:
        raise Refused(
            "No workspace has an adapter, so there is nothing to teach again: set "
            f"APPRENTICE_BASE_MODEL={base_model} and restart."
        )
    return other, serving


def rebase(
    app: App,
    other: App,
    serving: list[tuple[Workspace, Adapter]],
    *,
    dials: Mapping[str, Any],
    in_server: bool,
    actor: str,
    say: Say,
) -> tuple[list[Taught], str]:
    """Teaches and judges all of them on the app `other`, then settles which base serves.

    Returns the rounds and what became of it: `switched`, `at the next start` (a server runs on the
    old base, or its settings name it), or `kept`. Raises what ends a round early; the old base
    stays then.
    """
    taught: list[Taught] = []
    try:
        for number, (workspace, replaced) in enumerate(serving):

            def told(share: float, note: str, n: int = number, name: str = workspace.name) -> None:
                say((n + share) / len(serving), f"{name}: {note}")

            ended = run_round_here(
                other, workspace, dials=dials, start="base", actor=actor, on_progress=told
            )
            taught.append(Taught(workspace, replaced, ended))
    except BaseException:
        _give_up(app, taught, actor)
        raise
    return taught, _settle(app, other, taught, in_server, actor)


def outcome(app: App, name: str, became: str) -> str:
    """What a rebase to `name` came to, and what is left to do, in words."""
    if became == "kept":
        return "The base model stays: not every workspace is better on the new one."
    if app.fixed_base:
        return (
            f"Set APPRENTICE_BASE_MODEL={name} (or unset it) where the server starts, and start it "
            "again: it switches then."
        )
    if became == "switched":
        return f"{name} serves from now on."
    return f"The server switches to {name} when it is started again."


def _settle(app: App, other: App, taught: list[Taught], in_server: bool, actor: str) -> str:
    """Plans the switch if every workspace is better off, else rejects what was made."""
    if not all(one.better for one in taught):
        _give_up(app, taught, actor)
        return "kept"
    switch = {one.adapter_id: one.replaced.id for one in taught}
    with closing(app.db()) as db:
        plan_switch(db, other.settings.base_model, switch, actor=actor)
        if not in_server and do_planned_switch(db, app.fixed_base):
            return "switched"
    return "at the next start"


def _give_up(app: App, taught: list[Taught], actor: str) -> None:
    """The new adapters fit no base that serves: none of them may be promoted by mistake."""
    with closing(app.db()) as db:
        for one in taught:
            if adapters.adapter(db, one.adapter_id).status == "candidate":
                adapters.reject_adapter(db, one.adapter_id, actor=actor)
        ids = [one.adapter_id for one in taught]
        audit(db, actor, "base model kept", "house", {"rejected": ids})
