"""What a runner costs over `local`, and how many rounds an hour two nodes of a Ray cluster make.

    python -m tests.benchmarks.bench_runners [--bundle BUNDLE --model FOLDER] [--rounds N]
                                             [--times N] [--epochs N] [--only overhead|nodes]

The cluster is one of this machine: a head without a CPU and nodes of one each, every training with
one thread. Overhead: the same bundle by `local` and by `ray` in turn, whole calls less the seconds
that training itself says. Nodes: N different bundles given to a cluster of one node at once, and
to one of two; before it two rounds by `local` beside each other, which is what this machine allows.
Without --bundle it is a small one on a two-layer base. Other programs beside it
count: the load before and after is printed.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from tests.tiny import make_tiny_base
from tests.tuning.conftest import NEEDS, Words
from tests.tuning.runners.ray_cluster import running
from tests.tuning.small import DIALS
from tuning.bundle import Bundle, read_bundle, write_bundle
from tuning.config import RoundConfig
from tuning.runners.local import Local
from tuning.runners.protocol import Runner
from tuning.runners.ray import Ray, RaySettings

AIM_OVERHEAD_S = 15.0
AIM_ROUNDS = 1.7


def main() -> int:
    """Measures and prints; 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=600)
    parser.add_argument("--only", choices=("overhead", "nodes"))
    given = parser.parse_args()
    missed = False
    with tempfile.TemporaryDirectory(prefix="apprentice-") as scratch:
        folder = Path(scratch)
        whole, model = _bundle(given, folder)
        print(f"load before {os.getloadavg()[0]:.1f}", flush=True)
        if given.only != "nodes":
            missed |= _overhead(_varied(whole, folder / "one", 0, 20), model, folder, given.times)
        if given.only != "overhead":
            many = [
                _varied(whole, folder / f"bundle-{number}", number, given.epochs)
                for number in range(given.rounds)
            ]
            missed |= _nodes(many, model, folder)
        print(f"load after {os.getloadavg()[0]:.1f}")
    return int(missed)


def _overhead(bundle: Bundle, model: Path, folder: Path, times: int) -> bool:
    taken: dict[str, list[float]] = {"local": [], "ray": []}
    with running(cpus=(1,)) as cluster:
        runners: list[Runner] = [Local(), Ray(RaySettings(cluster.address, token=cluster.token))]
        for number in range(times):
            for runner in runners:
                out = folder / f"{runner.name}-{number}"
                seconds, result = _timed(runner, bundle, out, model)
                taken[runner.name].append(seconds - result["seconds"])
                print(f"{runner.name}: {seconds:.1f} s, {result['seconds']:.1f} of training")
    first = taken["ray"][0] - median(taken["local"])
    over = median(taken["ray"]) - median(taken["local"])
    print(f"ray over local: {over:.1f} s (median of {times}), the first round {first:.1f} s")
    print(f"aim: {AIM_OVERHEAD_S:g} s", flush=True)
    return over > AIM_OVERHEAD_S


def _nodes(bundles: list[Bundle], model: Path, folder: Path) -> bool:
    hours: dict[int, float] = {}
    alone = _together(Local(), bundles[:1], folder / "alone", model)
    beside = _together(Local(), bundles[:2], folder / "beside", model)
    print(
        f"without Ray two rounds beside each other: {2 * alone / beside:.2f} times one", flush=True
    )
    for nodes in (1, 2):
        with running(cpus=(1,) * nodes) as cluster:
            runner = Ray(RaySettings(cluster.address, token=cluster.token))
            # the nodes fetch the base and read torch from the disk once
            warm = [
                _varied(bundles[0], folder / f"warm-{nodes}-{number}", 100 + number, 1)
                for number in range(nodes)
            ]
            _together(runner, warm, folder / f"warm-{nodes}", model)
            seconds = _together(runner, bundles, folder / f"of-{nodes}", model)
        hours[nodes] = 3600 * len(bundles) / seconds
        print(
            f"{nodes} node{'s' * (nodes > 1)}: {len(bundles)} rounds in {seconds:.0f} s, "
            f"{hours[nodes]:.0f} an hour",
            flush=True,
        )
    print(f"two nodes make {hours[2] / hours[1]:.2f} times the rounds (aim {AIM_ROUNDS})")
    return hours[2] / hours[1] < AIM_ROUNDS


def _together(runner: Runner, bundles: list[Bundle], folder: Path, model: Path) -> float:
    """Seconds until all of them are trained, given to the runner at once."""
    failed: list[BaseException] = []

    def one(number: int, bundle: Bundle) -> None:
        try:
            _timed(runner, bundle, folder / str(number), model)
        except BaseException as error:  # noqa: BLE001  a thread's would be lost
            failed.append(error)

    started = time.monotonic()
    threads = [
        threading.Thread(target=one, args=(number, bundle)) for number, bundle in enumerate(bundles)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return time.monotonic() - started


def _timed(runner: Runner, bundle: Bundle, out: Path, model: Path) -> tuple[float, dict[str, Any]]:
    started = time.monotonic()
    quiet: Callable[[Any], None] = lambda said: None  # noqa: E731
    result = runner.train(bundle.folder, out, model, on_progress=quiet, cancelled=lambda: False)
    return time.monotonic() - started, result


def _varied(whole: Bundle, folder: Path, seed: int, epochs: int) -> Bundle:
    """The bundle with another seed, so many passes and one thread."""
    config = replace(
        whole.config, seed=seed, threads=1, epochs=epochs, learned_loss=0.0, max_minutes=600
    )
    return write_bundle(
        folder,
        config=config,
        base_fingerprint=whole.base_fingerprint,
        base_model=whole.base_model,
        train=whole.train,
        heldout=whole.heldout,
        sentinel=whole.sentinel,
        likelihood=whole.likelihood,
    )


def _bundle(given: argparse.Namespace, folder: Path) -> tuple[Bundle, Path]:
    if given.bundle is not None:
        return read_bundle(given.bundle), given.model
    from tokenizers import Tokenizer

    base = make_tiny_base(folder / "base")
    words = Words(Tokenizer.from_file(str(base.folder / "tokenizer.json")))
    rows = [
        words.row(f"{group}-{number}", group, question, completion)
        for group, (completion, questions) in NEEDS.items()
        for number, question in enumerate(questions)
    ]
    made = write_bundle(
        folder / "whole",
        config=RoundConfig(**DIALS),
        base_fingerprint=base.fingerprint,
        train=rows,
        heldout=(),
    )
    return made, base.folder


if __name__ == "__main__":
    sys.exit(main())
