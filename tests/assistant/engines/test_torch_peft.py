"""What is special about torch: one worker, rows that join and leave, adapters in PEFT."""

import shutil
import threading

import pytest
import torch
from safetensors.numpy import load_file, save_file

from assistant.engines import torch_peft
from assistant.engines.protocol import EngineFailed, Sampling
from assistant.engines.torch_peft import TorchPeft
from storage.errors import BadInput
from storage.models import BaseModel
from tests.assistant.engines.asking import TOKENS, ask, text_of
from tests.tiny import make_tiny_adapter


@pytest.fixture
def engine(tiny_base):
    opened = TorchPeft(tiny_base, threads=1, context=256)
    yield opened
    opened.close()


def test_without_any_adapter_left_it_is_the_pure_base(engine, prompts, tiny_adapters, truth):
    for _ in range(2):
        engine.load(1, tiny_adapters[1])
        assert text_of(ask(engine, prompts[0], 1)) == truth(prompts[0], 1)
        engine.unload(1)
        assert text_of(ask(engine, prompts[0])) == truth(prompts[0])


def test_adapters_are_bounded(engine, prompts, tiny_base, tmp_path, monkeypatch):
    monkeypatch.setattr(torch_peft, "MAX_ADAPTERS", 2)
    for number in (1, 2):
        engine.load(number, make_tiny_adapter(tiny_base, tmp_path / str(number), seed=number))
    before = text_of(ask(engine, prompts[0], 1))
    engine.load(3, make_tiny_adapter(tiny_base, tmp_path / "3", seed=3))
    assert engine.adapters() == {1, 3}
    assert engine._models.names == {"a1", "a3"}
    assert text_of(ask(engine, prompts[0], 1)) == before


def break_once(engine, monkeypatch, *, prompts_only=False):
    """The next forward pass fails, as for want of memory; those after it work."""
    whole = engine._rows._forward

    def fail(**inputs):
        if prompts_only and inputs["input_ids"].shape[1] == 1:
            return whole(**inputs)
        monkeypatch.setattr(engine._rows, "_forward", whole)
        raise RuntimeError("out of memory")

    monkeypatch.setattr(engine._rows, "_forward", fail)


def test_a_prompt_that_fails_disturbs_nobody_else(engine, prompts, truth, monkeypatch):
    first = engine.stream(prompts[0], None, Sampling(max_tokens=TOKENS), (), threading.Event())
    heard = [next(first)]
    break_once(engine, monkeypatch, prompts_only=True)
    with pytest.raises(EngineFailed, match="out of memory"):
        ask(engine, prompts[1])
    assert text_of([*heard, *first]) == truth(prompts[0])


def test_a_step_that_fails_is_told_to_its_readers_and_the_engine_lives(
    engine, prompts, truth, monkeypatch
):
    stream = engine.stream(prompts[0], None, Sampling(max_tokens=200), (), threading.Event())
    next(stream)
    break_once(engine, monkeypatch)
    with pytest.raises(EngineFailed, match="out of memory"):
        list(stream)
    assert text_of(ask(engine, prompts[0])) == truth(prompts[0])


def test_an_adapter_whose_tensors_do_not_fit(engine, prompts, tiny_adapters, tmp_path, truth):
    folder = shutil.copytree(tiny_adapters[1], tmp_path / "spoilt")
    path = folder / "adapter_model.safetensors"
    save_file({name: values[:, :3].copy() for name, values in load_file(path).items()}, path)
    with pytest.raises(BadInput, match="does not fit"):
        engine.load(5, folder)
    assert engine.adapters() == set()
    engine.load(1, tiny_adapters[1])
    assert text_of(ask(engine, prompts[0], 1)) == truth(prompts[0], 1)
    with pytest.raises(BadInput, match="does not fit"):
        engine.load(5, folder)
    assert text_of(ask(engine, prompts[0], 1)) == truth(prompts[0], 1)


def test_scores_are_the_models_likelihoods(engine, prompts, tiny_base):
    from transformers import AutoModelForCausalLM

    said = [5, 100, 42]
    model = AutoModelForCausalLM.from_pretrained(tiny_base.folder, dtype=torch.float32)
    with torch.inference_mode():
        logits = model(torch.tensor([prompts[0] + said])).logits[0]
    chances = torch.log_softmax(logits, dim=-1)
    start = len(prompts[0]) - 1
    expected = [float(chances[start + index, one]) for index, one in enumerate(said)]
    assert engine.score(prompts[0], said, None) == pytest.approx(expected, abs=1e-4)
    with pytest.raises(BadInput):
        engine.score(prompts[0] * 50, said, None)


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(EngineFailed, match=r"config\.json"):
        TorchPeft(BaseModel("x", tmp_path, None, "f"), threads=1, context=256)


def test_layers_that_cannot_be_batched_are_refused(tiny_base, tmp_path):
    folder = shutil.copytree(tiny_base.folder, tmp_path / "base")
    config = folder / "config.json"
    config.write_text(
        config.read_text().replace(
            '"model_type": "llama"', '"model_type": "lfm2", "layer_types": ["conv", "conv"]'
        )
    )
    with pytest.raises(BadInput, match="conv"):
        TorchPeft(BaseModel("x", folder, None, "f"), threads=1, context=256)


@pytest.mark.gpu
def test_four_bit_on_a_gpu(engine, prompts, tiny_adapters):
    assert getattr(engine._models.base, "is_loaded_in_4bit", False)
    engine.load(1, tiny_adapters[1])
    alone = [text_of(ask(engine, prompt, 1, TOKENS)) for prompt in prompts]
    assert all(alone)
