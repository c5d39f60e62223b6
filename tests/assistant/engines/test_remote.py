"""The remote engine against real servers: llama.cpp's, one that loads adapters, one at fault."""

import json
import logging
import random
import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import httpx
import pytest

from assistant.answering import AnsweringFailed, ChildAnswerer
from assistant.app import open_app
from assistant.engines.choose import judging_engine
from assistant.engines.lora_gguf import adapter_gguf
from assistant.engines.protocol import EngineFailed, NotSupported, Sampling
from assistant.engines.remote import Remote
from assistant.engines.remote_place import RemotePlace, remote_place
from assistant.reply import Delta, reply
from assistant.settings import read_settings
from storage.conversations import messages_of, start_conversation
from storage.errors import BadInput
from storage.workspaces import workspace as workspace_named
from tests.assistant.engines.asking import ask, text_of, tokens_of
from tests.assistant.engines.faulty_server import WORDS, faulty_server
from tests.assistant.engines.model_servers import KEY, running
from tests.tiny import make_tiny_adapter


def opened(base, place, context=256):
    return Remote(base, threads=1, context=context, place=place)


@pytest.fixture(scope="module")
def llama_server(tiny_base, tiny_adapters):
    """llama.cpp's server with two adapters, the second one under its version's name."""
    files = [adapter_gguf(folder, tiny_base.folder) for folder in tiny_adapters.values()]
    with running("llama_cpp_server", KEY, tiny_base.gguf, *files) as server:
        yield server


@pytest.fixture(scope="module")
def by_llama(llama_server, tiny_base, tiny_adapters):
    with closing(opened(tiny_base, llama_server.place)) as engine:
        for number, folder in tiny_adapters.items():
            engine.load(number, folder)
        yield engine


@pytest.fixture
def by_vllm(lora_server, tiny_base):
    with closing(opened(tiny_base, lora_server.place)) as engine:
        yield engine


@pytest.fixture
def faulty(tiny_base):
    """A server at fault, and an engine that asks it."""
    with faulty_server() as server, closing(opened(tiny_base, server.place)) as engine:
        yield server, engine


def names_at(server):
    headers = {"Authorization": f"Bearer {KEY}"}
    listed = httpx.get(f"{server.place.url}/v1/models", headers=headers).json()["data"]
    return {card["id"] for card in listed if card["parent"]}


def test_llama_cpp_says_there_what_it_says_here(by_llama, prompts, truth):
    assert by_llama.kind.startswith("llama.cpp at http://") and by_llama.same_tokens
    wanted = [(prompt, adapter_id) for prompt in prompts for adapter_id in (None, 1, 2)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda one: ask(by_llama, *one), wanted))
    assert [text_of(one) for one in made] == [truth(*one) for one in wanted]
    assert {one[-1].finish_reason for one in made} <= {"length", "stop"}
    pieces = ask(by_llama, prompts[0], 1, tokens=6, runners_up=True)
    assert len([one for piece in pieces for one in piece.chosen]) == tokens_of(pieces) == 6


def test_what_llama_cpp_remembers_of_one_adapter_is_not_told_of_another(by_llama, prompts, truth):
    """Its memory of finished prompts does not say by which adapter they were read."""
    long = [(prompt * 20)[:200] for prompt in prompts[:3]]
    order = [(prompt, adapter_id) for adapter_id in (None, 1, 2) for prompt in long] * 4
    random.Random(1).shuffle(order)
    for prompt, adapter_id in order:
        assert text_of(ask(by_llama, prompt, adapter_id)) == truth(prompt, adapter_id)


def test_llama_cpp_frees_the_slots_of_readers_who_left(by_llama, prompts, truth):
    for _ in range(4):  # it has two
        pieces = by_llama.stream(prompts[0], 1, Sampling(max_tokens=220), (), threading.Event())
        next(pieces)
        pieces.close()
    assert text_of(ask(by_llama, prompts[1], 2)) == truth(prompts[1], 2)


def test_llama_cpp_without_the_adapter_is_told_by_its_file(
    by_llama, llama_server, tiny_base, tmp_path
):
    folder = make_tiny_adapter(tiny_base, tmp_path / "3", seed=3)
    with pytest.raises(BadInput, match=f"start it with --lora {folder}/adapter.gguf"):
        by_llama.load(3, folder)
    assert by_llama.adapters() == {1, 2}
    with pytest.raises(NotSupported):
        by_llama.score([1], [2], None)
    # so a round's candidate is judged here
    assert judging_engine(tiny_base, "remote", llama_server.place) == "auto"


def test_eight_readers_over_three_adapters(by_vllm, tiny_base, tiny_adapters, prompts, tmp_path):
    folders = {**tiny_adapters, 3: make_tiny_adapter(tiny_base, tmp_path / "3", seed=3)}
    for number, folder in folders.items():
        by_vllm.load(number, folder)
    wanted = [(prompt, number) for prompt in prompts for number in (None, *folders)]
    alone = [text_of(ask(by_vllm, *one)) for one in wanted]
    assert len(set(alone)) == len(wanted)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda one: text_of(ask(by_vllm, *one)), wanted * 2))
    assert made == alone * 2


def test_a_version_has_a_name_of_its_own(by_vllm, lora_server, tiny_adapters, prompts, truth):
    before = names_at(lora_server)
    by_vllm.load(7, tiny_adapters[1])
    (first,) = names_at(lora_server) - before
    assert first.startswith("apprentice-7-")
    by_vllm.unload(7)
    by_vllm.load(7, tiny_adapters[2])
    (second,) = names_at(lora_server) - before
    assert second != first and second.startswith("apprentice-7-")
    assert text_of(ask(by_vllm, prompts[0], 7)) == truth(prompts[0], 2)


def test_only_the_one_who_loaded_an_adapter_unloads_it(
    by_vllm, lora_server, tiny_base, tiny_adapters, prompts, truth
):
    before = names_at(lora_server)
    by_vllm.load(1, tiny_adapters[1])
    with closing(opened(tiny_base, lora_server.place)) as other:
        other.load(1, tiny_adapters[1])
        other.load(2, tiny_adapters[2])
        assert len(names_at(lora_server) - before) == 2
    assert len(names_at(lora_server) - before) == 1
    assert text_of(ask(by_vllm, prompts[0], 1)) == truth(prompts[0], 1)


def test_an_adapter_that_the_server_lost_is_loaded_again(
    by_vllm, lora_server, tiny_adapters, prompts, truth
):
    by_vllm.load(1, tiny_adapters[1])
    (name,) = names_at(lora_server)
    httpx.post(
        f"{lora_server.place.url}/v1/unload_lora_adapter",
        json={"lora_name": name},
        headers={"Authorization": f"Bearer {KEY}"},
    ).raise_for_status()
    assert text_of(ask(by_vllm, prompts[0], 1)) == truth(prompts[0], 1)
    assert names_at(lora_server) == {name}


def test_cancelling_stops_the_server(by_vllm, lora_server, prompts):
    cancel, heard = threading.Event(), []
    for piece in by_vllm.stream(prompts[0], None, Sampling(max_tokens=220), (), cancel):
        heard.append(piece)
        if len(heard) == 2:
            cancel.set()
    assert heard[-1].finish_reason == "interrupted" and tokens_of(heard) <= 4
    headers = {"Authorization": f"Bearer {KEY}"}
    for _ in range(100):
        load = httpx.get(f"{lora_server.place.url}/load", headers=headers).json()
        if not load["running"]:
            break
        time.sleep(0.05)
    assert load["running"] == 0 and load["made"] < 200


def test_an_adapter_that_the_server_cannot_see(lora_server, tiny_base, tiny_adapters):
    place = replace(
        lora_server.place, data=str(tiny_adapters[1].parent), data_there="/no/such/mount"
    )
    with closing(opened(tiny_base, place)) as engine:
        with pytest.raises(BadInput, match="from /no/such/mount/1: .*No adapter found"):
            engine.load(1, tiny_adapters[1])
        assert engine.adapters() == set()


def test_an_adapter_that_changes_nothing_is_not_in_use(by_vllm, lora_server, tiny_base, tmp_path):
    folder = make_tiny_adapter(tiny_base, tmp_path / "nothing", strength=0.0)
    with pytest.raises(BadInput, match="exactly as by the base model"):
        by_vllm.load(5, folder)
    assert by_vllm.adapters() == set() == names_at(lora_server)


def test_a_server_whose_base_answers_by_an_adapter_gets_none(tiny_base, tiny_adapters):
    """Only while others are answered: asked by itself it is right."""
    with (
        running("lora_server", tiny_base.folder, KEY, "mixes") as server,
        closing(opened(tiny_base, server.place)) as engine,
    ):
        with pytest.raises(BadInput, match="answers the base model's questions by an adapter"):
            engine.load(1, tiny_adapters[1])
        assert engine.adapters() == set() == names_at(server)


def test_the_data_directory_as_the_server_sees_it(tmp_path):
    place = RemotePlace("http://x", data=str(tmp_path / "data"), data_there="/mnt/apprentice")
    assert place.seen(tmp_path / "data" / "adapters" / "3") == "/mnt/apprentice/adapters/3"
    assert place.seen(tmp_path / "other") == str(tmp_path / "other")


def test_a_wrong_key_and_no_trace_of_the_right_one(
    lora_server, llama_server, tiny_base, prompts, caplog
):
    caplog.set_level(logging.DEBUG)
    for server in (lora_server, llama_server):
        with pytest.raises(EngineFailed, match="refuses the key: set APPRENTICE_REMOTE_KEY"):
            opened(tiny_base, server.with_key("wrong"))
    with pytest.raises(BadInput, match="^APPRENTICE_REMOTE_KEY has a sign that no key can have"):
        opened(tiny_base, lora_server.with_key(f"{KEY}\n7"))
    with closing(opened(tiny_base, lora_server.place)) as engine:
        assert ask(engine, prompts[0], tokens=2)
    settings = read_settings(engine="remote", remote_url=lora_server.place.url, remote_key=KEY)
    assert remote_place(settings).key == KEY
    assert KEY not in caplog.text + repr(lora_server.place) + repr(settings)


def test_a_server_of_another_model(lora_server, tiny_base, tmp_path):
    other = replace(tiny_base, folder=shutil.copytree(tiny_base.folder, tmp_path / "other"))
    path = other.folder / "tokenizer.json"
    described = json.loads(path.read_text())
    described["model"]["merges"] = []
    path.write_text(json.dumps(described))
    with pytest.raises(BadInput, match="cuts text into other tokens than the base model tiny"):
        opened(other, lora_server.place)
    with pytest.raises(BadInput, match="has no model 'gone' .it has tiny."):
        opened(tiny_base, replace(lora_server.place, model="gone"))


@pytest.mark.parametrize("address", ["", "ftp://127.0.0.1", "127.0.0.1:8000", "http://"])
def test_an_address_that_is_none(tiny_base, address):
    with pytest.raises(BadInput, match="APPRENTICE_REMOTE_URL"):
        opened(tiny_base, RemotePlace(address))


def test_a_server_that_is_away_and_one_that_comes(tiny_base, prompts):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(EngineFailed, match="cannot be reached .* start it, or correct"):
        opened(tiny_base, RemotePlace(f"http://127.0.0.1:{port}"))
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(opened, tiny_base, RemotePlace(f"http://127.0.0.1:{port}/v1/"))
        time.sleep(0.2)
        with faulty_server(port), closing(coming.result()) as engine:
            assert text_of(ask(engine, prompts[0])) == "".join(WORDS)


def test_a_plain_server(faulty, tiny_adapters, prompts):
    server, engine = faulty
    assert engine.kind.startswith("OpenAI-compatible at") and engine.same_tokens is None
    pieces = ask(engine, prompts[0], runners_up=True)
    assert text_of(pieces) == "".join(WORDS) and tokens_of(pieces) == len(WORDS)
    assert pieces[-1].finish_reason == "stop" and not any(piece.chosen for piece in pieces)
    with pytest.raises(BadInput, match="loads no adapters: start vLLM with --enable-lora"):
        engine.load(1, tiny_adapters[1])
    assert not engine.takes_adapters and server.asked == 1


@pytest.mark.parametrize(
    ("fault", "sentence", "said"),
    [
        ("hangs", "has said nothing for 1 seconds", []),
        ("hangs_after_two_words", "has said nothing for 1 seconds", WORDS[:2]),
        ("dies_after_two_words", "broke off in the middle", WORDS[:2]),
        ("fails", "failed .status 500.: out of memory", []),
        ("is_busy_for_long", "is busy .slow down.: ask again soon", []),
        ("says_rubbish", "says what no OpenAI-compatible server says", []),
        ("says_other_things", "says what no OpenAI-compatible server says", []),
        ("says_a_page", "says what no OpenAI-compatible server says", []),
        ("tells_an_error", "stopped: the engine died", WORDS[:1]),
    ],
)
def test_a_server_at_fault(faulty, prompts, fault, sentence, said):
    server, engine = faulty
    server.fault = fault
    heard = []
    with pytest.raises(EngineFailed, match=sentence):
        for piece in engine.stream(prompts[0], None, Sampling(), (), threading.Event()):
            heard.append(piece.text)
    assert heard == said and server.asked == 1
    server.fault = ""
    assert text_of(ask(engine, prompts[0])) == "".join(WORDS)


def test_a_busy_server_is_asked_again(faulty, prompts):
    server, engine = faulty
    server.fault = "is_busy_once"
    assert text_of(ask(engine, prompts[0])) == "".join(WORDS)
    assert server.asked == 2


def test_a_silent_server_can_be_left(faulty, prompts):
    server, engine = faulty
    server.fault = "hangs"
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    pieces = ask(engine, prompts[0], cancel=cancel)
    assert [piece.finish_reason for piece in pieces] == ["interrupted"]


def test_what_was_said_before_the_server_died_is_kept(settings):
    with faulty_server() as server:
        server.fault = "dies_after_two_words"
        away = settings.model_copy(update={"engine": "remote", "remote_url": server.place.url})
        with open_app(away) as app, closing(app.db()) as db:
            place = workspace_named(db, "default")
            talk = start_conversation(db, place.id, "visitor:x")
            heard = []
            with pytest.raises(EngineFailed, match="what it had said is kept"):
                for event in reply(app, place, talk.id, "visitor:x", "Count, please."):
                    assert isinstance(event, Delta)
                    heard.append(event.text)
            saved = messages_of(db, talk.id)
    assert heard == WORDS[:2]
    assert [one.role for one in saved] == ["user", "assistant"]
    assert saved[1].content == "One two" and saved[1].finish_reason == "interrupted"
    assert saved[1].engine == "remote"


def test_a_round_asks_the_same_server(
    settings, lora_server, tiny_base, tiny_adapters, prompts, truth, tmp_path
):
    place = lora_server.place
    remote = settings.model_copy(
        update={
            "engine": "remote",
            "remote_url": place.url,
            "remote_key": type(settings.remote_key)(KEY),
        }
    )
    before = names_at(lora_server)
    with ChildAnswerer(tiny_base, remote, tmp_path / "log") as child:
        made = child.answer(prompts[:2], adapter=(0, tiny_adapters[1]), max_tokens=16)
        assert names_at(lora_server) - before
        base = child.answer(prompts[:2], adapter=None, max_tokens=16)
    for adapter_id, answers in ((1, made), (None, base)):
        assert [one.rstrip("\ufffd") for one in answers] == [
            truth(prompt, adapter_id).strip() for prompt in prompts[:2]
        ]
    assert names_at(lora_server) == before  # the child unloaded what it had loaded
    away = remote.model_copy(update={"remote_url": "http://127.0.0.1:9"})
    with (
        ChildAnswerer(tiny_base, away, tmp_path / "log") as child,
        pytest.raises(AnsweringFailed, match="could not answer: The model server .* cannot be"),
    ):
        child.answer(prompts[:1], adapter=None, max_tokens=2)
