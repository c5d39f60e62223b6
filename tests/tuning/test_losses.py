"""What a step costs: the figures of packed rows are those of rows alone."""

import pytest
import torch
from datasets import Dataset
from peft import get_peft_model
from transformers import AutoTokenizer

from tuning.batches import mismatched, parts
from tuning.config import RoundConfig
from tuning.losses import (
    dpo_losses,
    drifts,
    kl_estimate,
    kto_losses,
    log_ratios,
    row_sums,
    token_losses,
)
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


@pytest.fixture
def moved(tiny_base):
    """The tiny base with an adapter that has moved away from it."""
    model = _as_peft(load_base(tiny_base.folder, RoundConfig(method="lora")))
    _move(model)
    return model


def _move(model):
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_B" in name:
                weights.copy_(0.2 * torch.randn_like(weights))


def _alone(model, row):
    """Log-likelihood of the row's completion, computed on its own."""
    ids = torch.tensor([[*row.prompt_ids, *row.completion_ids]])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0, len(row.prompt_ids) - 1 : -1]
    labels = torch.tensor(row.completion_ids)
    return -torch.nn.functional.cross_entropy(logits, labels, reduction="sum").item()


@pytest.mark.parametrize("most", [1, 10_000])
def test_both_answers_of_a_pair_have_the_likelihoods_of_rows_alone(moved, compared, most):
    seen, known = {}, {}
    for part in parts(compared, most, compare=True):
        with torch.no_grad():
            losses, _ = token_losses(moved, part)
            ratios = log_ratios(moved, part, losses, known)
        for row, total, ratio in zip(part.rows, row_sums(-losses, part), ratios, strict=True):
            alone = _alone(moved, row)
            with moved.disable_adapter():
                base = _alone(moved, row)
            assert total.item() == pytest.approx(alone, abs=1e-3)
            assert ratio.item() == pytest.approx(alone - base, abs=1e-3)
            assert abs(ratio.item()) > 0.01
            seen[row.id] = row
    assert seen.keys() == known.keys()
    assert sorted(row.kind for row in seen.values()) == ["correction"] * 4 + ["rejected"] * 4


def test_what_the_base_says_is_computed_once(moved, compared):
    (part,) = parts(compared, 10_000, compare=True)
    with torch.no_grad():
        losses, _ = token_losses(moved, part)
        known = {}
        first = log_ratios(moved, part, losses, known)
        _forbid(moved)
        assert torch.equal(log_ratios(moved, part, losses, known), first)


def _forbid(model):
    def never():
        raise AssertionError("the base was asked again")

    model.disable_adapter = never


@pytest.fixture(scope="module")
def tokenizer(tiny_base):
    return AutoTokenizer.from_pretrained(tiny_base.folder)


def _trl(kind, config, tiny_base, tokenizer, folder, row, **dials):
    """TRL's own trainer on the tiny base, with an adapter that has moved."""
    base = load_base(tiny_base.folder, RoundConfig(method="lora"))
    trainer = kind(
        model=base,
        args=config(output_dir=str(folder), use_cpu=True, bf16=False, report_to="none", **dials),
        train_dataset=Dataset.from_list([row] * 4),
        processing_class=tokenizer,
        peft_config=peft_config(RoundConfig(method="lora"), base),
    )
    for weights in trainer.model.parameters():
        weights.data = weights.data.float()
    _move(trainer.model)
    return trainer


def _padded(rows):
    """input_ids, attention_mask and completion_mask of rows, as TRL's collators make them."""
    longest = max(len(row.prompt_ids) + len(row.completion_ids) for row in rows)
    batch = {"input_ids": [], "attention_mask": [], "completion_mask": []}
    for row in rows:
        ids = [*row.prompt_ids, *row.completion_ids]
        rest = [0] * (longest - len(ids))
        batch["input_ids"].append(ids + rest)
        batch["attention_mask"].append([1] * len(ids) + rest)
        batch["completion_mask"].append(
            [0] * len(row.prompt_ids) + [1] * len(row.completion_ids) + rest
        )
    return {name: torch.tensor(values) for name, values in batch.items()}


def test_dpo_with_its_sft_term_is_that_of_trl(tiny_base, tokenizer, compared, tmp_path):
    from trl import DPOConfig, DPOTrainer

    text = {"prompt": "List the", "chosen": " orders", "rejected": " product"}
    dials = {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 1.0], "beta": 0.3}
    trainer = _trl(DPOTrainer, DPOConfig, tiny_base, tokenizer, tmp_path, text, **dials)
    model = trainer.model.eval()
    (part,) = parts(compared, 10_000, compare=True)
    chosen = [row for row in part.rows if row.kind != "rejected"]
    rejected = [row for row in part.rows if row.kind == "rejected"]
    with torch.no_grad():
        theirs = trainer._compute_loss(model, _padded([*chosen, *rejected]), False)
        losses, _ = token_losses(model, part)
        ratios = log_ratios(model, part, losses, {})
        ours = dpo_losses(ratios[0::2], ratios[1::2], 0.3).mean()
        words = torch.tensor([place % 2 == 0 for place in part.label_rows])
        assert (ours + losses[words].mean()).item() == pytest.approx(theirs.item(), abs=1e-4)


def test_kto_is_that_of_trl(tiny_base, tokenizer, thumbs, tmp_path):
    from trl import KTOConfig, KTOTrainer

    text = {"prompt": "List the", "completion": " orders", "label": True}
    dials = {"beta": 0.3, "desirable_weight": 1.0, "undesirable_weight": 1.5}
    dials["per_device_train_batch_size"] = 2
    trainer = _trl(KTOTrainer, KTOConfig, tiny_base, tokenizer, tmp_path, text, **dials)
    model = trainer.model.eval()
    (part,) = parts(thumbs, 10_000)
    liked = torch.tensor([row.label for row in part.rows])
    other = _padded(mismatched(thumbs))
    batch = {**_padded(thumbs), **{f"KL_{name}": value for name, value in other.items()}}
    batch["label"] = torch.tensor([row.label for row in thumbs])
    points = []
    for _ in range(2):
        with torch.no_grad():
            theirs = trainer._compute_loss(model, batch, False)
            losses, _ = token_losses(model, part)
            points.append(kl_estimate(model, thumbs, 10_000))
            each = kto_losses(log_ratios(model, part, losses, {}), liked, points[-1], 0.3)
            ours = (torch.where(liked, 1.0, 1.5) * each).mean()
            assert ours.item() == pytest.approx(theirs.item(), abs=1e-4)
            for name, weights in model.named_parameters():
                weights.mul_(-1 if "lora_B" in name else 1)
    assert max(points) > 0 == min(points), "the reference point was never tried"


def test_the_reference_point_is_no_less_than_nothing_and_has_no_gradient(moved, thumbs):
    assert kl_estimate(moved, thumbs[:1], 1000) == 0
    whole, cut = (kl_estimate(moved, thumbs, most) for most in (10_000, 1))
    assert whole.item() == pytest.approx(cut.item(), abs=1e-3)
    assert not whole.requires_grad
    with moved.disable_adapter():
        assert kl_estimate(moved, thumbs, 1000) == 0
