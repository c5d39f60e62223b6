"""Fifty swaps of the serving adapter while replies stream: no reply fails, none is mixed.

    python -m tests.benchmarks.bench_swap [--swaps N] [--readers N] [--model FOLDER]

Readers ask without pause, each reply by the adapter that serves when it is asked. Beforehand each
adapter has said alone what it says to each question; a reply that is anything else is mixed. Also
printed: how long a swap takes, how far the longest pause between two pieces stretches, and memory.

Each adapter makes the model say one word of its own again and again, with so large a margin that
rounding, which differs between one reply at a time and several, changes nothing.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

QUESTIONS = ["List the completed orders.", "How do I return a product?", "What is a jib?"]
ADAPTERS = 4


def main() -> int:
    """Prints what was seen; 1 when a reply failed or was mixed."""
    given = _arguments()
    from assistant.engines.llamacpp import LlamaCpp
    from assistant.tokens import ChatTokenizer

    base = _base(given.model)
    if given.make:
        return _make_adapters(base, given.make)
    tokenizer = ChatTokenizer(base.folder)
    prompts = [tokenizer.render([{"role": "user", "content": text}]) for text in QUESTIONS]
    with tempfile.TemporaryDirectory() as scratch:
        folders = adapters(base, Path(scratch))
        engine = LlamaCpp(base, threads=given.threads, context=512)
        alone = _alone(engine, folders, prompts, given.tokens)
        before = _memory()
        seen = _Seen(engine, prompts, alone, given.tokens)
        took = _swap(engine, folders, seen, given)
        most = _memory()
        engine.close()
    replies = len(seen.pauses)
    print(f"{given.swaps} swaps, {replies} replies, {seen.wrong} mixed, {seen.failed} failed")
    print(f"a swap takes {statistics.median(took):.2f} s (most {max(took):.2f})")
    pause = statistics.median(seen.pauses)
    print(f"longest pause in a reply: median {pause:.2f} s, most {max(seen.pauses):.2f} s")
    print(f"memory {before:.0f} MB before, {most:.0f} MB after")
    return int(bool(seen.wrong or seen.failed or not replies))


class _Seen:
    """Readers that ask whatever adapter serves, and what they saw."""

    def __init__(self, engine: Any, prompts: list[list[int]], alone: dict, tokens: int) -> None:
        self._engine, self._prompts = engine, prompts
        self._alone, self._tokens = alone, tokens
        self.serving = 0
        """Which of the adapters' files serves; each swap gives it a new id."""
        self.ids: dict[int, int] = {}
        self.stop = threading.Event()
        self.wrong = self.failed = 0
        self.pauses: list[float] = []

    def read(self, number: int) -> None:
        """Ask until told to stop."""
        while not self.stop.is_set():
            number = (number + 1) % len(self._prompts)
            adapter_id = self.serving
            try:
                said, pause = _ask(self._engine, self._prompts[number], adapter_id, self._tokens)
            except Exception as error:  # noqa: BLE001  counted
                print(f"failed: {error!r}")
                self.failed += 1
                continue
            self.wrong += said != self._alone[self.ids[adapter_id], number]
            self.pauses.append(pause)


def _swap(engine: Any, folders: list[Path], seen: _Seen, given: argparse.Namespace) -> list[float]:
    """Each swap loads a new version under a new id, lets it serve, and unloads the last but one."""
    took = []
    threads = []
    for version in range(1, given.swaps + 1):
        started = time.perf_counter()
        seen.ids[version] = version % len(folders)
        engine.load(version, folders[version % len(folders)])
        took.append(time.perf_counter() - started)
        seen.serving = version
        if version > 2:
            engine.unload(version - 2)
        if not threads:
            threads = [
                threading.Thread(target=seen.read, args=(index,)) for index in range(given.readers)
            ]
            for thread in threads:
                thread.start()
        time.sleep(given.pause)
    seen.stop.set()
    for thread in threads:
        thread.join()
    return took


def _alone(engine: Any, folders: list[Path], prompts: list[list[int]], tokens: int) -> dict:
    found = {}
    for index, folder in enumerate(folders):
        engine.load(10_000 + index, folder)
        for number, prompt in enumerate(prompts):
            found[index, number], _ = _ask(engine, prompt, 10_000 + index, tokens)
    for index in range(len(folders)):
        engine.unload(10_000 + index)
    if len({said for said in found.values()}) < len(folders):
        sys.exit("the adapters answer alike: this would prove nothing")
    return found


def _ask(engine: Any, prompt: list[int], adapter_id: int, tokens: int) -> tuple[str, float]:
    """What was said, and the longest wait for a piece in seconds."""
    from assistant.engines.protocol import Sampling

    said, pause, last = [], 0.0, time.perf_counter()
    how = Sampling(max_tokens=tokens)
    for piece in engine.stream(prompt, adapter_id, how, (), threading.Event()):
        now = time.perf_counter()
        pause, last = max(pause, now - last), now
        said.append(piece.text)
    return "".join(said), pause


def adapters(base: Any, root: Path) -> list[Path]:
    """Made in a process of its own, whose memory goes with it."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_swap", "--make", str(root)]
    subprocess.run([*command, "--model", str(base.folder)], check=True)
    return sorted(root.iterdir())


def _make_adapters(base: Any, root: Path) -> int:
    """In the last layer, add a word's own direction to whatever goes through."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM

    from assistant.tokens import ChatTokenizer
    from tests.tiny import adapter_config

    model = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
    tokenizer = ChatTokenizer(base.folder)
    name = f"model.layers.{model.config.num_hidden_layers - 1}.mlp.down_proj"
    down, passed = model.get_submodule(name), []
    hook = down.register_forward_hook(lambda module, given, made: passed.append(given[0][0]))
    with torch.inference_mode():
        for text in QUESTIONS:
            model(torch.tensor([tokenizer.render([{"role": "user", "content": text}])]))
    hook.remove()
    usual = torch.cat([values[1:] for values in passed]).mean(dim=0)
    for index in range(ADAPTERS):
        folder = root / str(index)
        folder.mkdir(parents=True)
        word = model.get_output_embeddings().weight[tokenizer.encode(f" {index}")[-1]]
        key = f"base_model.model.{name}"
        tensors = {
            f"{key}.lora_A.weight": (usual / usual.norm() ** 2)[None].clone(),
            f"{key}.lora_B.weight": (1e4 * word / word.norm())[:, None].detach().clone(),
        }
        save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        config = json.dumps(adapter_config(rank=1, modules=["down_proj"]))
        (folder / "adapter_config.json").write_text(config)
    return 0


def _base(folder: Path | None) -> Any:
    from assistant.settings import read_settings
    from storage.models import resolve_base

    models = read_settings().data / "models"
    return resolve_base(str(folder) if folder else "embedded", models)


def _memory() -> float:
    """Resident memory of this process, in MB."""
    fields = Path("/proc/self/status").read_text().split("VmRSS:")[1].split()
    return int(fields[0]) / 1024


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--readers", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--pause", type=float, default=0.2, help="seconds between two swaps")
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--make", type=Path, default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
