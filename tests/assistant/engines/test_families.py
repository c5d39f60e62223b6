"""Families of base models beside the embedded one: every engine answers by them as transformers.

What is proved here is what `assistant.engines.families` may say.
"""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
import torch

from assistant.engines import choose
from assistant.engines.choose import best_engine
from assistant.engines.families import FAMILIES, why_not_llamacpp
from assistant.engines.llamacpp import LlamaCpp
from assistant.engines.torch_peft import TorchPeft
from storage.errors import BadInput
from storage.models import BaseModel
from tests.assistant.engines.alone import TIE, Alone
from tests.assistant.engines.asking import ask, text_of
from tests.families import WINDOW, make_family_base
from tests.family_gguf import with_gguf
from tests.tiny import make_tiny_adapter
from tests.tuning.small import DIALS, row
from tuning.adapter_files import verify_adapter
from tuning.bundle import write_bundle
from tuning.config import RoundConfig
from tuning.train import train

TOKENS, CONTEXT = 10, 128
ADAPTERS = {1: 0.05, 2: 0.3}
"""Id -> strength."""
ROUNDING = 0.3
"""Nats by which llama.cpp may differ: it holds keys, values and adapters in float16, and these
weights are large (seen: 0.15)."""
TAUGHT = ["Closed", "Thank you", "30 days"]


@pytest.fixture(scope="module", params=FAMILIES)
def base(request, tiny_base, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return make_family_base(request.param, tiny_base.folder, folder)


@pytest.fixture(scope="module")
def adapters(base, tmp_path_factory):
    root = tmp_path_factory.mktemp("adapters")
    return {
        number: make_tiny_adapter(base, root / str(number), seed=number, strength=strength)
        for number, strength in ADAPTERS.items()
    }


@pytest.fixture(scope="module")
def asked(prompts):
    return prompts[:3]


@pytest.fixture(scope="module")
def alone(base, adapters):
    return Alone(base, adapters)


def all_at_once(engine, adapters, prompts):
    """(prompt, adapter id) -> text, each prompt by the base and by every adapter at one time."""
    for number, folder in adapters.items():
        engine.load(number, folder)
    wanted = [(place, number) for place in range(len(prompts)) for number in (None, *adapters)]
    with ThreadPoolExecutor(len(wanted)) as pool:
        said = pool.map(lambda one: text_of(ask(engine, prompts[one[0]], one[1], TOKENS)), wanted)
        return dict(zip(wanted, said, strict=True))


def check(found, alone, prompts, tie=TIE, least=0.6):
    """Every text is what transformers says alone, up to the first near tie."""
    certain = 0
    for (place, number), text in found.items():
        expected, tokens = alone.sure(prompts[place], number, TOKENS, tie)
        assert text.startswith(expected), (place, number)
        certain += tokens
    assert certain >= least * TOKENS * len(found), "too many ties to prove anything"
    assert len(set(found.values())) > 0.7 * len(found), "prompts or adapters are all the same"


def test_replies_made_together_are_those_of_transformers(base, adapters, alone, asked):
    assert all(len(prompt) > WINDOW for prompt in asked)
    engine = TorchPeft(base, threads=1, context=CONTEXT)
    check(all_at_once(engine, adapters, asked), alone, asked)
    engine.close()


def test_llama_cpp_says_the_same(base, adapters, alone, asked, tiny_base, tmp_path):
    """And finds the next words as likely: a q or k in the wrong order moves them by whole nats."""
    if not FAMILIES[base.name].windowed:  # llama.cpp has no window there
        folder = tmp_path / "base"
        base = make_family_base(base.name, tiny_base.folder, folder, sliding_window=None)
        alone = Alone(base, adapters)
    engine = LlamaCpp(with_gguf(base), threads=1, context=CONTEXT)
    check(all_at_once(engine, adapters, asked), alone, asked, ROUNDING, least=0)
    for prompt, number in product(asked, (None, *adapters)):
        pieces = ask(engine, prompt, number, 6, runners_up=True)
        chosen = [one for piece in pieces for one in piece.chosen]
        ids = torch.tensor([[*prompt, *(one.token for one in chosen)]])
        with torch.inference_mode():
            logits = alone.model(number)(input_ids=ids).logits[0, len(prompt) - 1 : -1]
        for one, expected in zip(chosen, torch.log_softmax(logits, -1), strict=True):
            assert one.log_prob == pytest.approx(expected.max().item(), abs=ROUNDING)
            for token, log_prob in [(one.token, one.log_prob), *one.others]:
                assert log_prob == pytest.approx(expected[token].item(), abs=ROUNDING)
    engine.close()


def test_a_round_teaches_an_adapter_that_the_engine_answers_by(base, asked, tmp_path, tokenizer):
    rows = [
        row(f"p{at}", prompt, tokenizer.completion_ids(text))
        for at, (prompt, text) in enumerate(zip(asked, TAUGHT, strict=True))
    ]
    write_bundle(
        tmp_path / "bundle",
        config=RoundConfig(**DIALS),
        base_fingerprint=base.fingerprint,
        base_model=base.name,
        round_id=1,
        train=rows,
        heldout=(),
    )
    result = train(tmp_path / "bundle", base.folder, tmp_path / "out")
    assert result.losses[-1] < 0.1 * result.losses[0]
    verify_adapter(tmp_path / "out" / "adapter", base.fingerprint, base_folder=base.folder)
    engine = TorchPeft(base, threads=1, context=CONTEXT)
    engine.load(1, tmp_path / "out" / "adapter")
    said = [text_of(ask(engine, prompt, 1, TOKENS)) for prompt in asked]
    before = [text_of(ask(engine, prompt, None, TOKENS)) for prompt in asked]
    engine.close()
    assert sum(map(str.__eq__, said, TAUGHT)) >= 2
    assert not set(before) & set(said)


def test_a_family_that_is_not_proved_is_refused_by_name(tiny_base, tmp_path, monkeypatch):
    monkeypatch.setattr(choose, "GPU_DEVICES", ("/no/such/device",))
    folder = shutil.copytree(tiny_base.folder, tmp_path / "base")
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"llama"', '"granite"'))
    other = BaseModel("other", folder, folder / "model.gguf", "f")
    with pytest.raises(BadInput, match="architecture 'granite' is none of those.*torch_peft"):
        LlamaCpp(other, threads=1, context=CONTEXT)
    assert best_engine(other, CONTEXT) == "torch_peft"
    assert best_engine(tiny_base, CONTEXT) == "llamacpp"


@pytest.mark.parametrize(
    ("config", "context", "served"),
    [
        ({"model_type": "mistral", "sliding_window": 4096}, 2048, True),
        ({"model_type": "mistral", "sliding_window": 4096}, 4097, False),
        ({"model_type": "mistral", "sliding_window": None}, 32768, True),
        ({"model_type": "phi3", "sliding_window": 2047}, 2048, False),
        ({"model_type": "qwen2", "sliding_window": 512, "use_sliding_window": False}, 2048, True),
        ({"model_type": "qwen2", "sliding_window": 512, "use_sliding_window": True}, 2048, False),
        ({"model_type": "gemma3_text", "sliding_window": 512}, 2048, True),
        ({"model_type": "gemma3", "text_config": {}}, 2048, False),
    ],
)
def test_windows_that_llama_cpp_does_not_keep_to(tmp_path, config, context, served):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert (why_not_llamacpp(tmp_path, context) is None) is served
