"""What an adapter has lost, measured again in a process of its own."""

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from tests.tiny import make_tiny_adapter
from tests.tuning.small import PAIRS
from tuning.bundle import write_bundle
from tuning.child import RoundCancelled, RoundFailed
from tuning.config import RoundConfig
from tuning.likelihood import measure_forgetting
from tuning.remeasure import remeasured
from tuning.sentinel import Choice

CHOICES = [
    Choice(str(n), "knowledge", (1, 2, 3 + n), ((40 + n, 50), (60, 70 + n))) for n in range(4)
]


@pytest.fixture
def bundle(tmp_path, tiny_base):
    def make(choices):
        return write_bundle(
            tmp_path / "bundle",
            config=RoundConfig(method="lora", threads=1),
            base_fingerprint=tiny_base.fingerprint,
            base_model="tiny",
            round_id=1,
            train=PAIRS,
            heldout=[],
            likelihood=choices,
        ).folder

    return make


@pytest.fixture(scope="module")
def adapter(tiny_base, tmp_path_factory):
    return make_tiny_adapter(tiny_base, tmp_path_factory.mktemp("adapter"))


def test_the_child_says_what_the_model_says(bundle, adapter, tiny_base, tmp_path):
    said = []
    found = remeasured(
        bundle(CHOICES), adapter, tiny_base.folder, log=tmp_path / "log", on_progress=said.append
    )
    base = AutoModelForCausalLM.from_pretrained(tiny_base.folder, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, adapter)
    expected = measure_forgetting(model, CHOICES, lambda said: None)
    assert {**found, "nats_lost": 0, "kinds": 0} == {
        **expected,
        "nats_lost": 0,
        "kinds": 0,
        "lost_ids": list(expected["lost_ids"]),
    }
    assert found["nats_lost"] == pytest.approx(expected["nats_lost"], abs=1e-4)
    assert said[-1]["note"] == "checking general knowledge: 8 of 8"


def test_without_general_items_there_is_nothing_to_measure(bundle, adapter, tmp_path):
    assert remeasured(bundle([]), adapter, tmp_path / "no base", log=tmp_path / "log") is None


def test_it_stops_when_the_round_is_cancelled_and_tells_of_its_death(bundle, adapter, tmp_path):
    folder = bundle(CHOICES)
    with pytest.raises(RoundCancelled):
        remeasured(folder, adapter, tmp_path, log=tmp_path / "log", cancelled=lambda: True)
    with pytest.raises(RoundFailed, match="ended with code 1"):
        remeasured(folder, adapter, tmp_path / "no base", log=tmp_path / "log")
