"""What every room's tests share: a tiny base model, and an app over a folder of its own."""

import logging
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from storage.datadir import DataDir, open_datadir
from storage.models import BaseModel
from tests import handles
from tests.bars import counted, table

os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # as the command line does, for it and for us
if Path("/proc/self/fd").exists():
    handles.watch()
SIGNING = tempfile.TemporaryDirectory(prefix="signing-")  # servers of whole modules sign here too
os.environ["APPRENTICE_SIGNING_KEY"] = f"{SIGNING.name}/signing.key"


@pytest.fixture(autouse=True)
def own_surroundings(tmp_path, monkeypatch):
    """No test may touch the user's data directory, models or the network's hubs."""
    monkeypatch.setenv("APPRENTICE_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("APPRENTICE_BASE_MODEL", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")


@pytest.fixture(autouse=True)
def no_second_handle_on_a_database():
    """None of our rooms opens a database file by hand while SQLite has it open here."""
    handles.found.clear()
    yield
    assert handles.found == []


@pytest.fixture(autouse=True)
def no_handler_of_an_earlier_test():
    """One made while a test's output was caught has lost its stream, and says so on stderr with
    the error that is being handled: a test of what is printed would read it."""
    for name in (None, "uvicorn", "uvicorn.access", "uvicorn.error"):
        logger = logging.getLogger(name)
        for handler in logger.handlers[:]:
            if getattr(getattr(handler, "stream", None), "closed", False):
                logger.removeHandler(handler)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory) -> BaseModel:
    """A two-layer Llama with a real tokenizer, as safetensors and GGUF."""
    from tests.tiny import make_tiny_base

    return make_tiny_base(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="session")
def fresh(tmp_path_factory) -> DataDir:
    """A new data directory, made once: each test works on a copy."""
    return open_datadir(tmp_path_factory.mktemp("fresh") / "data")


@pytest.fixture
def datadir(fresh, tmp_path) -> DataDir:
    return DataDir(shutil.copytree(fresh.root, tmp_path / "data"))


@pytest.fixture
def settings(tiny_base, datadir):
    """Settings of a server on the tiny base, in a folder of its own."""
    from assistant.settings import read_settings

    return read_settings(
        data=datadir.root, base_model=str(tiny_base.folder), threads=1, context=512
    )


@pytest.fixture
def app(settings):
    """A running app; its engine and embedder open when first used."""
    from assistant.app import open_app

    with open_app(settings) as opened:
        yield opened


@pytest.fixture
def workspace(app):
    """The default workspace of `app`."""
    from contextlib import closing

    from storage.workspaces import workspace

    with closing(app.db()) as db:
        return workspace(db, "default")


@pytest.fixture
def tried(record_property):
    """Counts what a test tries for a bar of reliability: `tried("B1")` at each trial."""
    trials: dict[str, int] = {}

    def count(bar: str, more: int = 1) -> None:
        trials[bar] = trials.get(bar, 0) + more

    yield count
    for bar, number in trials.items():
        record_property("bar", bar)
        record_property("trials", number)


def pytest_terminal_summary(terminalreporter):
    """The table of what was tried for each bar, if anything was."""
    reports = [one for several in terminalreporter.stats.values() for one in several]
    found = counted(one for one in reports if isinstance(one, pytest.TestReport))
    if found:
        terminalreporter.section("reliability")
        for line in table(found):
            terminalreporter.write_line(line)


def pytest_collection_modifyitems(items):
    """Skip, with the reason, what this machine cannot run."""
    import torch

    browser = shutil.which("chromium") or Path("/usr/bin/chromium").exists()
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
        if item.get_closest_marker("browser") and not browser:
            item.add_marker(pytest.mark.skip(reason="needs Debian's chromium"))
