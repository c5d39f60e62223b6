"""Which engine serves: what is there decides, and a wrong name is told."""

import dataclasses

import pytest

from assistant.engines import choose
from assistant.engines.choose import best_engine, engine_beside, open_engine
from storage.errors import BadInput


def test_a_gguf_is_served_by_llama_cpp_on_a_cpu(tiny_base, monkeypatch):
    monkeypatch.setattr(choose, "GPU_DEVICES", ("/no/such/device",))
    assert best_engine(tiny_base, 512) == "llamacpp"
    assert best_engine(dataclasses.replace(tiny_base, gguf=None), 512) == "torch_peft"


def test_auto_opens_it(tiny_base, monkeypatch):
    monkeypatch.setattr(choose, "GPU_DEVICES", ("/no/such/device",))
    engine = open_engine(tiny_base, threads=1, context=128)
    assert engine.name == "llamacpp" and engine.context_length == 128
    engine.close()


def test_an_unknown_engine(tiny_base):
    with pytest.raises(
        BadInput, match="'vllm' is not known: use auto, llamacpp, torch_peft or remote"
    ):
        open_engine(tiny_base, engine="vllm", threads=1)


def test_what_llama_cpp_cannot_serve_is_served_beside_it():
    found = {
        kind: engine_beside("llamacpp", kind)
        for kind in ("lora", "rslora", "dora", "ia3", "bottleneck")
    }
    assert [kind for kind, beside in found.items() if beside is None] == ["lora", "rslora"]
    assert set(found.values()) == {None, "torch_peft"}
    assert engine_beside("torch_peft", "bottleneck") is None
