"""A GGUF becomes the canonical form: the same weights, the same tokenizer."""

import json

import numpy as np
import pytest
from gguf import GGUFWriter
from safetensors.numpy import load_file

from storage.conversion import convert, to_half_split, to_interleaved
from storage.errors import BadInput
from storage.models import check_safetensors


@pytest.fixture(scope="module")
def converted(tiny_base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted")
    convert(tiny_base.gguf, folder)
    return folder


def test_weights_are_those_that_were_written(tiny_base, converted):
    before = load_file(tiny_base.folder / "model.safetensors")
    after = load_file(converted / "model.safetensors")
    check_safetensors(converted / "model.safetensors")
    assert before.keys() == after.keys()
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name], err_msg=name)


def test_config_and_tokenizer_are_the_same(tiny_base, converted):
    before, after = (
        json.loads((folder / "config.json").read_text()) for folder in (tiny_base.folder, converted)
    )
    assert {key: after[key] for key in before} == before
    from tokenizers import Tokenizer

    ours, theirs = (
        Tokenizer.from_file(str(folder / "tokenizer.json"))
        for folder in (tiny_base.folder, converted)
    )
    for text in ("On 2024-11-05: 12 orders", "<|im_start|>user\n  ça 日本 😀\n\n", "don't I'LL"):
        assert ours.encode(text).ids == theirs.encode(text).ids
        assert theirs.decode(theirs.encode(text).ids, skip_special_tokens=False) == text


def test_the_same_bytes_every_time(tiny_base, converted, tmp_path):
    convert(tiny_base.gguf, tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (converted / path.name).read_bytes(), path.name


def test_transformers_opens_it(converted):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, report = AutoModelForCausalLM.from_pretrained(converted, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert model.config.rope_parameters["rope_theta"] == 10000.0
    tokenizer = AutoTokenizer.from_pretrained(converted)
    assert tokenizer.eos_token == "<|im_end|>" and tokenizer.chat_template


@pytest.mark.parametrize(("heads", "rows"), [(4, 64), (2, 32), (1, 6)])
def test_row_order_there_and_back(heads, rows):
    weight = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    turned = to_interleaved(weight, heads)
    np.testing.assert_array_equal(to_half_split(turned, heads), weight)
    # Row 1 of a head in llama.cpp's order is the second half's first row.
    np.testing.assert_array_equal(turned[1], weight[rows // heads // 2])


def test_another_architecture_is_refused(tmp_path):
    writer = GGUFWriter(tmp_path / "other.gguf", "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(BadInput, match="mamba"):
        convert(tmp_path / "other.gguf", tmp_path)
