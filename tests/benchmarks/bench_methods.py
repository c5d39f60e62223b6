"""The methods of a round on the same pairs: quality, seconds, memory, file size, and serving speed.

    python -m tests.benchmarks.bench_methods BUNDLE --out FOLDER [--model embedded|FOLDER]
                                             [--method NAME]... [--set KEY=VALUE]... [--threads N]

BUNDLE is a round's bundle (`rounds export`); each method trains on its pairs with its own defaults,
in a process of its own, and its adapter answers the held-out cases by the engine that would serve.
Speed is of four replies at once by the torch engine: by one adapter, and by two that share a batch
(LoRA, rsLoRA) or take turns (the others); "apart" is LoRA made to take turns, too. A method whose
result lies in FOLDER is not run again. Writes `methods.json` there and prints a Markdown table.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

METHODS: dict[str, dict[str, Any]] = {
    "qlora": {"method": "qlora"},
    "qlora int8": {"method": "qlora", "quantization": "int8"},
    "lora": {"method": "lora"},
    "rslora": {"method": "rslora"},
    "dora": {"method": "dora"},
    "ia3": {"method": "ia3"},
    "bottleneck": {"method": "bottleneck"},
    "bottleneck, houlsby": {"method": "bottleneck", "placement": "houlsby"},
}
REPLIES, TOKENS = 4, 48
"""Replies at once whose speed is measured, and tokens of each at most."""
ANSWER_TOKENS = 96
COLUMNS = (
    "| method | held out | general | training s | peak GB | adapter MB | engine "
    "| tokens/s by 1 | by 2 |\n|---|---|---|---|---|---|---|---|---|"
)


def main() -> int:
    """Runs every method that has no result yet, and prints the table."""
    given = _arguments()
    if given.part == "speed":
        return _print_speed(given)
    given.out.mkdir(parents=True, exist_ok=True)
    found = _known(given.out)
    for name in given.method or METHODS:
        if name not in found:
            found[name] = _measure(name, given)
            (given.out / "methods.json").write_text(json.dumps(found, indent=1))
    print(COLUMNS)
    for name, one in found.items():
        print(_line(name, one))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--method", action="append", choices=list(METHODS))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="dials")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--part", choices=["speed"], help=argparse.SUPPRESS)
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _known(out: Path) -> dict[str, Any]:
    file = out / "methods.json"
    return dict(json.loads(file.read_text())) if file.is_file() else {}


def _base(model: str) -> Any:
    from assistant.settings import read_settings
    from storage.models import resolve_base

    return resolve_base(model, read_settings().data / "models")


def _measure(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """One method: train, answer, and how fast it is served."""
    folder = given.out / name.replace(", ", "-").replace(" ", "-")
    shutil.rmtree(folder, ignore_errors=True)
    base = _base(given.model)
    print(f"{name}: training", file=sys.stderr, flush=True)
    _write_bundle(folder / "bundle", name, given)
    _run("tuning.run", str(folder / "bundle"), str(folder), "--model", str(base.folder))
    training = json.loads((folder / "training.json").read_text())
    print(f"{name}: answering", file=sys.stderr, flush=True)
    speed = [str(folder), "--out", str(folder), "--model", given.model, "--part", "speed"]
    speed += ["--threads", str(given.threads)]
    result = {
        "seconds": training["seconds"],
        "steps": training["steps"],
        "stopped": training["stopped"],
        "peak_rss_bytes": training["peak_rss_bytes"],
        "file_bytes": (folder / "adapter" / "adapter_model.safetensors").stat().st_size,
        **_answers(base, folder, given.threads),
        **json.loads(_run("tests.benchmarks.bench_methods", *speed)),
    }
    if name == "lora":
        apart = json.loads(_run("tests.benchmarks.bench_methods", *speed, "--apart"))
        result["two_apart"] = apart["two"]
    return result


def _run(module: str, *arguments: str) -> str:
    """The last line that a Python program prints; what it says in error ends this one."""
    ran = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        sys.exit(ran.stderr + ran.stdout)
    return ran.stdout.splitlines()[-1]


def _write_bundle(folder: Path, name: str, given: argparse.Namespace) -> None:
    """The bundle's rows and cases, with the method's dials instead of its own."""
    from tuning.bundle import read_bundle, write_bundle
    from tuning.config import RoundConfig

    whole = read_bundle(given.bundle)
    dials: dict[str, Any] = {**asdict(whole.config), "learning_rate": 0.0, **METHODS[name]}
    dials |= {"threads": given.threads}
    dials |= dict(one.split("=", 1) for one in given.dials)
    write_bundle(
        folder,
        config=RoundConfig.from_json(dials),
        base_fingerprint=whole.base_fingerprint,
        base_model=whole.base_model,
        train=whole.train,
        heldout=whole.heldout,
        sentinel=whole.sentinel,
    )


def _answers(base: Any, folder: Path, threads: int) -> dict[str, Any]:
    """Right answers by slice, from the engine that would serve, and which one that is."""
    from assistant.answering import ChildAnswerer
    from assistant.engines.choose import best_engine, engine_beside
    from assistant.settings import read_settings
    from tuning.adapter_files import adapter_kind
    from tuning.bundle import read_bundle
    from tuning.evaluate import evaluate, tally

    bundle, adapter = read_bundle(folder / "bundle"), folder / "adapter"
    settings = read_settings(threads=threads)
    running = best_engine(base, settings.context)
    started = time.perf_counter()
    with ChildAnswerer(base, settings, folder / "answers.log") as child:
        found = evaluate(
            (*bundle.heldout, *bundle.sentinel),
            lambda cases, adapter_id: child.answer(
                [case.prompt_ids for case in cases],
                adapter=(1, adapter),
                max_tokens=ANSWER_TOKENS,
            ),
            {"candidate": 1},
        )
    return {
        "engine": engine_beside(running, adapter_kind(adapter)) or running,
        "scores": tally(found)["candidate"] if found else {},
        "answering_seconds": round(time.perf_counter() - started, 1),
    }


def _print_speed(given: argparse.Namespace) -> int:
    """Tokens a second of four replies at once by one adapter and by two, by the torch engine."""
    from assistant.engines.torch_peft import TorchPeft
    from tuning.bundle import read_bundle

    bundle = read_bundle(given.bundle / "bundle")
    prompts = [row.prompt_ids for row in (*bundle.heldout, *bundle.train)][:REPLIES]
    engine = TorchPeft(_base(given.model), threads=given.threads, context=2048)
    with tempfile.TemporaryDirectory() as scratch:
        other = shutil.copytree(given.bundle / "adapter", Path(scratch) / "adapter")
        engine.load(1, given.bundle / "adapter")
        engine.load(2, other)
    if given.apart:
        engine._models.batch_of = lambda name: name
    _together(engine, prompts, (1,))  # warms up
    found = {"one": _together(engine, prompts, (1,)), "two": _together(engine, prompts, (1, 2))}
    engine.close()
    print(json.dumps(found))
    return 0


def _together(engine: Any, prompts: list[Any], adapters: tuple[int, ...]) -> float:
    """Tokens a second over the prompts at once, the adapters in turn."""
    from assistant.engines.protocol import Sampling

    def tokens(place: int) -> int:
        how = Sampling(max_tokens=TOKENS)
        by = adapters[place % len(adapters)]
        pieces = engine.stream(prompts[place], by, how, (), threading.Event())
        return sum(piece.tokens for piece in pieces)

    started = time.perf_counter()
    with ThreadPoolExecutor(len(prompts)) as pool:
        made = sum(pool.map(tokens, range(len(prompts))))
    return round(made / (time.perf_counter() - started), 2)


def _line(name: str, one: dict[str, Any]) -> str:
    def right(*slices: str) -> str:
        some = [one["scores"][name] for name in slices if name in one["scores"]]
        return f"{sum(x['right'] for x in some)} of {sum(x['total'] for x in some)}"

    two = f"{one['two']:.1f}" + (f" (apart {one['two_apart']:.1f})" if "two_apart" in one else "")
    cells = (
        name,
        right("new wordings", "new needs"),
        right("sentinel"),
        f"{one['seconds']:.0f}",
        f"{one['peak_rss_bytes'] / 1e9:.2f}",
        f"{one['file_bytes'] / 1e6:.1f}",
        one["engine"],
        f"{one['one']:.1f}",
        two,
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
