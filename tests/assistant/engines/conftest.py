"""Two tiny adapters, and what transformers alone answers by each: the truth for every engine."""

import pytest

from assistant.engines.choose import open_engine
from assistant.tokens import ChatTokenizer
from tests.assistant.engines.model_servers import KEY, running
from tests.tiny import make_tiny_adapter

QUESTIONS = [
    "List the completed orders.",
    "How do I return a product?",
    "Bonjour, ça va? 日本語 😀",
    "Answer as JSON, please: order 12",
]


def two_adapters(base, root):
    """Adapter id -> its folder."""
    return {number: make_tiny_adapter(base, root / str(number), seed=number) for number in (1, 2)}


@pytest.fixture(scope="session")
def tiny_adapters(tiny_base, tmp_path_factory):
    return two_adapters(tiny_base, tmp_path_factory.mktemp("adapters"))


@pytest.fixture(scope="session")
def lora_server(tiny_base):
    """A server that loads adapters while it runs, as vLLM does."""
    with running("lora_server", tiny_base.folder, KEY) as server:
        yield server


@pytest.fixture(scope="session")
def open_named(request, tiny_base):
    """(name, context) -> that engine on the tiny base; `remote` asks the `lora_server`."""

    def opened(name, context):
        place = request.getfixturevalue("lora_server").place if name == "remote" else None
        return open_engine(tiny_base, engine=name, threads=1, context=context, remote=place)

    return opened


@pytest.fixture(scope="session")
def tokenizer(tiny_base):
    return ChatTokenizer(tiny_base.folder)


@pytest.fixture(scope="session")
def prompts(tokenizer):
    return [tokenizer.render([{"role": "user", "content": text}]) for text in QUESTIONS]


@pytest.fixture(scope="session")
def truth(tiny_base, tiny_adapters):
    """(prompt ids, adapter id or None, tokens) -> what `transformers.generate` says alone."""
    from tests.assistant.engines.alone import Alone

    return Alone(tiny_base, tiny_adapters).say
