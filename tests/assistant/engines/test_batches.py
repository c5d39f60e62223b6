"""Replies by adapters that cannot share a batch, at once, by the torch engine."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from assistant.engines.protocol import Sampling
from assistant.engines.torch_peft import TorchPeft
from tests.assistant.engines.asking import TOKENS, ask, text_of
from tests.tiny import make_tiny_adapter

SERVED = {1: "bottleneck", 2: "bottleneck", 3: "lora", 4: "dora", 5: "ia3", 6: "rslora"}


@pytest.fixture(scope="module")
def folders(tiny_base, tmp_path_factory):
    root = tmp_path_factory.mktemp("served")
    return {
        number: make_tiny_adapter(tiny_base, root / str(number), seed=number, kind=kind)
        for number, kind in SERVED.items()
    }


@pytest.fixture(scope="module")
def alone(tiny_base, folders, prompts):
    """(adapter id, place of the prompt) -> the answer of an engine that holds nothing else."""
    said = {}
    for number in (None, *folders):
        engine = TorchPeft(tiny_base, threads=1, context=256)
        if number is not None:
            engine.load(number, folders[number])
        for place, prompt in enumerate(prompts[:2]):
            said[number, place] = text_of(ask(engine, prompt, number))
        engine.close()
    assert len(set(said.values())) == len(said), "some adapters answer alike"
    return said


@pytest.fixture
def engine(tiny_base, folders):
    opened = TorchPeft(tiny_base, threads=1, context=256)
    for number, folder in folders.items():
        opened.load(number, folder)
    yield opened
    opened.close()


def test_all_kinds_at_once_answer_as_each_alone(engine, alone, prompts):
    wanted = list(alone) * 2
    with ThreadPoolExecutor(len(wanted)) as pool:
        made = list(pool.map(lambda one: text_of(ask(engine, prompts[one[1]], one[0])), wanted))
    assert made == [alone[one] for one in wanted]


def test_rows_share_a_batch_by_kind(engine, prompts):
    streams = [
        engine.stream(prompts[0], number, Sampling(max_tokens=200), (), threading.Event())
        for number in (None, 3, 6, 1, 1, 2, 5)
    ]
    for stream in streams:
        next(stream)
    found = engine._in_worker(
        lambda: {word: len(batch.rows) for word, batch in engine._rows._batches.items()}
    )
    assert found == {"mixed": 3, "a1": 2, "a2": 1, "a5": 1}
    for stream in streams:
        stream.close()


def test_a_swap_does_not_disturb_a_running_reply(tiny_base, folders, alone, prompts):
    engine = TorchPeft(tiny_base, threads=1, context=256)
    engine.load(1, folders[1])
    how = Sampling(max_tokens=TOKENS)
    running = engine.stream(prompts[0], 1, how, (), threading.Event())
    heard = [next(running)]
    for number in (2, 3, 5):
        engine.load(number, folders[number])
    assert text_of(ask(engine, prompts[1], 2)) == alone[2, 1]
    engine.unload(1)
    assert text_of([*heard, *running]) == alone[1, 0]
    assert engine.adapters() == {2, 3, 5}
    assert text_of(ask(engine, prompts[0])) == alone[None, 0]
    engine.close()
