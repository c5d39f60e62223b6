"""Fixtures of this room's tests."""

import sqlite3
from contextlib import closing

import pytest

from tests.assistant.command_line import apprentice
from tests.assistant.people import everybody

__all__ = ["apprentice"]


@pytest.fixture
def db(app):
    """The database of `app`."""
    with closing(app.db()) as db:
        yield db


@pytest.fixture
def people(app):
    """Everybody who may call, by name."""
    return everybody(app)


@pytest.fixture
def shop(tmp_path):
    """A client's SQLite file with one order."""
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table orders as select 1 as id")
        connection.commit()
    return path
