"""How fast replies come: the house around the model, many at once, second turns, overrides.

    python -m tests.benchmarks.bench_serving [--threads N] [--turns N] [--bundle FOLDER]

Both sides of each ratio run in turn in this process, so that whatever else the machine does slows
both; medians are compared. The opponents: `xllamacpp` asked without the house around it; the same
users one after another; the same prompt where nothing was read before; the model alone while no
round trains. BUNDLE is that of a round (`apprentice rounds export ID BUNDLE`), trained meanwhile.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from assistant.app import App, open_app
from assistant.engines.choose import open_engine
from assistant.engines.protocol import Engine, Sampling
from assistant.reply import Done, ReplyOptions, reply
from assistant.settings import read_settings
from assistant.tokens import ChatTokenizer
from storage.conversations import start_conversation
from storage.feedback import add_feedback, approve
from storage.models import BaseModel, resolve_base
from storage.records import Workspace
from storage.workspaces import workspace as workspace_by_name
from tests.benchmarks.bench_decode import QUESTIONS as FIVE
from tests.benchmarks.bench_swap import adapters
from tuning.child import RoundFailed
from tuning.runners.local import train_in_child

HOUSE_AIM, MANY_AIM, FIRST_AIM, SECOND_AIM, OVERRIDE_AIM_MS, BESIDE_AIM = (
    0.95,
    1.2,
    2,
    0.25,
    30,
    1.25,
)
LEFT_AIM = 2
"""Tokens after which the slot of a reader who left is free."""
TOKENS = 48
QUESTIONS = [
    *FIVE,
    "Write a few sentences about a day in a harbour.",
    "Explain in a few sentences how a sail is measured.",
    "Describe in a few sentences what a good reference letter says.",
]

Row = tuple[str, str, bool]
"""What was measured, the figures, whether the aim is met."""


def main() -> int:
    """Measures and prints; 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--bundle", type=Path)
    given = parser.parse_args()
    base = resolve_base("embedded", read_settings().data / "models")
    missed = 0
    for what, figures, met in measured(base, given):
        print(f"{'      ' if met else 'missed'} {what}: {figures}", flush=True)
        missed += not met
    return int(missed > 0)


def measured(base: BaseModel, given: argparse.Namespace) -> Iterator[Row]:
    """Every row, each with engines of its own."""
    tokenizer = ChatTokenizer(base.folder)
    prompts = [tokenizer.render([{"role": "user", "content": text}]) for text in QUESTIONS]
    with tempfile.TemporaryDirectory() as scratch:
        with house(base, Path(scratch) / "data", given.threads) as (app, workspace):
            yield around_the_model(app, workspace, base, given)
            yield overrides(app, workspace)
        with open_as("llamacpp", base, given.threads, 512) as engine:
            for number, folder in enumerate(adapters(base, Path(scratch) / "adapters"), 1):
                engine.load(number, folder)
            yield from many(engine, prompts, given.turns)
        with open_as("llamacpp", base, given.threads, 512, at_once=1) as engine:
            yield a_reader_leaves(engine, prompts, given.turns)
            if given.bundle:
                yield beside_a_round(engine, prompts, given.bundle, base)
    for name in ("llamacpp", "torch_peft"):
        with open_as(name, base, given.threads, 2048) as engine:
            yield second_turn(engine, tokenizer, given.turns)


@contextmanager
def open_as(
    name: str, base: BaseModel, threads: int, context: int, **more: Any
) -> Iterator[Engine]:
    """An engine, closed afterwards."""
    engine = open_engine(base, engine=name, threads=threads, context=context, **more)
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def house(base: BaseModel, data: Path, threads: int) -> Iterator[tuple[App, Workspace]]:
    """An app with an engine that answers at once only, as the opponent does."""
    settings = read_settings(
        data=data, base_model=str(base.folder), threads=threads, engine="llamacpp"
    )
    with open_app(settings) as app, closing(app.db()) as db:
        yield app, workspace_by_name(db, "default")


def ask(app: App, workspace: Workspace, question: str) -> Done:
    """One reply in a conversation of its own."""
    with closing(app.db()) as db:
        conversation = start_conversation(db, workspace.id, "bench")
    options = ReplyOptions(max_tokens=TOKENS)
    *_, done = reply(app, workspace, conversation.id, "bench", question, options=options)
    assert isinstance(done, Done)
    return done


def around_the_model(
    app: App, workspace: Workspace, base: BaseModel, given: argparse.Namespace
) -> Row:
    """Tokens a second of whole replies, saved and all, over those of bare `xllamacpp`."""
    bare = _bare(base, given.threads)
    ask(app, workspace, "Hello?")
    speeds: dict[str, list[float]] = {"ours": [], "xllamacpp": []}
    for turn in range(2 * given.turns):
        for number, question in enumerate(QUESTIONS):
            text = f"{turn}.{number} {question}"  # no prompt is in a cache
            started = time.perf_counter()
            done = ask(app, workspace, text)
            tokens = done.message.completion_tokens
            speeds["ours"].append(tokens / (time.perf_counter() - started))
            started = time.perf_counter()
            made = bare(list(done.message.sent_ids or ()))
            speeds["xllamacpp"].append(made / (time.perf_counter() - started))
    ours, raw = median(speeds["ours"]), median(speeds["xllamacpp"])
    figures = f"{ours:.1f} tokens a second, xllamacpp alone {raw:.1f}: {ours / raw:.2f}"
    return "one user, whole replies", f"{figures} (aim {HOUSE_AIM})", ours / raw >= HOUSE_AIM


def _bare(base: BaseModel, threads: int) -> Callable[[list[int]], int]:
    """`xllamacpp` with the settings that the house has."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(base.gguf)
    params.n_ctx, params.n_parallel = 2048, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_gpu_layers, params.warmup, params.verbosity = 0, False, -1
    server = xllamacpp.Server(params)

    def answer(ids: list[int]) -> int:
        asked = {"prompt": ids, "n_predict": TOKENS, "samplers": ["top_k"], "top_k": 1}
        said: list[Any] = []
        server.handle_completions(asked, said.append)
        return int(said[-1]["usage"]["completion_tokens"])

    return answer


def overrides(app: App, workspace: Workspace) -> Row:
    """Milliseconds until an approved answer is there, the embedder loaded."""
    done = ask(app, workspace, QUESTIONS[0])
    with closing(app.db()) as db:
        given = add_feedback(
            db,
            message_id=done.message.id,
            origin="staff",
            contributor="user:1",
            correction="We answer within a day.",
        )
        approve(db, given.id, reviewer="user:1")
    app.embedder.embed(["a question"])
    took = []
    for _ in range(50):
        started = time.perf_counter()
        said = ask(app, workspace, QUESTIONS[0])
        took.append(1000 * (time.perf_counter() - started))
        assert said.override is not None
    worst = quantiles(took, n=20)[-1]
    figures = f"median {median(took):.0f} ms, p95 {worst:.0f} ms (aim {OVERRIDE_AIM_MS})"
    return "an override, conversation and all", figures, worst <= OVERRIDE_AIM_MS


def many(engine: Engine, prompts: list[list[int]], turns: int) -> Iterator[Row]:
    """Eight users over three adapters at once, over the same one after another."""
    users = [(prompt, 1 + number % 3) for number, prompt in enumerate(prompts)]
    alone, waits = {}, []
    for number, user in enumerate(users):
        started = time.perf_counter()
        alone[number], _, first = said(engine, *user)
        waits.append(first - started)
    rates: dict[str, list[float]] = {"together": [], "in turn": []}
    firsts: dict[str, list[float]] = {"together": [], "in turn": []}
    wrong = 0
    for _ in range(turns):
        for way, at_once in (("in turn", False), ("together", True)):
            started = time.perf_counter()
            replies = _all(engine, users, at_once)
            taken = time.perf_counter() - started
            rates[way].append(sum(tokens for _, tokens, _ in replies.values()) / taken)
            firsts[way] += [first - started for _, _, first in replies.values()]
            wrong += sum(text != alone[number] for number, (text, _, _) in replies.items())
    together, serial = median(rates["together"]), median(rates["in turn"])
    figures = f"{together:.1f} tokens a second, one after another {serial:.1f}: "
    figures += f"{together / serial:.2f} (aim {MANY_AIM}); {wrong} by the wrong adapter"
    met = together / serial >= MANY_AIM and not wrong
    yield "eight users over three adapters", figures, met
    wait, one = median(firsts["together"]), median(waits)
    figures = f"{wait:.1f} s after all asked, the last {max(firsts['together']):.1f} s; one after "
    figures += f"another {median(firsts['in turn']):.1f} and {max(firsts['in turn']):.1f} s; one "
    figures += f"alone {one:.2f} s: {wait / one:.1f} (aim {FIRST_AIM})"
    yield "their first tokens", figures, wait / one <= FIRST_AIM


Said = dict[int, tuple[str, int, float]]


def _all(engine: Engine, users: list[tuple[list[int], int]], at_once: bool) -> Said:
    """(text, tokens, when its first came) of each user's reply."""
    replies: Said = {}

    def one(number: int) -> None:
        replies[number] = said(engine, *users[number])

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(users))]
    for thread in threads:
        thread.start()
        if not at_once:
            thread.join()
    for thread in threads:
        thread.join()
    return replies


def said(engine: Engine, prompt: list[int], adapter_id: int | None) -> tuple[str, int, float]:
    """(text, tokens, when its first came)."""
    first, text, tokens = 0.0, "", 0
    for piece in engine.stream(
        prompt, adapter_id, Sampling(max_tokens=TOKENS), (), threading.Event()
    ):
        first = first or time.perf_counter()
        text, tokens = text + piece.text, tokens + piece.tokens
    return text, tokens, first


def a_reader_leaves(engine: Engine, prompts: list[list[int]], turns: int) -> Row:
    """By how many tokens' time the only slot answers later than after a reply that had ended."""
    late = []
    for prompt, other in zip(prompts * turns, prompts[1:] * turns, strict=False):
        list(engine.stream(prompt, None, Sampling(max_tokens=20), (), threading.Event()))
        ended = time.perf_counter()
        usual = _first(engine, other) - ended
        pieces = engine.stream(prompt, None, Sampling(max_tokens=400), (), threading.Event())
        times = [time.perf_counter() for _, _ in zip(range(20), pieces, strict=False)]
        pieces.close()  # type: ignore[attr-defined]
        left = time.perf_counter()
        waited = _first(engine, other) - left
        late.append((waited - usual) / (times[-1] - times[0]) * (len(times) - 1))
    figures = f"its slot is free after {median(late):.1f} tokens (aim {LEFT_AIM})"
    return "a reader leaves", figures, median(late) <= LEFT_AIM


def _first(engine: Engine, prompt: list[int]) -> float:
    """When the first token of a reply came."""
    pieces = engine.stream(prompt, None, Sampling(max_tokens=1), (), threading.Event())
    next(pieces)
    now = time.perf_counter()
    list(pieces)
    return now


def second_turn(engine: Engine, tokenizer: ChatTokenizer, turns: int) -> Row:
    """First token of a second turn after 1,500 tokens, over that of one new from its beginning."""
    times: dict[str, list[float]] = {"second": [], "new": []}
    for turn in range(turns):
        text = f"{turn}. " + " ".join(QUESTIONS) * 20
        opening = tokenizer.decode(tokenizer.encode(text)[:1450])
        talk = [{"role": "user", "content": opening}, {"role": "assistant", "content": "Yes."}]
        second = [*talk, {"role": "user", "content": "And why?"}]
        _first(engine, tokenizer.render(talk[:1]))
        for way, messages in (
            ("second", second),
            ("new", [{**second[0], "content": "New. " + opening}, *second[1:]]),
        ):
            ids = tokenizer.render(messages)
            started = time.perf_counter()
            times[way].append(_first(engine, ids) - started)
    ours, new = median(times["second"]), median(times["new"])
    figures = f"{ours:.2f} s, new {new:.2f} s: {ours / new:.2f} (aim {SECOND_AIM})"
    return f"second turn, {engine.name}", figures, ours / new <= SECOND_AIM


def beside_a_round(engine: Engine, prompts: list[list[int]], bundle: Path, base: BaseModel) -> Row:
    """Seconds of whole replies while a round trains, over those while none does."""
    alone = [_whole(engine, prompt) for prompt in prompts * 4]
    with training(bundle, base):
        beside = [_whole(engine, prompt) for prompt in prompts * 4]
    still = quantiles(beside, n=20)[-1] / quantiles(alone, n=20)[-1]
    figures = f"p95 {quantiles(beside, n=20)[-1]:.2f} s, alone {quantiles(alone, n=20)[-1]:.2f} s: "
    return "beside a round", f"{figures}{still:.2f} (aim {BESIDE_AIM})", still <= BESIDE_AIM


def _whole(engine: Engine, prompt: list[int]) -> float:
    started = time.perf_counter()
    said(engine, prompt, None)
    return time.perf_counter() - started


@contextmanager
def training(bundle: Path, base: BaseModel) -> Iterator[None]:
    """A round's own process, past its start."""
    enough = threading.Event()
    with tempfile.TemporaryDirectory() as out:
        round_ = threading.Thread(target=_train, args=(bundle, base, Path(out), enough))
        round_.start()
        try:
            time.sleep(40)  # it has read the model and trains
            assert round_.is_alive(), "the round ended before it was measured"
            yield
            assert round_.is_alive(), "the round ended while it was measured"
        finally:
            enough.set()
            round_.join()


def _train(bundle: Path, base: BaseModel, out: Path, enough: threading.Event) -> None:
    with suppress(RoundFailed):  # that it was cancelled
        train_in_child(
            bundle, out, base.folder, on_progress=lambda said: None, cancelled=enough.is_set
        )


if __name__ == "__main__":
    sys.exit(main())
