"""One embedder for all, a data directory for each test, a dense index in it."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database

from storage.database import open_database
from storage.datadir import DataDir
from storage.records import Workspace
from storage.workspaces import workspace as workspace_named

os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def embedder():
    from knowledge.embedding import Embedder

    loaded = Embedder()
    yield loaded
    loaded.close()


@pytest.fixture
def db(datadir: DataDir) -> Iterator[Database]:
    with open_database(datadir.database) as database:
        yield database


@pytest.fixture
def workspace(db: Database) -> Workspace:
    return workspace_named(db, "default")


@pytest.fixture
def index(datadir: DataDir):
    from knowledge.dense_folder import FolderIndex

    opened = FolderIndex(datadir.chroma)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def chroma(tmp_path_factory):
    """One Chroma server for all tests, which nobody kills."""
    from tests.chroma_server import chroma_server

    with chroma_server(tmp_path_factory.mktemp("chroma-server") / "data") as server:
        yield server


@pytest.fixture
def server_index(chroma):
    """An index of its own on that server."""
    from knowledge.chroma_place import ChromaPlace
    from knowledge.dense_server import ServerIndex

    opened = ServerIndex(ChromaPlace(chroma.url, prefix=f"test-{uuid.uuid4().hex[:12]}"))
    yield opened
    for name in opened.collections():
        opened.drop(name)
    opened.close()


@pytest.fixture
def lexical():
    from knowledge.lexical import LexicalIndex

    return LexicalIndex()


@pytest.fixture
def docs(tmp_path) -> Path:
    """A folder with five files that are quick to read."""
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "returns.md").write_text("# Returns\n\nGoods go back in 30 days.\n\n## Costs\nFree.")
    (folder / "sub" / "hours.html").write_text("<h1>Hours</h1><p>Open from nine to five.</p>")
    (folder / "note.txt").write_text("The pump needs a new filter.")
    (folder / "warranty.md").write_text("# Warranty\nTwo years for pumps.")
    rates = "## Trains\nSecond class.\n## Rates\nAustria: 42 euros a day."
    (folder / "travel.md").write_text(f"# Travel\nIt binds all.\n{rates}")
    return folder
