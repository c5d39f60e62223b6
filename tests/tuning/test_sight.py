"""Rows packed together see what each alone would see, whatever windows the layers have."""

import pytest
import torch
from peft import get_peft_model

from tests.families import WINDOW, make_family_base
from tuning.batches import parts
from tuning.config import RoundConfig
from tuning.likelihood import mean_log_probs
from tuning.losses import token_losses
from tuning.methods import load_base, peft_config
from tuning.sentinel import Choice
from tuning.sight import masks

LORA = RoundConfig(method="lora")


@pytest.fixture(scope="module", params=["mistral", "phi3", "gemma3_text", "qwen3"])
def base(request, tiny_base, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return load_base(make_family_base(request.param, tiny_base.folder, folder).folder, LORA)


def alone(base, prompt, completion):
    """The log-likelihood of each token of the completion."""
    with torch.no_grad():
        logits = base(input_ids=torch.tensor([[*prompt, *completion]])).logits[0]
    said = torch.log_softmax(logits, -1)[len(prompt) - 1 : -1]
    return said[range(len(completion)), list(completion)]


def test_training_and_scoring_keep_to_the_windows(base, rows):
    known = [row for row in rows if row.kind == "correction"]
    assert all(len(row.prompt_ids) > 2 * WINDOW for row in known)
    expected = {row.id: alone(base, row.prompt_ids, row.completion_ids) for row in known}
    choices = [
        Choice(row.id, "knowledge", row.prompt_ids, (row.completion_ids, row.prompt_ids[:3]))
        for row in known
    ]
    for row, found in zip(known, mean_log_probs(base, choices), strict=True):
        assert found[0] == pytest.approx(expected[row.id].mean().item(), abs=1e-4)
    wrapped = get_peft_model(base, peft_config(LORA, base))
    (part,) = parts(known, 10_000)
    with torch.no_grad():
        losses, _ = token_losses(wrapped, part)
    for number, row in enumerate(part.rows):
        mine = torch.tensor([place == number for place in part.label_rows])
        assert torch.allclose(-losses[mine], expected[row.id], atol=1e-4), row.id


def test_attention_in_plain_torch_adds_its_mask(base):
    seen = torch.ones(3, 3, dtype=torch.bool).tril()
    base.config._attn_implementation = "eager"
    made = masks(base, seen, torch.arange(3))
    whole = made["full_attention"] if isinstance(made, dict) else made
    assert (whole[0, 0] == 0).equal(seen) and whole.min() < -1e30
