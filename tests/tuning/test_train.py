"""Real rounds of TRL on the two-layer base: the pairs are learned, and only the adapter moves."""

import dataclasses

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from storage.errors import BadInput
from tests.tuning.small import DIALS
from tuning.adapter_files import WEIGHTS, adapter_kind, verify_adapter
from tuning.batches import parts
from tuning.bundle import write_bundle
from tuning.config import RoundConfig
from tuning.course import TrainingFailed
from tuning.train import train


def bundle(folder, base, rows, heldout=(), **dials):
    return write_bundle(
        folder,
        config=RoundConfig(**{**DIALS, **dials}),
        base_fingerprint=base.fingerprint,
        base_model=base.name,
        round_id=1,
        train=rows,
        heldout=heldout,
    )


METHODS = {
    "qlora": {},
    "qlora int8": {"method": "qlora", "quantization": "int8"},
    "lora": {},
    "dora": {},
    "rslora": {"learning_rate": 0.005},
    "ia3": {"target_modules": "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"}
    | {
        "learning_rate": 0.1,
        "learned_loss": 0.15,
        "replay_share": 0.0,
        "variant_share": 0.0,
        "epochs": 120,
    },
    "bottleneck": {"placement": "houlsby"},
}
"""IA3 can only weigh what is there, and in random weights there is little: it is asked for less."""


@pytest.fixture(scope="module", params=METHODS)
def trained(request, tiny_base, rows, tmp_path_factory):
    """(method, result, out folder, what was said) of one round."""
    place = tmp_path_factory.mktemp("round")
    dials = {"method": request.param, **METHODS[request.param]}
    bundle(place / "bundle", tiny_base, rows, **dials)
    said = []
    before = (tiny_base.folder / "model.safetensors").read_bytes()
    result = train(place / "bundle", tiny_base.folder, place / "out", on_progress=said.append)
    assert (tiny_base.folder / "model.safetensors").read_bytes() == before
    return dials["method"], result, place / "out", said


def test_the_pairs_are_learned(trained):
    _, result, _, _ = trained
    assert result.stopped == "learned"
    assert (result.learned, result.pairs) == (4, 4)
    assert result.losses[-1] < 0.2 < result.losses[0]
    assert 0 < result.epochs < 120
    assert result.peak_rss_bytes > 50e6


def test_the_adapter_is_saved_and_verifies(trained, tiny_base):
    method, result, out, _ = trained
    manifest = verify_adapter(out / "adapter", tiny_base.fingerprint, base_folder=tiny_base.folder)
    assert (manifest.method, manifest.round_id) == (method, 1)
    assert adapter_kind(out / "adapter") == method.removeprefix("q")
    assert manifest.metrics["steps"] == result.steps
    assert [path.name for path in out.iterdir()] == ["adapter"]
    tensors = load_file(out / "adapter" / WEIGHTS)
    ups = [v for n, v in tensors.items() if n.endswith(("lora_B.weight", "up.weight", "ia3_l"))]
    # seven linear layers in each of two blocks, or the two behind which a bottleneck sits
    assert len(ups) == (4 if method == "bottleneck" else 14)
    begin = 1.0 if method == "ia3" else 0.0
    assert all((weights - begin).abs().max() > 0 for weights in ups)
    assert all(weights.dtype == torch.float32 for weights in tensors.values())


def test_the_adapter_answers_as_taught_on_the_base_as_it_is(trained, tiny_base, rows, words):
    _, _, out, _ = trained
    base = AutoModelForCausalLM.from_pretrained(tiny_base.folder)
    before = {name: weights.clone() for name, weights in base.named_parameters()}
    model = PeftModel.from_pretrained(base, out / "adapter").eval()
    for name, weights in base.named_parameters():
        if not any(part in name for part in ("lora_", "ia3_", "bottleneck_")):
            assert torch.equal(weights, before[name.replace(".base_layer", "")])
    for row in (row for row in rows if row.kind == "correction"):
        ids = torch.tensor([row.prompt_ids])
        answer = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=len(row.completion_ids),
            do_sample=False,
            eos_token_id=row.completion_ids[-1],
            pad_token_id=0,
        )
        assert tuple(answer[0, ids.shape[1] :].tolist()) == row.completion_ids


def test_progress_is_told_after_each_step(trained):
    _, result, _, said = trained
    assert [one["step"] for one in said] == list(range(1, result.steps + 1))
    assert said[-1]["loss"] < said[0]["loss"]
    assert said[-1]["learned"] == said[-1]["pairs"] == 4
    assert said[-1]["done"] == 1.0 and said[-1]["seconds_left"] == 0
    assert all(0 <= one["learning_rate"] <= 0.1 for one in said)


def test_the_same_seed_gives_the_same_adapter(tiny_base, rows, tmp_path):
    found = []
    for name in ("a", "b"):
        bundle(tmp_path / name, tiny_base, rows, epochs=2)
        train(tmp_path / name, tiny_base.folder, tmp_path / f"out-{name}")
        found.append(load_file(tmp_path / f"out-{name}" / "adapter" / WEIGHTS))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_a_rate_that_explodes_is_stopped_and_leaves_nothing(tiny_base, words, rows, tmp_path):
    bundle(tmp_path / "b", tiny_base, rows, learning_rate=1.0, epochs=40, alpha=1024)
    poisoned = _poisoned_copy(tiny_base, tmp_path / "base")
    with pytest.raises(TrainingFailed, match="learning rate below"):
        train(tmp_path / "b", poisoned, tmp_path / "out")
    assert not (tmp_path / "out" / "adapter").exists()


def _poisoned_copy(base, folder):
    """The tiny base with one weight that is no number: the loss cannot be one either."""
    import shutil

    from safetensors.torch import save_file

    shutil.copytree(base.folder, folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_folder_without_a_base_is_named(tiny_base, rows, tmp_path):
    bundle(tmp_path / "b", tiny_base, rows)
    with pytest.raises(BadInput, match="no base model"):
        train(tmp_path / "b", tmp_path / "nowhere", tmp_path / "out")


def _likelihoods(base, adapter, rows):
    """For each row: how much likelier its completion became, and its wrong answer where it has one.

    In nats of the whole text.
    """
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base.folder), adapter)

    def said(row, ids):
        whole = torch.tensor([[*row.prompt_ids, *ids]])
        logits = model.eval()(input_ids=whole).logits[0, len(row.prompt_ids) - 1 : -1]
        return -torch.nn.functional.cross_entropy(logits, torch.tensor(ids), reduction="sum").item()

    moved = []
    with torch.no_grad():
        for row in rows:
            texts = [ids for ids in (row.completion_ids, row.rejected_ids) if ids]
            after = [said(row, ids) for ids in texts]
            with model.disable_adapter():
                moved.append([now - said(row, ids) for now, ids in zip(after, texts, strict=True)])
    return moved


def test_dpo_says_the_correction_rather_than_the_wrong_answer(tiny_base, compared, tmp_path):
    gaps = {}
    for objective in ("sft", "dpo"):
        folder = tmp_path / objective
        bundle(folder, tiny_base, compared, objective=objective, epochs=12)
        result = train(folder, tiny_base.folder, tmp_path / f"{objective}-out")
        assert result.pairs == 4
        adapter = tmp_path / f"{objective}-out" / "adapter"
        moved = _likelihoods(tiny_base, adapter, compared)
        assert all(chosen > 1 and chosen > wrong + 1 for chosen, wrong in moved)
        gaps[objective] = sum(chosen - wrong for chosen, wrong in moved)
    assert gaps["dpo"] > gaps["sft"] + 4, "the wrong answers were not pushed away"


def test_thumbs_move_replies_the_way_they_point(tiny_base, thumbs, tmp_path):
    bundle(tmp_path / "b", tiny_base, thumbs, objective="kto", epochs=15)
    result = train(tmp_path / "b", tiny_base.folder, tmp_path / "out")
    assert (result.learned, result.pairs) == (5, 5)
    assert result.losses[-1] < 0.8 * result.losses[0]
    for row, (moved,) in zip(
        thumbs, _likelihoods(tiny_base, tmp_path / "out" / "adapter", thumbs), strict=True
    ):
        assert (moved > 1) if row.label else (moved < -1), row.id


def test_corrections_and_thumbs_are_taught_in_one_round(tiny_base, rows, thumbs, tmp_path):
    bundle(tmp_path / "b", tiny_base, [*rows, *thumbs], objective="kto", epochs=40)
    result = train(tmp_path / "b", tiny_base.folder, tmp_path / "out")
    assert result.pairs == 9 and result.learned >= 8


def test_named_targets_train_those_alone(tiny_base, rows, tmp_path):
    bundle(tmp_path / "b", tiny_base, rows, epochs=1, target_modules="q_proj, v_proj")
    train(tmp_path / "b", tiny_base.folder, tmp_path / "out")
    names = load_file(tmp_path / "out" / "adapter" / WEIGHTS)
    assert {name.split(".")[-3] for name in names} == {"q_proj", "v_proj"}


@pytest.mark.parametrize("method", ["lora", "ia3", "bottleneck"])
def test_only_the_upper_layers_may_be_trained(tiny_base, rows, tmp_path, method):
    bundle(tmp_path / "b", tiny_base, rows, epochs=1, layers=0.5, method=method)
    train(tmp_path / "b", tiny_base.folder, tmp_path / "out")
    made = tmp_path / "out" / "adapter"
    verify_adapter(made, tiny_base.fingerprint, base_folder=tiny_base.folder)
    names = load_file(tmp_path / "out" / "adapter" / WEIGHTS)
    assert {name.split("layers.")[1][0] for name in names} == {"1"}


def test_minutes_are_kept(tiny_base, rows, tmp_path):
    bundle(tmp_path / "b", tiny_base, rows, epochs=10_000, max_minutes=0.01, learned_loss=0.0)
    result = train(tmp_path / "b", tiny_base.folder, tmp_path / "out")
    assert result.stopped == "time is up"
    assert 0 < result.steps < 10_000


def test_the_prompt_is_never_learned(rows):
    for part in parts(rows, 10_000):
        for row, labels in _labels(part):
            assert labels == row.completion_ids


def _labels(part):
    for number, row in enumerate(part.rows):
        found = zip(part.labels, part.label_rows, strict=True)
        yield row, tuple(label for label, place in found if place == number)


def test_a_variant_trains_its_pairs_answer(rows):
    for row in rows:
        if row.kind == "variant":
            pair = next(one for one in rows if one.id == row.of)
            assert row.completion_ids == pair.completion_ids
            assert dataclasses.replace(row, kind="correction") != pair
