"""Where the vectors are kept, by the settings."""

from contextlib import closing

import pytest

from assistant.app import open_app
from assistant.cli import main
from assistant.index_place import chroma_place
from assistant.settings import read_settings
from knowledge.dense_folder import FolderIndex
from knowledge.dense_server import ServerIndex
from storage.database import open_database
from storage.errors import BadInput


def test_the_folder_unless_a_server_is_named(settings):
    with open_app(settings) as app:
        assert isinstance(app.index, FolderIndex)
    there = settings.model_copy(update={"chroma_url": "http://127.0.0.1:9"})
    with open_app(there) as app:
        assert isinstance(app.index, ServerIndex) and not app.index.away
        first = app.index.place.prefix
    with open_app(there) as app:
        assert app.index.place.prefix == first and first.startswith("apprentice-")


def test_what_is_set_is_what_the_server_is_asked_with(datadir, monkeypatch):
    for name in ("URL", "TOKEN", "TENANT", "DATABASE", "PREFIX"):
        value = "https://api.trychroma.com" if name == "URL" else f"some-{name.lower()}"
        monkeypatch.setenv(f"APPRENTICE_CHROMA_{name}", f" {value} ")
    settings = read_settings(data=datadir.root)
    assert "some-token" not in repr(settings)
    with closing(open_database(datadir.database)) as db:
        place = chroma_place(settings, db)
    assert place is not None and place.shown == "https://api.trychroma.com:443"
    assert (place.token, place.tenant, place.database, place.prefix) == (
        *("some-token", "some-tenant", "some-database", "some-prefix"),
    )


def test_a_bad_address_is_said_before_anything_is_done(settings, monkeypatch, capsys):
    bad = settings.model_copy(update={"chroma_url": "chroma:8000"})
    with pytest.raises(BadInput, match="APPRENTICE_CHROMA_URL is 'chroma:8000'"), open_app(bad):
        pass
    monkeypatch.setenv("APPRENTICE_CHROMA_URL", "http://ann:s3cret@chroma")
    assert main(["--data", str(settings.data), "search", "pumps"]) == 2
    said = capsys.readouterr().err
    assert "APPRENTICE_CHROMA_TOKEN" in said and "s3cret" not in said
    assert len(said.strip().splitlines()) == 1
