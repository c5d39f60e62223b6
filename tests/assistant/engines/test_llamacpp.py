"""What is special about llama.cpp: servers that take over from one another, sockets, bad files."""

import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from assistant.engines import llamacpp
from assistant.engines.llamacpp import LlamaCpp
from assistant.engines.protocol import EngineFailed, Sampling
from storage.errors import BadInput
from storage.models import BaseModel
from tests.assistant.engines.asking import ask, text_of
from tests.tiny import make_tiny_adapter


@pytest.fixture
def engine(tiny_base):
    opened = LlamaCpp(tiny_base, threads=1, context=256, slots=2)
    yield opened
    opened.close()


def sockets():
    """Unix sockets and TCP ports that this process listens on."""
    inodes = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            inodes.add(os.readlink(link))
        except OSError:
            continue
    own = {name[8:-1] for name in inodes if name.startswith("socket:[")}
    tcp = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    unix = [line.split() for line in Path("/proc/self/net/unix").read_text().splitlines()[1:]]
    ports = {row[1] for row in tcp if row[9] in own and row[3] == "0A"}
    return ports, {row[7] for row in unix if row[6] in own and len(row) > 7}


def until(true, seconds=120):
    ends = time.monotonic() + seconds
    while not true() and time.monotonic() < ends:
        time.sleep(0.02)
    assert true()


def test_it_opens_no_port_and_cleans_up(tiny_base):
    ports, before = sockets()
    engine = LlamaCpp(tiny_base, threads=1, context=256, slots=2)
    after_ports, after = sockets()
    assert after_ports == ports
    made = after - before
    assert len(made) == 1
    folder = Path(made.pop()).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    engine.close()
    assert not folder.exists() and sockets()[1] == before


def test_a_server_that_was_relieved_goes_when_its_last_reply_ends(
    engine, prompts, tiny_adapters, truth
):
    _, before = sockets()
    pieces = engine.stream(prompts[0], None, Sampling(max_tokens=200), (), threading.Event())
    next(pieces)
    engine.load(1, tiny_adapters[1])
    engine.load(2, tiny_adapters[2])
    assert text_of(ask(engine, prompts[0], 2)) == truth(prompts[0], 2)
    until(lambda: len(sockets()[1]) == len(before) + 1)
    assert sum(piece.tokens for piece in pieces) > 100  # still by the first server
    until(lambda: len(sockets()[1]) == len(before))


def test_replies_beyond_the_slots_wait(engine, prompts, truth):
    streams = [
        engine.stream(prompts[0], None, Sampling(max_tokens=16), (), threading.Event())
        for _ in range(12)
    ]
    heard = [[] for _ in streams]
    threads = [
        threading.Thread(target=lambda own, stream: own.extend(stream), args=pair)
        for pair in zip(heard, streams, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [text_of(pieces) for pieces in heard] == [truth(prompts[0])] * 12


def test_a_waiting_reply_can_be_cancelled(tiny_base, prompts):
    engine = LlamaCpp(tiny_base, threads=1, context=2048, slots=1)
    first = engine.stream(prompts[0], None, Sampling(max_tokens=2000), (), threading.Event())
    next(first)
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    started = time.monotonic()
    waiting = ask(engine, prompts[1], tokens=2000, cancel=cancel)
    assert waiting[-1].finish_reason == "interrupted" and time.monotonic() - started < 20
    first.close()
    engine.close()


def test_adapters_are_bounded_and_the_one_unused_for_longest_goes(
    engine, prompts, tiny_base, tmp_path, monkeypatch
):
    monkeypatch.setattr(llamacpp, "MAX_ADAPTERS", 3)
    for number in range(1, 4):
        engine.load(number, make_tiny_adapter(tiny_base, tmp_path / str(number), seed=number))
    before = text_of(ask(engine, prompts[0], 1))
    engine.load(4, make_tiny_adapter(tiny_base, tmp_path / "4", seed=4))
    assert engine.adapters() == {1, 3, 4}
    assert text_of(ask(engine, prompts[0], 1)) == before


def test_what_was_unloaded_does_not_come_back(engine, prompts, tiny_adapters):
    engine.load(1, tiny_adapters[1])
    engine.unload(1)
    engine.load(2, tiny_adapters[2])
    assert engine.adapters() == {2}


@pytest.mark.parametrize("spoil", ["cut", "other base"])
def test_an_adapter_file_that_llama_cpp_refuses(
    engine, prompts, tiny_adapters, tmp_path, truth, spoil
):
    folder = shutil.copytree(tiny_adapters[1], tmp_path / "spoilt")
    file = folder / "adapter.gguf"
    engine.load(1, tiny_adapters[1])
    shutil.copy(tiny_adapters[1] / "adapter.gguf", file)
    data = file.read_bytes()
    if spoil == "cut":
        file.write_bytes(data[: len(data) // 2])
    else:
        file.write_bytes(data.replace(b"blk.1.", b"blk.9."))
    with pytest.raises(EngineFailed, match="cannot load"):
        engine.load(50, folder)
    assert engine.adapters() == {1}
    assert text_of(ask(engine, prompts[0], 1)) == truth(prompts[0], 1)


def test_a_base_without_or_with_a_broken_gguf(tiny_base, tmp_path):
    with pytest.raises(BadInput, match="no GGUF"):
        LlamaCpp(BaseModel("x", tmp_path, None, "f"), threads=1, context=256)
    (tmp_path / "model.gguf").write_bytes(tiny_base.gguf.read_bytes()[:50_000])
    with pytest.raises(EngineFailed, match="cannot load"):
        LlamaCpp(
            BaseModel("x", tiny_base.folder, tmp_path / "model.gguf", "f"), threads=1, context=256
        )
