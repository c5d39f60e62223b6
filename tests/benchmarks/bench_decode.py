"""Tokens a second of the CPU default against `transformers.generate`: same request, same weights.

Once with questions alone, once with what the sample company's documents say in front of them.

    python -m tests.benchmarks.bench_decode [--threads N] [--tokens N] [--turns N]

A whole request is timed, prompt included: llama.cpp on the Q8_0 file, and `generate` on the same
weights in bf16 with the cache on. Each in a process of its own, in turn, so that a busy machine
slows both; each turn asks another question, so no prompt is in a cache. The ratio is of medians.
"""

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

from storage.records import Inputs, Passage

AIMS = {"questions alone": 3.4, "with documents": 5.0}
"""The default must be at least this many times as fast."""
DOCUMENTS = Path(__file__).parents[2] / "assistant" / "sample" / "documents"
PASSAGES, LONG = 3, 400
"""Passages in front of a question, and their length in characters."""

QUESTIONS = [
    "Write a few sentences about how a small company answers its customers' letters.",
    "Explain in a few sentences what a warehouse does when an order arrives.",
    "Describe in a few sentences how a good invoice is laid out.",
    "Tell me in a few sentences why a shop keeps a list of its suppliers.",
    "Say in a few sentences how two teams share one calendar.",
]


def main() -> int:
    """Runs both in turn and prints the table; 1 when the aim is missed."""
    given = _arguments()
    if given.part:
        return _run_part(given)
    return max(_compare(given, kind) for kind in AIMS)


def _compare(given: argparse.Namespace, kind: str) -> int:
    found: dict[str, list[float]] = {"llamacpp": [], "generate, bf16": []}
    for turn in range(given.turns):
        for name in found:
            found[name].append(_measure(name, given, turn, kind))
    speeds = {name: statistics.median(runs) for name, runs in found.items()}
    for name, speed in speeds.items():
        print(f"{kind}, {name:15} {speed:6.1f} tokens a second, whole request")
    ratio = speeds["llamacpp"] / speeds["generate, bf16"]
    print(f"ratio {ratio:.2f} (aim: at least {AIMS[kind]})", flush=True)
    return int(ratio < AIMS[kind])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--part", choices=["llamacpp", "generate, bf16"], help=argparse.SUPPRESS)
    parser.add_argument("--kind", choices=list(AIMS), help=argparse.SUPPRESS)
    parser.add_argument("--turn", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(name: str, given: argparse.Namespace, turn: int, kind: str) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.bench_decode", "--part", name]
    command += ["--kind", kind]
    command += ["--turn", str(turn), "--threads", str(given.threads), "--tokens", str(given.tokens)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(ran.stderr)
    return float(json.loads(ran.stdout.splitlines()[-1]))


def _run_part(given: argparse.Namespace) -> int:
    """Answer a question to warm up and three to be timed; prints the median speed."""
    from assistant.prompt import build_messages
    from assistant.settings import read_settings
    from assistant.tokens import ChatTokenizer
    from storage.models import resolve_base

    base = resolve_base("embedded", read_settings().data / "models")
    tokenizer = ChatTokenizer(base.folder)
    answer = _llamacpp(base, given) if given.part == "llamacpp" else _generate(base, given)
    speeds = []
    for number in range(4):
        question = QUESTIONS[(given.turn + number) % len(QUESTIONS)]
        ids = tokenizer.render(build_messages(_inputs(f"{number}. {question}", number, given)))
        started = time.perf_counter()
        speeds.append(answer(ids) / (time.perf_counter() - started))
    print(statistics.median(speeds[1:]))
    return 0


def _inputs(question: str, number: int, given: argparse.Namespace) -> Inputs:
    """The question, and where documents are wanted some that no other question has."""
    passages: tuple[Passage, ...] = ()
    if given.kind == "with documents":
        said = "\n".join(path.read_text() for path in sorted(DOCUMENTS.glob("*.md")))
        start = (5 * given.turn + number) * PASSAGES * LONG
        texts = [(said + said)[start % len(said) + LONG * one :][:LONG] for one in range(PASSAGES)]
        passages = tuple(Passage(one, 1, "sample", text, "", 1.0) for one, text in enumerate(texts))
    return Inputs(question, "", 1, passages=passages)


def _llamacpp(base, given):
    from assistant.engines.llamacpp import LlamaCpp
    from assistant.engines.protocol import Sampling

    engine = LlamaCpp(base, threads=given.threads, context=2048)
    how = Sampling(max_tokens=given.tokens)

    def answer(ids: list[int]) -> int:
        pieces = engine.stream(ids, None, how, (), threading.Event())
        return sum(piece.tokens for piece in pieces)

    return answer


def _generate(base, given):
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(given.threads)
    model = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.bfloat16).eval()

    def answer(ids: list[int]) -> int:
        with torch.inference_mode():
            made = model.generate(
                input_ids=torch.tensor([ids]),
                max_new_tokens=given.tokens,
                do_sample=False,
                use_cache=True,
            )
        return made.shape[1] - len(ids)

    return answer


if __name__ == "__main__":
    sys.exit(main())
