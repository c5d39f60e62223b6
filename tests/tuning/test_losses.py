"""What a step costs: the figures of packed rows are those of rows alone."""

import pytest
import torch
from peft import get_peft_model

from tuning.batches import parts
from tuning.config import RoundConfig
from tuning.losses import drifts, token_losses
from tuning.methods import load_base, peft_config


def test_packed_rows_have_the_losses_of_rows_alone(tiny_base, rows, tmp_path):
    base = load_base(tiny_base.folder, RoundConfig(method="lora"))
    wrapped = _as_peft(base)
    together = {}
    with torch.no_grad():
        for part in parts(rows, 10_000):
            losses, _ = token_losses(wrapped, part)
            for number, row in enumerate(part.rows):
                mine = [place == number for place in part.label_rows]
                together[row.id] = losses[torch.tensor(mine)]
        for row in rows:
            ids = torch.tensor([[*row.prompt_ids, *row.completion_ids]])
            logits = base(input_ids=ids).logits[0, len(row.prompt_ids) - 1 : -1]
            alone = torch.nn.functional.cross_entropy(
                logits, torch.tensor(row.completion_ids), reduction="none"
            )
            assert torch.allclose(together[row.id], alone, atol=1e-4)


@pytest.mark.parametrize("method", ["lora", "dora", "ia3", "bottleneck"])
def test_drift_is_nothing_until_the_adapter_moves(tiny_base, rows, method):
    model = _as_peft(load_base(tiny_base.folder, RoundConfig(method=method)), method)
    (part,) = parts([row for row in rows if row.kind == "replay"], 1000)
    assert torch.allclose(drifts(model, part, {}), torch.zeros(len(part.labels)), atol=1e-5)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if any(part in name for part in ("lora_B", "ia3_", "bottleneck_up")):
                weights += 0.05
    known = {}
    moved = drifts(model, part, known)
    assert known.keys() == {row.id for row in part.rows}
    assert torch.equal(drifts(model, part, known), moved), "the base was remembered as another"
    assert moved.shape == (len(part.labels),)
    assert (moved > 1e-4).all()
    moved.sum().backward()
    assert all(w.grad is not None for w in model.parameters() if w.requires_grad)
    assert any(w.requires_grad for w in model.parameters())


def _as_peft(base, method="lora"):
    return get_peft_model(base, peft_config(RoundConfig(method=method), base))
