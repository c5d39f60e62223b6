"""A merged model says what base and adapter say together, whatever the kind of the adapter."""

import json

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from storage.errors import BadInput, Refused
from storage.models import chat_template, fingerprint
from tests.tiny import make_tiny_adapter
from tuning.child import RoundFailed
from tuning.merge import merge, merge_in_child

IDS = torch.tensor([[1, 40, 41, 42, 43]])
KINDS = {
    "lora": LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "down_proj"]),
    "rslora": LoraConfig(
        task_type="CAUSAL_LM", r=4, use_rslora=True, target_modules=["q_proj", "down_proj"]
    ),
    "dora": LoraConfig(task_type="CAUSAL_LM", r=4, use_dora=True, target_modules=["q_proj"]),
    "ia3": IA3Config(
        task_type="CAUSAL_LM",
        target_modules=["k_proj", "down_proj"],
        feedforward_modules=["down_proj"],
    ),
}


def read(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def logits(model):
    with torch.no_grad():
        return model(IDS).logits


@pytest.fixture
def adapter(tiny_base, tmp_path):
    """Makes a random adapter of a kind."""

    def make(kind):
        torch.manual_seed(1)
        model = get_peft_model(read(tiny_base.folder), KINDS[kind])
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data += 0.3 * torch.randn_like(parameter)
        model.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
        return tmp_path / "adapter"

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_merged_says_the_same(tiny_base, adapter, tmp_path, kind):
    folder, said = adapter(kind), []
    merge(tiny_base.folder, folder, tmp_path / "out", say=said.append)
    together = logits(PeftModel.from_pretrained(read(tiny_base.folder), folder))
    assert torch.allclose(logits(read(tmp_path / "out")), together, atol=1e-3)
    assert not torch.allclose(logits(read(tiny_base.folder)), together, atol=1e-1)
    assert said[0]["done"] == 0.0


def test_the_folder_is_a_whole_model(tiny_base, adapter, tmp_path):
    merge(tiny_base.folder, adapter("lora"), tmp_path / "out")
    assert fingerprint(tmp_path / "out") != tiny_base.fingerprint
    assert chat_template(tmp_path / "out") == chat_template(tiny_base.folder)
    messages = [{"role": "user", "content": "List the completed orders"}]
    rendered = [
        AutoTokenizer.from_pretrained(folder).apply_chat_template(
            messages, add_generation_prompt=True, return_dict=False
        )
        for folder in (tiny_base.folder, tmp_path / "out")
    ]
    assert rendered[0] == rendered[1]
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "float32"


def test_a_layer_of_its_own_cannot_be_merged(tiny_base, tmp_path):
    folder = make_tiny_adapter(tiny_base, tmp_path / "adapter")
    (folder / "adapter_config.json").write_text('{"peft_type": "BOTTLENECK"}')
    with pytest.raises(Refused, match="bottleneck adapter .* --format peft"):
        merge_in_child(tiny_base.folder, folder, tmp_path / "out", log=tmp_path / "log")


def test_what_is_no_number_is_not_merged(tiny_base, tmp_path):
    folder = make_tiny_adapter(tiny_base, tmp_path / "adapter", strength=float("inf"))
    with pytest.raises(BadInput, match="cannot be merged"):
        merge(tiny_base.folder, folder, tmp_path / "out")


def test_a_child_that_dies_is_told(tmp_path, tiny_base, monkeypatch):
    monkeypatch.setattr("tuning.merge.PROGRAM", ["-c", "raise SystemExit(1)"])
    folder = make_tiny_adapter(tiny_base, tmp_path / "adapter")
    with pytest.raises(RoundFailed, match="code 1.*log"):
        merge_in_child(tiny_base.folder, folder, tmp_path / "out", log=tmp_path / "log")
