"""Likelihoods of a real model: those of each prompt with each answer alone."""

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from tests.tiny import make_tiny_adapter
from tuning.likelihood import mean_log_probs, measure_forgetting
from tuning.sentinel import Choice

QUESTIONS = [
    ("How do I return a product", ["You can return it.", "You can return 12", "Closed"]),
    ("How do I return an order", ["Thank you", "You"]),
    ("Bonjour", ["ça va?", "List the orders"]),
]


@pytest.fixture(scope="module")
def choices(words):
    return [
        Choice(
            str(number),
            "knowledge",
            words.prompt(question)[1],
            tuple(words.ids(text + "<|im_end|>") for text in answers),
        )
        for number, (question, answers) in enumerate(QUESTIONS)
    ]


@pytest.fixture(scope="module")
def model(tiny_base, tmp_path_factory):
    base = AutoModelForCausalLM.from_pretrained(tiny_base.folder, dtype=torch.float32)
    adapter = make_tiny_adapter(tiny_base, tmp_path_factory.mktemp("adapter"))
    return PeftModel.from_pretrained(base, adapter)


def alone(model, prompt, answer):
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0]
    steps = torch.log_softmax(logits.float(), -1)[len(prompt) - 1 : -1]
    return steps[range(len(answer)), list(answer)].mean().item()


@pytest.mark.parametrize("most", [4096, 60])
def test_figures_are_those_of_each_answer_alone(model, choices, most, monkeypatch):
    monkeypatch.setattr("tuning.likelihood.TREE_TOKENS", most)
    found = mean_log_probs(model, choices)
    for choice, figures in zip(choices, found, strict=True):
        expected = [alone(model, choice.prompt_ids, option) for option in choice.options]
        assert figures == pytest.approx(expected, abs=1e-4)


def test_the_base_is_asked_without_the_adapter(model, choices):
    under = mean_log_probs(model, choices, under=model.disable_adapter)
    with model.disable_adapter():
        expected = alone(model, choices[0].prompt_ids, choices[0].options[0])
    assert under[0][0] == pytest.approx(expected, abs=1e-4)
    assert under[0][0] != pytest.approx(mean_log_probs(model, choices)[0][0], abs=0.01)


def test_the_model_trains_on_as_before(model, choices):
    model.train()
    mean_log_probs(model, choices)
    assert model.training
    model.eval()


def test_both_sides_are_compared_and_progress_is_told(model, choices):
    said = []
    found = measure_forgetting(model, choices, said.append)
    assert found["items"] == 3
    assert found["kinds"]["knowledge"]["items"] == 3
    assert {"base_right", "lost", "nats_lost", "lost_ids"} <= found.keys()
    assert said[-1] == {"note": "checking general knowledge: 6 of 6"}
    assert len(said) == 2


def test_an_adapter_that_does_nothing_loses_nothing(tiny_base, choices, tmp_path):
    base = AutoModelForCausalLM.from_pretrained(tiny_base.folder, dtype=torch.float32)
    idle = PeftModel.from_pretrained(base, make_tiny_adapter(tiny_base, tmp_path, strength=0.0))
    found = measure_forgetting(idle, choices, lambda said: None)
    assert (found["lost"], found["nats_lost"]) == (0, 0.0)


def test_nothing_to_measure_by_is_no_figure(model):
    assert measure_forgetting(model, [], lambda said: None) is None
