"""One embedder for all, a data directory for each test, a dense index in it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database

from storage.database import open_database
from storage.datadir import DataDir, open_datadir
from storage.records import Workspace
from storage.workspaces import workspace as workspace_named

os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def embedder():
    from knowledge.embedding import Embedder

    loaded = Embedder()
    yield loaded
    loaded.close()


@pytest.fixture(scope="session")
def fresh(tmp_path_factory) -> DataDir:
    """A new data directory, made once: each test works on a copy."""
    return open_datadir(tmp_path_factory.mktemp("fresh") / "data")


@pytest.fixture
def datadir(fresh: DataDir, tmp_path: Path) -> DataDir:
    return DataDir(shutil.copytree(fresh.root, tmp_path / "data"))


@pytest.fixture
def db(datadir: DataDir) -> Iterator[Database]:
    with open_database(datadir.database) as database:
        yield database


@pytest.fixture
def workspace(db: Database) -> Workspace:
    return workspace_named(db, "default")


@pytest.fixture
def index(datadir: DataDir):
    from knowledge.dense import DenseIndex

    opened = DenseIndex(datadir.chroma)
    yield opened
    opened.close()


@pytest.fixture
def lexical():
    from knowledge.lexical import LexicalIndex

    return LexicalIndex()
