"""Which runner trains a round, by the settings; what leaves the house is on record before."""

from sqlite_utils import Database

from assistant.round_export import record_leaving
from assistant.settings import Settings
from storage.records import TuningRound
from tuning.bundle import Bundle, bundle_hash
from tuning.runners.hf_jobs import JobsSettings
from tuning.runners.protocol import Runner
from tuning.runners.ray import RaySettings
from tuning.runners.registry import RunnerSettings, runner_named

RUNNER = "runner"
"""In a round's config: the name of the runner that trains it."""


def runner_as_known(name: str) -> str:
    """The name as a workspace keeps it, "" for the house's own. Raises BadInput if unknown."""
    name = name.strip()
    if name:
        runner_named(name, RunnerSettings())
    return name


def runner_of(settings: Settings, name: str | None = None) -> Runner:
    """The runner called `name`, or the house's own. Raises BadInput for an unknown one."""
    jobs = JobsSettings(
        flavor=settings.hf_jobs_flavor,
        namespace=settings.hf_jobs_namespace,
        timeout_minutes=settings.hf_jobs_timeout,
        image=settings.hf_jobs_image,
        token=settings.hf_jobs_token.get_secret_value(),
    )
    ray = RaySettings(
        address=settings.ray_address,
        token=settings.ray_token.get_secret_value(),
        cpus=settings.ray_cpus,
        gpus=settings.ray_gpus,
        base=settings.ray_base,
    )
    found = RunnerSettings(processes=settings.accelerate_processes, jobs=jobs, ray=ray)
    return runner_named(name or settings.runner, found)


def runner_of_round(settings: Settings, item: TuningRound) -> Runner:
    """The one that the round was begun with; `local` for rounds before there was a choice."""
    return runner_of(settings, item.config.get(RUNNER, "local"))


def note_leaving(db: Database, item: TuningRound, bundle: Bundle, runner: Runner) -> None:
    """Puts on record where the bundle goes, before it does; one that stays here is not noted."""
    place = runner.place(bundle.folder)
    if place:
        actor = str(item.config.get("actor", "server"))
        record_leaving(db, item.id, bundle_hash(bundle.folder), place, actor)
