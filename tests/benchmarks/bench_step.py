"""Seconds a step of a round against a plain TRL script: same pairs, base, rank, targets, batch.

    python -m tests.benchmarks.bench_step [--model FOLDER] [--method lora|qlora] [--steps N]
                                          [--batch-size N] [--turns N] [--threads N] [--tricks]

By `lora` both train the base as it is, by `qlora` in nf4, with completion-only loss and without
gradient checkpointing; the script pads each batch to its longest row. Each runs in a process of its
own, in turn, so that peak memory is its own and a busy machine slows both. Without --model the
embedded base in the data directory is used. The ratio is of the medians over all turns. With
--tricks a round also runs without each of the three things that make its step cheap, and without
all of them.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

AIM = 1.1
"""A round's step may take this much of the script's at most."""
OURS, PLAIN = "apprentice", "plain TRL"
TRICKS = {
    "beginnings": "every beginning for itself",
    "labels": "logits at every token",
    "packing": "a row at a time",
}
"""What a round's step does otherwise without each trick."""
NONE = ",".join(TRICKS)
ONE_ROW = 64
"""Tokens of a part that no second row fits into: the rows are longer than half of it."""


def main() -> int:
    """Runs both in turn, method by method, and prints the tables; 1 when the aim is missed."""
    given = _arguments()
    if given.part:
        return _run_part(given)
    return max(_compare(method, given) for method in given.method or ("lora", "qlora"))


def _compare(method: str, given: argparse.Namespace) -> int:
    parts = {OURS: "", PLAIN: ""}
    if given.tricks:
        ours = {OURS: ""} | {said: trick for trick, said in TRICKS.items()}
        parts = ours | {"none of these": NONE, PLAIN: ""}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in parts}
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch) / "bundle"
        _write_bundle(bundle, given.model, given.batch_size, method)
        for _ in range(given.turns):
            for name, without in parts.items():
                part = PLAIN if name == PLAIN else OURS
                found[name].append(_measure(part, without, bundle, given))
    seconds = {
        name: statistics.median(one["seconds"] for one in runs) for name, runs in found.items()
    }
    print(method)
    for name, runs in found.items():
        memory = max(one["peak_rss_bytes"] for one in runs) / 1e9
        print(f"{name:26} {seconds[name]:6.2f} s a step, peak memory {memory:.2f} GB")
    ratio = seconds[OURS] / seconds[PLAIN]
    print(f"ratio {ratio:.2f} (aim: at most {AIM})")
    return int(ratio > AIM)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--method", action="append", choices=["lora", "qlora"])
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0, help="0: every core")
    parser.add_argument("--tricks", action="store_true")
    parser.add_argument("--without", default="", help=argparse.SUPPRESS)
    parser.add_argument("--part", choices=[OURS, PLAIN], help=argparse.SUPPRESS)
    parser.add_argument("--bundle", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.model = given.model or embedded()
    return given


def embedded() -> Path:
    from assistant.settings import read_settings
    from storage.models import resolve_base

    return resolve_base("embedded", read_settings().data / "models").folder


def _measure(part: str, without: str, bundle: Path, given: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.bench_step", "--part", part]
    command += ["--without", without, "--threads", str(given.threads)]
    command += ["--bundle", str(bundle), "--model", str(given.model)]
    command += ["--steps", str(given.steps), "--batch-size", str(given.batch_size)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(ran.stderr)
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def _write_bundle(folder: Path, model: Path, batch_size: int, method: str) -> None:
    """The sample company's corrections, all of them to train on, in their own words."""
    import assistant.sample
    from assistant.tokens import ChatTokenizer
    from tuning.bundle import TrainRow, write_bundle
    from tuning.config import RoundConfig

    sample = Path(assistant.sample.__file__).parent
    tokenizer = ChatTokenizer(model)
    instructions = (sample / "instructions.txt").read_text(encoding="utf-8").strip()
    rows = []
    for number, line in enumerate((sample / "corrections.jsonl").read_text("utf-8").splitlines()):
        said = json.loads(line)
        messages = [
            {"role": "system", "content": instructions},
            {"role": "user", "content": said["question"]},
        ]
        rows.append(
            TrainRow(
                id=str(number),
                group=said["group"],
                messages=tuple(messages),
                prompt_ids=tuple(tokenizer.render(messages)),
                completion=said["correction"],
                completion_ids=tuple(tokenizer.completion_ids(said["correction"])),
            )
        )
    config = RoundConfig(method=method, batch_size=batch_size, epochs=1000, learned_loss=0.0)
    write_bundle(folder, config=config, base_fingerprint="0" * 64, train=rows, heldout=())


def _run_part(given: argparse.Namespace) -> int:
    """One of the two, here; the first step, which warms up, does not count."""
    import torch

    if given.threads:
        torch.set_num_threads(given.threads)
    trainer = _apprentice(given) if given.part == OURS else _plain(given)
    times: list[float] = []
    _time_steps(trainer, times, given.steps)
    trainer.train()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": statistics.median(times[1:]), "peak_rss_bytes": peak}))
    return 0


def _time_steps(trainer, times: list[float], steps: int) -> None:
    """Writes each step's seconds to `times` and ends the training after `steps`."""
    from transformers import TrainerCallback

    class Stopwatch(TrainerCallback):
        def on_step_begin(self, *given, **more):
            times.append(time.perf_counter())

        def on_step_end(self, args, state, control, **more):
            times[-1] = time.perf_counter() - times[-1]
            control.should_training_stop = len(times) >= steps

    trainer.add_callback(Stopwatch())


def _apprentice(given: argparse.Namespace):
    from tuning.bundle import read_bundle
    from tuning.train import make_trainer

    bundle = read_bundle(given.bundle)
    without = set(given.without.split(","))
    if "beginnings" in without:
        from tuning import batches

        batches._shared = lambda rows: 0
    if "packing" in without:
        bundle = replace(bundle, config=replace(bundle.config, step_tokens=ONE_ROW))
    if "labels" in without:
        _logits_everywhere()
    return make_trainer(bundle, given.model, Path(tempfile.mkdtemp()), lambda said: None)


def _logits_everywhere() -> None:
    """The output layer over every token of a part, as in a plain script."""
    import torch

    from tuning import losses

    at_labels = losses._states

    def everywhere(model, part):
        tokens = tuple(range(len(part.ids)))
        states = at_labels(model, replace(part, label_at=tokens))
        logits = model.get_base_model().get_output_embeddings()(states).float()
        return logits[torch.tensor(part.label_at, device=logits.device)]

    losses._states = everywhere
    losses._logits = lambda model, states: states


def _plain(given: argparse.Namespace):
    """What one would write by TRL's documentation, with the settings that make it fair."""
    from tests.benchmarks.plain_trl import Recipe, plain_trainer
    from tuning.bundle import read_bundle

    bundle = read_bundle(given.bundle)
    config = bundle.config
    recipe = Recipe(
        rate=config.peak_rate,
        epochs=1000,
        nf4=config.method == "qlora",
        batch_size=given.batch_size,
        rank=config.rank,
        alpha=config.alpha,
    )
    rows = [(row.prompt_ids, row.completion_ids) for row in bundle.train]
    return plain_trainer(given.model, rows, recipe)


if __name__ == "__main__":
    sys.exit(main())
