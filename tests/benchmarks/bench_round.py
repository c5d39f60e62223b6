"""Time to the same held-out loss, and memory: a round against a plain TRL script.

    python -m tests.benchmarks.bench_round BUNDLE [--model FOLDER] [--method qlora] [--epochs N]
                                                  [--threads N] [--out FOLDER]

BUNDLE is that of a round (`apprentice rounds export ID BUNDLE`). The script is what one file by
TRL's documentation gives: SFTTrainer on the same corrections, the same base, rank and targets,
batches of 8 padded to their longest row, completion-only loss, the best of three learning rates.
Every 10 steps the mean loss of the held-out answers is taken, with the clock stopped; the round
trains until it has the script's own best loss. Each runs in a process of its own. The held-out
questions are then asked, and their answers judged by their checks. What lies in --out of the same
bundle, method, epochs and threads is not run again.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks.bench_step import embedded
from tests.benchmarks.house import Results
from tuning.bundle import bundle_hash

RATES = (2e-4, 5e-4, 1e-3)
EVERY = 10
AIM_TIME = 0.5
AIM_MEMORY = 0.8
MAX_TOKENS = 96
Measured = dict[str, Any]


def main() -> int:
    """Runs the script thrice, the round once, and prints the table; 1 when an aim is missed."""
    given = _arguments()
    if given.part is not None:
        print(json.dumps(_run_part(given)))
        return 0
    given.out.mkdir(parents=True, exist_ok=True)
    known = Results(given.out / "round.json")
    how = f"{bundle_hash(given.bundle)[:12]} {given.method} {given.epochs} {given.threads}"
    scripts = [
        known.once(f"{how} script {rate:g}", partial(_measure, given, "script", rate=rate))
        for rate in RATES
    ]
    script = min(scripts, key=_best_loss)
    target = _best_loss(script)
    ours = known.once(f"{how} round", partial(_measure, given, "round", target=target))
    time_ratio = ours["seconds"] / script["seconds"]
    memory_ratio = ours["peak_rss_bytes"] / script["peak_rss_bytes"]
    print(f"held-out loss {target:.4f}, reached first after\n")
    print("| | seconds | steps | right of held-out | peak memory |\n|---|---|---|---|---|")
    for name, one in ((f"plain TRL, rate {script['rate']:g}", script), ("a round", ours)):
        print(
            f"| {name} | {one['seconds']:.0f} | {one['steps']} | {one['right']} of {one['cases']} "
            f"| {one['peak_rss_bytes'] / 1e9:.2f} GB |"
        )
    reached = ours["loss"] <= target
    print(f"\ntime {time_ratio:.2f} (aim {AIM_TIME}), memory {memory_ratio:.2f} (aim {AIM_MEMORY})")
    if not reached:
        print(f"the round did not reach it: its best is {_best_loss(ours):.4f}")
    return int(not reached or time_ratio > AIM_TIME or memory_ratio > AIM_MEMORY)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--method", choices=("lora", "qlora"), default="qlora")
    parser.add_argument("--epochs", type=int, default=20, help="of the script")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("bench-round"))
    parser.add_argument("--part", choices=("script", "round"), help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--target", type=float, default=0.0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.model = given.model or embedded()
    return given


def _best_loss(one: Measured) -> float:
    return min(loss for _, _, loss in one["curve"])


def _measure(given: argparse.Namespace, part: str, **more: float) -> Measured:
    command = [sys.executable, "-m", "tests.benchmarks.bench_round", str(given.bundle)]
    command += ["--model", str(given.model), "--method", given.method]
    command += ["--epochs", str(given.epochs), "--threads", str(given.threads), "--part", part]
    command += [word for name, value in more.items() for word in (f"--{name}", str(value))]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        sys.exit(ran.stderr[-3000:])
    found: Measured = json.loads(ran.stdout.splitlines()[-1])
    print(part, more, {name: found[name] for name in ("seconds", "steps", "loss")}, flush=True)
    return found


def _run_part(given: argparse.Namespace) -> Measured:
    """One of the two, here: its curve of (seconds, step, held-out loss) and where it stands."""
    import torch

    from tuning.bundle import read_bundle
    from tuning.train import peak_rss_bytes

    torch.set_num_threads(given.threads)
    bundle = read_bundle(given.bundle)
    if not bundle.heldout:
        sys.exit(f"{given.bundle} keeps no case out: there is no loss to compare")
    config = replace(bundle.config, method=given.method, max_minutes=10_000.0)
    bundle = replace(bundle, config=config)
    with tempfile.TemporaryDirectory() as scratch:
        make = _script if given.part == "script" else _round
        trainer = make(bundle, given, Path(scratch))
        held_out = _held_out_rows(bundle, given.model)
        watch = _Watch(lambda: _loss(trainer.model, held_out), given.target)
        trainer.add_callback(watch.callback())
        watch.start()
        trainer.train()
        memory = peak_rss_bytes()
        seconds, steps, loss = watch.reached()
        right = _right(trainer.model, bundle, given.model)
    return {
        "curve": watch.curve,
        "seconds": seconds,
        "steps": steps,
        "loss": loss,
        "rate": given.rate,
        "right": right,
        "cases": len(bundle.heldout),
        "peak_rss_bytes": memory,
    }


class _Watch:
    """Takes the held-out loss every EVERY steps with the clock stopped; ends at the target."""

    def __init__(self, loss: Callable[[], float], target: float) -> None:
        self._loss, self._target = loss, target
        self.curve: list[tuple[float, int, float]] = []
        self._spent, self._since = 0.0, 0.0

    def start(self) -> None:
        """Starts the clock."""
        self._since = time.perf_counter()

    def reached(self) -> tuple[float, int, float]:
        """Where the target was reached first, or else where the loss was lowest."""
        good = [one for one in self.curve if one[2] <= self._target]
        return good[0] if good else min(self.curve, key=lambda one: one[2])

    def callback(self) -> Any:
        """The hook for the trainer."""
        from transformers import TrainerCallback

        watch = self

        class Hook(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                if state.global_step % EVERY:
                    return
                watch._spent += time.perf_counter() - watch._since
                watch.curve.append((watch._spent, state.global_step, watch._loss()))
                control.should_training_stop |= watch.curve[-1][2] <= watch._target
                watch._since = time.perf_counter()

        return Hook()


def _held_out_rows(bundle: Any, model: Path) -> list[tuple[list[int], list[int]]]:
    """(prompt ids, answer ids) of each held-out case."""
    from assistant.tokens import ChatTokenizer

    tokenizer = ChatTokenizer(model)
    return [
        (list(case.prompt_ids), list(tokenizer.completion_ids(case.expected)))
        for case in bundle.heldout
    ]


def _loss(model: Any, rows: Sequence[tuple[list[int], list[int]]]) -> float:
    """Mean nats a token of the answers."""
    import torch

    was_training = model.training
    model.eval()
    total, tokens = 0.0, 0
    with torch.no_grad():
        for prompt, answer in rows:
            ids = torch.tensor([[*prompt, *answer]], device=model.device)
            logits = model(input_ids=ids, logits_to_keep=len(answer) + 1).logits[0, :-1].float()
            wanted = torch.tensor(answer, device=model.device)
            total += torch.nn.functional.cross_entropy(logits, wanted, reduction="sum").item()
            tokens += len(answer)
    model.train(was_training)
    return total / tokens


def _right(model: Any, bundle: Any, folder: Path) -> int:
    """Held-out cases answered right, greedily, by torch."""
    import torch

    from assistant.tokens import ChatTokenizer
    from tuning.checks import judge

    tokenizer = ChatTokenizer(folder)
    model.eval()
    right = 0
    for case in bundle.heldout:
        ids = torch.tensor([case.prompt_ids], device=model.device)
        with torch.inference_mode():
            said = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=MAX_TOKENS,
                do_sample=False,
            )[0, ids.shape[1] :].tolist()
        text = tokenizer.decode(
            [one for one in said if one != model.generation_config.eos_token_id]
        )
        right += judge(case.check, case.expected, text.strip())
    return right


def _round(bundle: Any, given: argparse.Namespace, scratch: Path) -> Any:
    """The product's own trainer on all rows of the bundle."""
    from tuning.train import make_trainer

    return make_trainer(bundle, given.model, scratch, lambda said: None)


def _script(bundle: Any, given: argparse.Namespace, scratch: Path) -> Any:
    """The script on the corrections alone."""
    from tests.benchmarks.plain_trl import Recipe, plain_trainer

    config = bundle.config
    recipe = Recipe(
        rate=given.rate,
        epochs=given.epochs,
        nf4=given.method == "qlora",
        rank=config.rank,
        alpha=config.alpha,
        seed=config.seed,
    )
    pairs = [row for row in bundle.train if row.kind == "correction"]
    rows = [(row.prompt_ids, row.completion_ids) for row in pairs]
    return plain_trainer(given.model, rows, recipe)


if __name__ == "__main__":
    sys.exit(main())
