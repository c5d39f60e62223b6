"""Three real servers behind a balancer, of which some are killed and started again meanwhile."""

import logging
import random
import re
import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from assistant.app import open_app
from assistant.doctor_models import model_servers
from assistant.engines.protocol import EngineFailed, Sampling
from assistant.engines.remote import Remote
from assistant.engines.remote_dialects import version_of
from assistant.engines.remote_place import RemotePlace
from assistant.signing import key_of
from storage import proofs
from storage.adapters import promote
from storage.errors import BadInput
from storage.workspaces import set_workspace
from storage.workspaces import workspace as workspace_named
from tests.assistant.engines.asking import ask, text_of, tokens_of
from tests.assistant.engines.model_servers import KEY, ROOT
from tests.assistant.engines.replica_servers import (
    HEADERS,
    ReplicaServer,
    balanced,
    free_port,
    three,
)
from tests.made_adapter import made
from tests.nginx import NGINX, start_nginx
from tests.tiny import make_tiny_adapter, make_tiny_base

LOOK_S = 0.2
WAIT_S = 30.0


@pytest.fixture(scope="module")
def servers(tiny_base):
    """Three; each test finds them running and empty."""
    with three(ReplicaServer, tiny_base.folder) as made:
        yield made


@pytest.fixture(scope="module")
def balancer(servers):
    with balanced(servers) as one:
        yield one


@pytest.fixture
def place(servers, balancer):
    listed = ", ".join(f"{one.url}/v1" for one in servers)
    return RemotePlace(balancer.url, KEY, replicas=listed, look_every=LOOK_S)


@pytest.fixture
def engine(place, tiny_base, tiny_adapters):
    with closing(Remote(tiny_base, threads=1, context=256, place=place)) as opened:
        yield opened


def until(true):
    """Whether it comes true in time."""
    over = time.monotonic() + WAIT_S
    while not true():
        if time.monotonic() > over:
            return False
        time.sleep(0.02)
    return True


def test_every_replica_has_it_before_it_serves_and_none_after(
    engine, servers, tiny_adapters, prompts, truth
):
    assert engine.takes_adapters and re.match(r"vLLM \S+ at http://", engine.kind)
    for number, folder in tiny_adapters.items():
        engine.load(number, folder)
    names = {version_of(number, folder).name for number, folder in tiny_adapters.items()}
    assert [one.names() for one in servers] == [names] * 3
    wanted = [(prompt, adapter) for prompt in prompts for adapter in (None, 1, 2)]
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda one: text_of(ask(engine, *one)), wanted))
    assert made == [truth(*one) for one in wanted]
    found = engine.replicas_with(1)
    assert (found.known, found.up, found.have) == (3, 3, 3)
    assert engine.replicas_with(9).have == 0
    engine.unload(1)
    assert [len(one.names()) for one in servers] == [1] * 3
    engine.close()
    assert [one.names() for one in servers] == [set()] * 3


@pytest.mark.parametrize("times", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_nothing_is_lost_and_nothing_is_wrong_while_replicas_die_and_return(
    engine, servers, tiny_adapters, prompts, truth, times, record_property
):
    """Six readers; meanwhile one of the servers is killed, or two, again and again."""
    for number, folder in tiny_adapters.items():
        engine.load(number, folder)
    wanted = [(prompt, adapter) for prompt in prompts for adapter in (None, 1, 2)]
    right = [truth(*one) for one in wanted]
    over, said, chance = threading.Event(), [], random.Random(times)

    def reader(first):
        number = first
        while not over.is_set():
            number = (number + 1) % len(wanted)
            said.append(text_of(ask(engine, *wanted[number])) == right[number])

    with ThreadPoolExecutor(6) as pool:
        readers = [pool.submit(reader, first) for first in range(6)]
        try:
            for turn in range(times):
                gone = chance.sample(servers, 1 + turn % 2)
                for one in gone:
                    time.sleep(chance.uniform(0.1, 0.5))
                    one.kill()
                assert until(lambda: engine.replicas_with(1).up < 3)
                for one in gone:
                    one.start()
                for one in gone:
                    one.ready()
                assert until(lambda: engine.replicas_with(1).have == 3)
        finally:
            over.set()
        for one in readers:
            one.result()
    record_property("bar", "B32")
    record_property("trials", len(said))
    record_property("failures", said.count(False))
    assert len(said) > 15 * times and all(said)
    names = {version_of(number, folder).name for number, folder in tiny_adapters.items()}
    assert [one.names() for one in servers] == [names] * 3


@pytest.mark.skipif(shutil.which(NGINX) is None, reason="nginx is not installed")
def test_nothing_is_lost_behind_nginx_as_we_configure_it(
    servers, tiny_base, tiny_adapters, prompts, truth, tmp_path, record_property
):
    """`docs/deploy/balancer.conf`; nginx before 1.27 cannot look the names up anew."""
    shipped = (ROOT / "docs" / "deploy" / "balancer.conf").read_text()
    port = free_port("127.0.0.1")
    how = " max_fails=1 fail_timeout=5s;"
    named = re.findall(rf"    server vllm-\d:8000 resolve{how}\n", shipped)
    assert named
    ours = "".join(f"    server {one.host}:{one.port}{how}\n" for one in servers)
    text = shipped.replace("".join(named), ours).replace("listen 8000", f"listen 127.0.0.1:{port}")
    text = re.sub(r"^resolver .*\n", "", text, flags=re.MULTILINE)
    listed = ", ".join(one.url for one in servers)
    place = RemotePlace(f"http://127.0.0.1:{port}", KEY, replicas=listed, look_every=LOOK_S)
    with (
        start_nginx(tmp_path, text, port),
        closing(Remote(tiny_base, threads=1, context=256, place=place)) as engine,
    ):
        refused = httpx.post(f"{place.url}/v1/load_lora_adapter", json={}, headers=HEADERS)
        assert refused.status_code == 404
        test_nothing_is_lost_and_nothing_is_wrong_while_replicas_die_and_return(
            engine, servers, tiny_adapters, prompts, truth, 2, record_property
        )


def test_a_reply_goes_on_elsewhere_when_its_server_dies(
    engine, servers, tiny_adapters, prompts, truth, caplog
):
    caplog.set_level(logging.INFO)
    engine.load(1, tiny_adapters[1])
    wanted = [(prompt, adapter) for prompt in prompts for adapter in (1, None)]
    prompt, adapter = max(wanted, key=lambda one: tokens_of(ask(engine, *one, tokens=150)))
    whole = ask(engine, prompt, adapter, tokens=150, runners_up=True)
    sampling = Sampling(max_tokens=150, runners_up=True)
    pieces = engine.stream(prompt, adapter, sampling, (), threading.Event())
    heard = [next(pieces) for _ in range(3)]
    (one,) = [each for each in servers if each.running()]
    one.kill()
    try:
        heard += list(pieces)
    finally:
        one.start()
        one.ready()
    assert "is asked instead" in caplog.text
    assert text_of(heard) == text_of(whole)
    assert heard[-1].finish_reason == whole[-1].finish_reason == "length"
    said, right = ([one.token for piece in made for one in piece.chosen] for made in (heard, whole))
    assert said == right and tokens_of(heard) == len(right) == 150


def test_a_restarted_replica_has_its_adapters_before_anybody_asks(engine, servers, tiny_adapters):
    engine.load(2, tiny_adapters[2])
    name = version_of(2, tiny_adapters[2]).name
    servers[1].kill()
    assert until(lambda: engine.replicas_with(2).have == 2)
    servers[1].start()
    servers[1].ready()
    assert until(lambda: name in servers[1].names() and engine.replicas_with(2).have == 3)


def test_one_that_was_silent_unloads_when_it_speaks_again(place, servers, tiny_base, tiny_adapters):
    with closing(
        Remote(tiny_base, threads=1, context=256, place=replace(place, timeout=2.0))
    ) as engine:
        engine.load(1, tiny_adapters[1])
        with servers[0].silent():
            engine.unload(1)
            assert [one.names() for one in servers[1:]] == [set()] * 2
        assert until(lambda: not servers[0].names())


def test_one_that_is_away_gets_it_later(engine, servers, tiny_adapters, prompts, truth, caplog):
    servers[2].kill()
    try:
        engine.load(1, tiny_adapters[1])
        found = engine.replicas_with(1)
        assert (found.known, found.up, found.have) == (3, 2, 2)
        assert "is on 2 of 3 model servers" in caplog.text
        assert {text_of(ask(engine, prompts[0], 1)) for _ in range(3)} == {truth(prompts[0], 1)}
    finally:
        servers[2].start()
        servers[2].ready()
    assert until(lambda: engine.replicas_with(1).have == 3)


def test_one_that_cannot_have_it_keeps_all_from_serving(
    engine, servers, tiny_base, tiny_adapters, tmp_path, prompts
):
    """The third has another adapter under this very name: as a copy of the folder that is old."""
    name = version_of(1, tiny_adapters[1]).name
    servers[2].load(name, tiny_adapters[2])
    with pytest.raises(BadInput, match="does not answer by .* as the others do: .* other files"):
        engine.load(1, tiny_adapters[1])
    assert engine.adapters() == set()
    assert [one.names() for one in servers] == [set(), set(), {name}]
    with pytest.raises(Exception, match="not loaded"):
        ask(engine, prompts[0], 1)
    servers[2].kill()
    servers[2].start()
    servers[2].ready()
    assert until(lambda: engine.replicas_with(None).up == 3)
    nothing = make_tiny_adapter(tiny_base, tmp_path / "nothing", strength=0.0)
    with pytest.raises(BadInput, match="exactly as by the base model"):
        engine.load(5, nothing)
    assert [one.names() for one in servers] == [set()] * 3


def test_a_name_that_stands_for_more_and_for_fewer(
    servers, balancer, tiny_base, tiny_adapters, monkeypatch
):
    """As a headless service of Kubernetes does; only the name's table is not a real one."""
    known = socket.getaddrinfo
    there = [servers[0].host]

    def looked_up(host, port, *more, **given):
        if host != "vllm-headless":
            return known(host, port, *more, **given)
        if not there:
            raise socket.gaierror("no such name now")
        return [found for one in there for found in known(one, port, *more, **given)]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    listed = f"http://vllm-headless:{servers[0].port}"
    place = RemotePlace(balancer.url, KEY, replicas=listed, look_every=LOOK_S)
    with closing(Remote(tiny_base, threads=1, context=256, place=place)) as engine:
        engine.load(1, tiny_adapters[1])
        assert engine.replicas_with(1).known == 1
        there.append(servers[2].host)
        assert until(lambda: engine.replicas_with(1).have == 2)
        assert servers[2].names() == servers[0].names() == {version_of(1, tiny_adapters[1]).name}
        there.remove(servers[0].host)
        assert until(lambda: engine.replicas_with(1).known == 1)
        assert servers[0].names() == set()
        there.clear()
        time.sleep(3 * LOOK_S)
        assert engine.replicas_with(1).have == 1


def test_without_its_balancer_the_replicas_are_asked(
    place, tiny_base, tiny_adapters, prompts, truth
):
    away = replace(place, url="http://127.0.0.1:9")
    with closing(Remote(tiny_base, threads=1, context=256, place=away)) as engine:
        engine.load(2, tiny_adapters[2])
        assert text_of(ask(engine, prompts[0], 2)) == truth(prompts[0], 2)
        (_, wrong), *others = engine.survey()
        assert "cannot be reached" in str(wrong)
        name = version_of(2, tiny_adapters[2]).name
        assert [names for _, names in others] == [{name}] * 3


def test_what_is_told_of_them(place, servers, settings, tmp_path, caplog):
    """/healthz, /metrics, doctor, and the proof that is taken of each."""
    from assistant.measures import Measures
    from assistant.web import _health

    told = {"engine": "remote", "remote_url": place.url, "remote_replicas": place.replicas}
    remote = settings.model_copy(update={**told, "remote_key": SecretStr(KEY)})
    with open_app(remote) as app:
        with closing(app.db()) as db:
            home = workspace_named(db, "default")
            set_workspace(db, home.name, "access", "public")
        known = made(app, home, "lora", tmp_path)
        with closing(app.db()) as db:
            promote(db, known, actor="user:1", override_reason="a test")
        client = TestClient(Starlette(routes=[Route("/healthz", lambda one: _health(app, one))]))
        assert client.get("/healthz").json()["workspaces"] == {"default": {"adapter": known}}
        app.load_adapter(known)
        with closing(app.db()) as db:
            assert proofs.proof(db, known, "remote", key_of(remote))
        counts = {"known": 3, "up": 3, "have": 3}
        told = {"default": {"adapter": known, "replicas": counts}}
        assert client.get("/healthz").json()["workspaces"] == told
        figures = Measures(app).text().decode()
        assert 'apprentice_replicas{state="up"} 3.0' in figures
        assert 'apprentice_replicas_with_adapter{workspace="1"} 3.0' in figures
        servers[1].kill()
        try:
            assert until(lambda: app.replicas_with(known).up == 2)
            with closing(app.db()) as db:
                checks = list(model_servers(remote, app.datadir, db))
        finally:
            servers[1].start()
            servers[1].ready()
        assert [one.state for one in checks] == ["ok", "ok", "warn", "ok"]
        assert checks[1].detail == f"{servers[0].url} has the 1 adapters that serve"
        assert "cannot be reached" in checks[2].detail
        assert until(lambda: app.replicas_with(known).have == 3)


def test_a_replica_of_another_model_is_told_and_none_that_answers(
    place, servers, tiny_base, tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    away = RemotePlace(servers[0].url, KEY, replicas="http://127.0.0.1:9", look_every=LOOK_S)
    with pytest.raises(EngineFailed, match="No model server can be asked: .*127.0.0.1:9 cannot"):
        Remote(tiny_base, threads=1, context=256, place=away)
    wrong = RemotePlace(servers[0].url, KEY, replicas="gpu-1:8000")
    with pytest.raises(BadInput, match="APPRENTICE_REMOTE_REPLICAS has 'gpu-1:8000'"):
        Remote(tiny_base, threads=1, context=256, place=wrong)
    other = make_tiny_base(tmp_path / "other", seed=7)
    odd = ReplicaServer(other.folder)
    odd.start()
    try:
        listed = f"{servers[0].url},{odd.ready().url}"
        mixed = RemotePlace(servers[0].url, KEY, replicas=listed, look_every=LOOK_S)
        with closing(Remote(tiny_base, threads=1, context=256, place=mixed)) as engine:
            folder = make_tiny_adapter(tiny_base, tmp_path / "4", seed=4)
            with pytest.raises(BadInput, match="has another base model, or sees other files"):
                engine.load(4, folder)
    finally:
        odd.kill()
