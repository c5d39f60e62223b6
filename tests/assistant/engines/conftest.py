"""Two tiny adapters, and what transformers alone answers by each: the truth for every engine."""

from functools import cache

import pytest

from assistant.tokens import ChatTokenizer
from tests.assistant.engines.asking import TOKENS
from tests.tiny import make_tiny_adapter

QUESTIONS = [
    "List the completed orders.",
    "How do I return a product?",
    "Bonjour, ça va? 日本語 😀",
    "Answer as JSON, please: order 12",
]


@pytest.fixture(scope="session")
def tiny_adapters(tiny_base, tmp_path_factory):
    """Adapter id -> its folder."""
    root = tmp_path_factory.mktemp("adapters")
    return {
        number: make_tiny_adapter(tiny_base, root / str(number), seed=number) for number in (1, 2)
    }


@pytest.fixture(scope="session")
def tokenizer(tiny_base):
    return ChatTokenizer(tiny_base.folder)


@pytest.fixture(scope="session")
def prompts(tokenizer):
    return [tokenizer.render([{"role": "user", "content": text}]) for text in QUESTIONS]


@pytest.fixture(scope="session")
def truth(tiny_base, tiny_adapters, tokenizer):
    """(prompt ids, adapter id or None, tokens) -> what `transformers.generate` says alone."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    @cache
    def model(adapter_id):
        base = AutoModelForCausalLM.from_pretrained(tiny_base.folder, dtype=torch.float32)
        if adapter_id is None:
            return base.eval()
        return PeftModel.from_pretrained(base, tiny_adapters[adapter_id]).eval()

    @cache
    def generate(prompt, adapter_id, tokens):
        with torch.inference_mode():
            made = model(adapter_id).generate(
                input_ids=torch.tensor([prompt]),
                max_new_tokens=tokens,
                do_sample=False,
                eos_token_id=[0, 2],
                output_scores=True,
                return_dict_in_generate=True,
            )
        two = torch.cat(made.scores).topk(2).values
        # Engines differ by rounding: keys and values in float16, adapters in float16.
        assert (two[:, 0] - two[:, 1]).min() > 0.003, "nearly a tie: choose another question"
        return tokenizer.decode(made.sequences[0, len(prompt) :].tolist()).rstrip("\ufffd")

    def say(prompt, adapter_id=None, tokens=TOKENS):
        return generate(tuple(prompt), adapter_id, tokens)

    return say
