"""The sweep itself: Ray Tune draws the dials, runs the trials and ends the worse ones early.

`python -m tuning.search FOLDER`, a child of the server or a job of a Ray cluster; FOLDER has what
`tuning.sweep.write_pool` wrote and `search.json`. Dials are drawn at random (Bergstra and Bengio
2012: of a few dials few matter, and random trials try many values of each), the round's own first;
ASHA (Li et al. 2020, arXiv:1810.05934) ends a trial that is among the worse at 2, 6, 18, ...
epochs. A model of the search space would want tens of trials before it beats chance.
"""

import argparse
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune import Callback
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search import BasicVariantGenerator

from storage.errors import ApprenticeError
from tuning.child import Said, become_child, step_back
from tuning.runners.parcel import pack, unpack
from tuning.runners.ray_base import join_base
from tuning.runners.ray_job import OVER, connected, say
from tuning.sweep import BUNDLE, SCORED, SEARCH, best_of

GRACE_EPOCHS = 2
"""Epochs that every trial gets: the rate rises in the first."""
REDUCTION = 3
"""Of the trials at a rung one in so many goes on; Ray's own value is 4, which wants more trials."""
STORE_BYTES = 100 << 20
"""Of Ray's object store on this machine, the least that it takes: the bundle is all that is in."""

Say = Callable[[Said], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Searches; says {"result": {"best", "trials", "seconds"}}. 0, or 1 after it said why."""
    parser = argparse.ArgumentParser(prog="python -m tuning.search", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="", help="folder of the base; none: it came in packages")
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    here = given.parent is not None
    tell = become_child(given.parent) if here else _in_a_job
    spec = json.loads((given.folder / SEARCH).read_text(encoding="utf-8"))
    pool = _packed(given.folder)
    if not here:
        shutil.rmtree(given.folder / BUNDLE)  # it holds what people wrote, and Ray keeps the folder
        (given.folder / SCORED).unlink()
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1"}
    os.environ |= {"RAY_AIR_NEW_OUTPUT": "0", "TUNE_DISABLE_SIGINT_HANDLER": "1"}
    if here:
        _begin_here()
    else:
        connected()
    try:
        tell({"result": searched(spec, pool, given.model, tell)})
    except ApprenticeError as error:
        tell({"error": str(error)})
        return 1
    finally:
        ray.shutdown()
    return 0


def searched(spec: Mapping[str, Any], pool: bytes, model: str, tell: Say) -> dict[str, Any]:
    """The best trial's dials, and what each trial came to. Raises SearchFailed for none."""
    started = time.monotonic()
    trainable = tune.with_resources(
        tune.with_parameters(_trial, pool=pool, model=model, threads=spec["threads"]),
        {"cpu": spec["cpus"], "gpu": spec["gpus"]},
    )
    with tempfile.TemporaryDirectory(prefix="apprentice-") as scratch:
        results = tune.Tuner(
            trainable,
            param_space={name: tune.choice(list(values)) for name, values in spec["space"].items()},
            tune_config=tune.TuneConfig(
                metric="score",
                mode="max",
                num_samples=spec["trials"],
                time_budget_s=60 * spec["minutes"],
                search_alg=BasicVariantGenerator(
                    points_to_evaluate=[spec["first"]], random_state=spec["seed"]
                ),
                scheduler=ASHAScheduler(
                    time_attr="epoch",
                    max_t=max(GRACE_EPOCHS, *spec["space"]["epochs"]),
                    grace_period=GRACE_EPOCHS,
                    reduction_factor=REDUCTION,
                    stop_last_trials=False,
                ),
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=scratch,
                verbose=0,
                callbacks=[Teller(tell, spec["trials"])],
            ),
        ).fit()
        trials = [_told(one) for one in results]
    return {
        "best": best_of(trials, spec["minutes"]),
        "trials": trials,
        "seconds": round(time.monotonic() - started, 1),
    }


def _trial(dials: dict[str, Any], *, pool: bytes, model: str, threads: int | None) -> None:
    """What runs on a node: one trial. Its folder is gone when it ends."""
    from tuning.sweep_trial import run_trial  # late: it brings torch

    step_back()  # before torch: its threads inherit it
    with tempfile.TemporaryDirectory(prefix="apprentice-") as scratch:
        folder = Path(scratch)
        (folder / "pool.tar.gz").write_bytes(pool)
        unpack(folder / "pool.tar.gz", folder)
        base = Path(model) if model else join_base(folder / "base")
        run_trial(dials, folder, base, tune.report, threads=threads)


def _packed(folder: Path) -> bytes:
    with tempfile.TemporaryDirectory(prefix="apprentice-") as scratch:
        parts = {name: folder / name for name in (BUNDLE, SCORED)}
        return pack(Path(scratch) / "pool.tar.gz", parts).read_bytes()


class Teller(Callback):
    """Tells how far the sweep is; Tune calls it in its own process."""

    def __init__(self, say: Say, of: int) -> None:
        self._say: Say | None = say
        self._of = of
        self._begun = self._ended = 0
        self._best = 0.0

    def __getstate__(self) -> dict[str, Any]:
        """Tune keeps a copy on disk, which need not speak."""
        return {**self.__dict__, "_say": None}

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """A trial has begun."""
        self._begun += 1
        self._tell("")

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any
    ) -> None:
        """A trial has made an epoch."""
        if "right" in result:
            self._best = max(self._best, result["right"] / result["total"])
        self._tell(f", epoch {result.get('epoch', 0)} of {trial.config['epochs']}")

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """A trial has ended, or was."""
        self._ended += 1

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """A trial has failed."""
        self._ended += 1

    def _tell(self, more: str) -> None:
        if self._say is not None:
            begun = f"sweep: trial {self._begun} of {self._of}{more}"
            note = f"{begun}, best {self._best:.0%} right"
            self._say({"note": note, "done": self._ended / self._of})


def _told(result: Any) -> dict[str, Any]:
    """A trial's dials and figures, as plain values."""
    metrics = result.metrics or {}
    figures = {name: metrics.get(name) for name in ("score", "right", "total", "nats", "epoch")}
    error = str(result.error).strip().splitlines()[-1][:300] if result.error else ""
    return {
        "dials": dict(result.config or {}),
        **figures,
        "ended": bool(metrics.get("ended")),
        "seconds": round(float(metrics.get("time_total_s") or 0.0), 1),
        "error": error,
    }


def _begin_here() -> None:
    """Ray on this machine, for this process alone: it ends with it, and nobody else joins."""
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # else Ray leaves one in the home folder
    ray.init(
        num_cpus=1,
        include_dashboard=False,
        object_store_memory=STORE_BYTES,
        log_to_driver=False,
        logging_level="ERROR",
    )


def _in_a_job(said: Said) -> None:
    """Says it as the server reads it in a job's log."""
    say(said)
    if "result" in said or "error" in said:
        say(OVER)


if __name__ == "__main__":
    from tuning.search import main as imported  # what Ray sends must be known by this name there

    sys.exit(imported())
