"""The runners by name; a runner's own file is read when it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field

from storage.errors import BadInput
from tuning.runners.accelerate import Accelerate
from tuning.runners.hf_jobs import HfJobs, JobsSettings
from tuning.runners.local import Local
from tuning.runners.protocol import Runner
from tuning.runners.ray import Ray, RaySettings


@dataclass(frozen=True)
class RunnerSettings:
    """What the server's settings say of runners."""

    processes: int = 0
    """Of `accelerate`."""
    jobs: JobsSettings = field(default_factory=JobsSettings)
    """Of `hf-jobs`."""
    ray: RaySettings = field(default_factory=RaySettings)
    """Of `ray`."""


_MAKE: dict[str, Callable[[RunnerSettings], Runner]] = {
    "local": lambda settings: Local(),
    "accelerate": lambda settings: Accelerate(settings.processes),
    "hf-jobs": lambda settings: HfJobs(settings.jobs),
    "ray": lambda settings: Ray(settings.ray),
}
NAMES = tuple(_MAKE)


def runner_named(name: str, settings: RunnerSettings) -> Runner:
    """The runner of that name. Raises BadInput for an unknown one."""
    if name not in _MAKE:
        raise BadInput(f"{name!r} is no runner: take {', '.join(NAMES)}.")
    return _MAKE[name](settings)
