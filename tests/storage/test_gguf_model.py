"""Weights of a Llama as GGUF: read back they are the same numbers under the same names."""

import json
import shutil

import numpy as np
import pytest
from gguf import GGUFReader
from safetensors.numpy import load_file

from storage.conversion import convert
from storage.errors import BadInput
from storage.gguf_model import Weight, check_can_be_gguf, write_model_gguf


@pytest.fixture
def weights(tiny_base):
    found = load_file(tiny_base.folder / "model.safetensors")
    return [Weight(name, value.shape, lambda value=value: value) for name, value in found.items()]


def back(gguf, folder):
    """The tensors of a GGUF as our own reader of bases gives them."""
    folder.mkdir()
    convert(gguf, folder)
    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize(("kind", "most"), [("f16", 1e-3), ("q8_0", 2e-2)])
def test_it_reads_back_as_the_same_model(tiny_base, weights, tmp_path, kind, most):
    told = []
    write_model_gguf(
        tmp_path / "m.gguf",
        weights,
        tiny_base.folder,
        quantization=kind,
        name="told",
        on_tensor=lambda done, total: told.append((done, total)),
    )
    found = back(tmp_path / "m.gguf", tmp_path / "back")
    before = load_file(tiny_base.folder / "model.safetensors")
    assert found.keys() == before.keys()
    for name, value in before.items():
        assert np.abs(found[name] - value).max() <= most * np.abs(value).max(), name
    assert told[-1] == (len(weights), len(weights))
    assert (tmp_path / "back" / "chat_template.jinja").read_text() == (
        tiny_base.folder / "chat_template.jinja"
    ).read_text()


def test_the_vocabulary_is_the_one_of_the_bases_own_gguf(tiny_base, weights, tmp_path):
    write_model_gguf(tmp_path / "own.gguf", weights, tiny_base.folder)
    write_model_gguf(tmp_path / "copied.gguf", weights, tiny_base.folder, gguf=tiny_base.gguf)
    fields = [
        {
            name: field.contents()
            for name, field in GGUFReader(tmp_path / name).fields.items()
            if name.startswith("tokenizer") or name.startswith("llama")
        }
        for name in ("own.gguf", "copied.gguf")
    ]
    # what writes the tiny base's own GGUF leaves this one out
    assert fields[0].pop("tokenizer.ggml.unknown_token_id") == 0
    assert fields[0] == fields[1]


@pytest.mark.parametrize(
    ("file", "change", "named"),
    [
        ("config.json", {"model_type": "qwen2"}, "architecture 'qwen2'"),
        ("config.json", {"rope_scaling": {"rope_type": "llama3"}}, "rope scaling"),
        ("config.json", {"rope_parameters": {"rope_type": "yarn"}}, "rope scaling"),
        ("tokenizer.json", {"pre_tokenizer": {"type": "Whitespace"}}, "cuts text"),
    ],
)
def test_a_base_that_it_would_get_wrong_is_refused(tiny_base, tmp_path, file, change, named):
    folder = shutil.copytree(tiny_base.folder, tmp_path / "base")
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(BadInput, match=named):
        check_can_be_gguf(folder, None)


def test_a_weight_without_a_place_is_refused(tiny_base, tmp_path):
    odd = Weight("model.layers.0.self_attn.q_proj.bias", (4,), lambda: np.zeros(4))
    with pytest.raises(BadInput, match="q_proj.bias"):
        write_model_gguf(tmp_path / "m.gguf", [odd], tiny_base.folder)
