"""What is promised of the engine `remote`, kept by vLLM itself: three servers behind a balancer.

The tests are those that `make test` runs on a stand-in. `make vllm` installs vLLM for the
processor; without it they are skipped.
"""

import time
from contextlib import closing

import httpx
import pytest

import tests.tiny
from assistant.engines.protocol import Sampling
from storage.errors import BadInput
from storage.models import BaseModel
from tests.assistant.engines import test_remote as one
from tests.assistant.engines import test_remote_replicas as several
from tests.assistant.engines.alone import Alone
from tests.assistant.engines.asking import ask, text_of, tokens_of
from tests.assistant.engines.conftest import two_adapters
from tests.assistant.engines.model_servers import KEY, Running
from tests.assistant.engines.replica_servers import three
from tests.assistant.engines.vllm_server import PYTHON, VllmServer
from tests.tiny import make_tiny_base

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="vLLM is not installed: make vllm"),
]

RESTART_S = 240.0
"""Its first reply by an adapter takes 13 s, three servers starting on two cores more."""


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory) -> BaseModel:
    """With heads of 32 numbers: vLLM on a processor has no attention for 16."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tests.tiny, "HEADS", 2)
        patch.setattr(tests.tiny, "KV_HEADS", 1)
        return make_tiny_base(tmp_path_factory.mktemp("vllm") / "base")


@pytest.fixture(scope="session")
def tiny_adapters(tiny_base, tmp_path_factory):
    return two_adapters(tiny_base, tmp_path_factory.mktemp("vllm-adapters"))


@pytest.fixture(scope="session")
def truth(tiny_base, tiny_adapters):
    return Alone(tiny_base, tiny_adapters).say


@pytest.fixture(scope="module")
def servers(tiny_base):
    with three(VllmServer, tiny_base.folder) as made:
        yield made


@pytest.fixture
def lora_server(servers):
    """One of them, empty."""
    place = one.RemotePlace(servers[0].url, KEY, timeout=120.0)
    assert servers[0].names() == set()
    return Running(servers[0], place)


@pytest.fixture(autouse=True)
def it_starts_slowly(monkeypatch):
    monkeypatch.setattr(several, "WAIT_S", RESTART_S)


balancer, place, engine = several.balancer, several.place, several.engine
by_vllm = one.by_vllm

test_eight_readers = one.test_eight_readers_over_three_adapters
test_versions = one.test_a_version_has_a_name_of_its_own
test_two_who_load = one.test_only_the_one_who_loaded_an_adapter_unloads_it
test_lost = one.test_an_adapter_that_the_server_lost_is_loaded_again
test_unseen = one.test_an_adapter_that_the_server_cannot_see
test_inert = one.test_an_adapter_that_changes_nothing_is_not_in_use
test_a_round = one.test_a_round_asks_the_same_server

test_every_replica = several.test_every_replica_has_it_before_it_serves_and_none_after
test_a_reply_goes_on = several.test_a_reply_goes_on_elsewhere_when_its_server_dies
test_restarted = several.test_a_restarted_replica_has_its_adapters_before_anybody_asks
test_silent = several.test_one_that_was_silent_unloads_when_it_speaks_again
test_away = several.test_one_that_is_away_gets_it_later
test_others_files = several.test_one_that_cannot_have_it_keeps_all_from_serving
test_names = several.test_a_name_that_stands_for_more_and_for_fewer
test_no_balancer = several.test_without_its_balancer_the_replicas_are_asked
test_told = several.test_what_is_told_of_them
test_behind_nginx = several.test_nothing_is_lost_behind_nginx_as_we_configure_it


def test_deaths_and_returns(engine, servers, tiny_adapters, prompts, truth, record_property):
    several.test_nothing_is_lost_and_nothing_is_wrong_while_replicas_die_and_return(
        engine, servers, tiny_adapters, prompts, truth, 2, record_property
    )


def test_it_is_asked_for_all_that_a_reply_needs(by_vllm, tiny_adapters, prompts, truth):
    by_vllm.load(1, tiny_adapters[1])
    likely = ask(by_vllm, prompts[0], 1, tokens=6, runners_up=True)
    assert len([token for piece in likely for token in piece.chosen]) == tokens_of(likely) == 6
    assert truth(prompts[0], 1).startswith(text_of(likely))
    schema = '{"type": "object", "properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"]}'
    held = ask(by_vllm, prompts[0], 1, tokens=200, schema=schema)
    assert text_of(held).startswith("{") and held[-1].finish_reason in ("stop", "length")
    drawn = [text_of(ask(by_vllm, prompts[0], 1, temperature=0.9, seed=5)) for _ in range(2)]
    assert drawn[0] == drawn[1] != truth(prompts[0], 1)


def test_a_base_that_answers_by_an_adapter_is_found(tiny_base, tiny_adapters):
    """With one place for adapters, the last is the first."""
    server = VllmServer(tiny_base.folder)
    server.places = 1
    server.start()
    try:
        place = one.RemotePlace(server.ready().url, KEY, timeout=120.0)
        with closing(one.opened(tiny_base, place)) as engine:
            with pytest.raises(BadInput, match="answers the base model's questions by an adapter"):
                engine.load(1, tiny_adapters[1])
            assert engine.adapters() == set() == server.names()
    finally:
        server.kill()


def test_a_reader_who_leaves_frees_it(by_vllm, servers, prompts):
    cancel, heard = one.threading.Event(), []
    for piece in by_vllm.stream(prompts[0], None, Sampling(max_tokens=400), (), cancel):
        heard.append(piece)
        if len(heard) == 2:
            cancel.set()
    assert heard[-1].finish_reason == "interrupted" and tokens_of(heard) < 40
    until = time.monotonic() + 10
    while _replies_under_way(servers[0]) and time.monotonic() < until:
        time.sleep(0.05)
    assert _replies_under_way(servers[0]) == 0


def _replies_under_way(server):
    told = httpx.get(f"{server.url}/metrics", timeout=30).text
    (line,) = [row for row in told.splitlines() if row.startswith("vllm:num_requests_running{")]
    return float(line.rpartition(" ")[2])
