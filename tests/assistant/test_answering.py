"""Answers from a child process, by the engine that will serve."""

import os
import signal
import threading

import pytest

from assistant.answering import AnsweringFailed, ChildAnswerer
from assistant.engines.choose import open_engine
from assistant.engines.protocol import Sampling
from tests.tiny import make_tiny_adapter

QUESTIONS = ["Which orders?", "How do I return a product?", "Thank you!"]


@pytest.fixture
def prompts(app):
    return [app.tokenizer.render([{"role": "user", "content": text}]) for text in QUESTIONS]


def said_here(app, prompt, adapter_id=None):
    pieces = app.engine.stream(prompt, adapter_id, Sampling(max_tokens=8), (), threading.Event())
    return "".join(piece.text for piece in pieces).strip()


def test_child_says_what_the_serving_engine_says(app, prompts, tmp_path):
    folder = make_tiny_adapter(app.base, tmp_path / "adapter")
    app.engine.load(1, folder)
    told = []
    with ChildAnswerer(app.base, app.settings, tmp_path / "log") as child:
        base = child.answer(prompts, adapter=None, max_tokens=8, on_answer=told.append)
        taught = child.answer(prompts, adapter=(0, folder), max_tokens=8)
    assert base == [said_here(app, prompt) for prompt in prompts]
    assert taught == [said_here(app, prompt, 1) for prompt in prompts]
    assert base != taught
    assert told == [1, 2, 3]


def test_chance_falls_by_the_seeds(app, prompts, tmp_path):
    three = [prompts[0]] * 3
    with ChildAnswerer(app.base, app.settings, tmp_path / "log", at_once=1) as child:
        said, again = (
            child.answer(three, adapter=None, max_tokens=8, temperature=2.0, seeds=(1, 2, 1))
            for _ in range(2)
        )
    assert said == again
    assert said[0] == said[2] != said[1]


def test_dead_child_is_one_clear_sentence(app, prompts, tmp_path):
    with ChildAnswerer(app.base, app.settings, tmp_path / "log") as child:
        child.answer(prompts[:1], adapter=None, max_tokens=2)
        os.kill(child._child.pid, signal.SIGKILL)
        with pytest.raises(AnsweringFailed, match="ended with code -9"):
            child.answer(prompts, adapter=None, max_tokens=8)


def test_fault_of_one_answer_reaches_the_parent(app, prompts, tmp_path):
    with (
        ChildAnswerer(app.base, app.settings, tmp_path / "log") as child,
        pytest.raises(AnsweringFailed, match="could not answer"),
    ):
        child.answer([prompts[0] * 500], adapter=None, max_tokens=8)


def test_cancelling_stops_the_evaluation(app, prompts, tmp_path):
    with (
        ChildAnswerer(app.base, app.settings, tmp_path / "log") as child,
        pytest.raises(AnsweringFailed, match="cancelled"),
    ):
        child.answer(prompts, adapter=None, max_tokens=8, cancelled=lambda: True)


def test_child_leaves_with_its_block(app, tmp_path):
    with ChildAnswerer(app.base, app.settings, tmp_path / "log") as child:
        pid = child._child.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_adapter_that_llama_cpp_cannot_serve_is_asked_of_torch(app, prompts, tmp_path):
    plain = make_tiny_adapter(app.base, tmp_path / "plain")
    other = make_tiny_adapter(app.base, tmp_path / "other", kind="bottleneck")
    torch_engine = open_engine(app.base, engine="torch_peft", threads=1, context=512)
    torch_engine.load(1, other)
    pieces = torch_engine.stream(prompts[0], 1, Sampling(max_tokens=8), (), threading.Event())
    expected = "".join(piece.text for piece in pieces).strip()
    torch_engine.close()
    app.engine.load(1, plain)
    with ChildAnswerer(app.base, app.settings, tmp_path / "log") as child:
        said = [
            child.answer(prompts[:1], adapter=adapter, max_tokens=8)[0]
            for adapter in ((0, other), None, (2, plain), (0, other))
        ]
    base, taught = said_here(app, prompts[0]), said_here(app, prompts[0], 1)
    assert said == [expected, base, taught, expected]
