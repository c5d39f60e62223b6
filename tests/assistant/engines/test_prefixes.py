"""What was read before is not read again, and never by another adapter."""

import threading

import pytest
import torch
from transformers import DynamicCache

from assistant.engines.prefixes import Prefixes
from assistant.engines.protocol import Sampling
from assistant.engines.torch_peft import TorchPeft
from tests.assistant.engines.asking import ask, text_of


@pytest.fixture
def engine(tiny_base, tiny_adapters):
    opened = TorchPeft(tiny_base, threads=1, context=512)
    for number, folder in tiny_adapters.items():
        opened.load(number, folder)
    yield opened
    opened.close()


@pytest.fixture
def read(engine):
    """How many tokens each prompt took, as it goes: passes of more than one token a row."""
    whole, lengths = engine._rows._forward, []

    def counted(**inputs):
        if inputs["input_ids"].shape[1] > 1:
            lengths.append(inputs["input_ids"].shape[1])
        return whole(**inputs)

    engine._rows._forward = counted
    return lengths


def turns(tokenizer, first, reply, second):
    said = [{"role": "user", "content": first}, {"role": "assistant", "content": reply}]
    return tokenizer.render([*said, {"role": "user", "content": second}])


def test_the_next_turn_is_read_from_where_it_is_new(engine, read, prompts, tokenizer, truth):
    for adapter_id in (None, 1, 2):
        read.clear()
        reply = text_of(ask(engine, prompts[0], adapter_id))
        assert read == [len(prompts[0])], "nothing of another adapter is taken over"
        prompt = turns(tokenizer, "List the completed orders.", reply, "And in May?")
        assert text_of(ask(engine, prompt, adapter_id)) == truth(prompt, adapter_id)
        assert read[1] <= len(prompt) - len(prompts[0])
        ask(engine, prompt, adapter_id)
        assert len(read) == 2, "only its last token was read again"


def test_rows_that_ran_beside_others_are_remembered_as_they_were(
    engine, read, prompts, tokenizer, truth
):
    long = turns(tokenizer, "Hello", "Good morning", "How do I return a product? " * 8)
    beside = engine.stream(long, 2, Sampling(max_tokens=60), (), threading.Event())
    next(beside)
    reply = text_of(ask(engine, prompts[0], 1))
    list(beside)
    prompt = turns(tokenizer, "List the completed orders.", reply, "Why?")
    assert text_of(ask(engine, prompt, 1)) == truth(prompt, 1)
    assert read[-1] <= len(prompt) - len(prompts[0])
    assert text_of(ask(engine, long, 2)) == truth(long, 2)


def test_what_an_unloaded_adapter_read_is_forgotten(engine, read, prompts, tiny_adapters, truth):
    ask(engine, prompts[0], 1)
    engine.unload(1)
    engine.load(1, tiny_adapters[2])  # never done by the house: an id has one version
    assert text_of(ask(engine, prompts[0], 1)) == truth(prompts[0], 2)
    assert read == [len(prompts[0])] * 2


def layers(length):
    return [(torch.zeros(1, 2, length, 4), torch.zeros(1, 2, length, 4)) for _ in range(2)]


def test_the_longest_beginning_counts_and_what_was_unused_for_longest_goes():
    size = 2 * 2 * 2 * 4 * 4  # bytes of a token
    prefixes = Prefixes(room=150 * size)
    first, other = list(range(60)), list(range(100, 160))
    prefixes.keep("a", first, layers(60))
    prefixes.keep("a", other, layers(60))
    assert prefixes.begin("a", first)[0] == 59, "the last one is read"
    assert prefixes.begin("b", first)[0] == 0
    assert prefixes.begin("a", [*first[:15], 7, 8, 9])[0] == 0, "too little to be worth it"
    common, cache = prefixes.begin("a", [*first[:20], 7, 8, 9])
    assert common == 20 and isinstance(cache, DynamicCache) and cache.get_seq_length() == 20
    prefixes.keep("a", [*first, 1, 2], layers(62))  # in place of its beginning: still room
    assert prefixes.begin("a", other)[0] == 59
    prefixes.keep("b", first, layers(60))
    assert prefixes.begin("a", [*first, 1, 2])[0] == 0, "it was unused for longest"
    assert prefixes.begin("a", other)[0] == prefixes.begin("b", first)[0] == 59
    prefixes.keep("b", list(range(500, 700)), layers(200))
    assert prefixes.begin("b", list(range(500, 700)))[0] == 0, "more than there is room for"
