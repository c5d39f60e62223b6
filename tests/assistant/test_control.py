"""Commands that reach the server by its socket."""

import os
import stat
import time

import pytest

from assistant.app import open_app
from assistant.control import ServerFailed, call_server, control_socket, server_answers
from assistant.settings import Settings
from storage.datadir import DataDirBusy, open_datadir, own
from storage.errors import BadInput, NotFound, Refused
from storage.feedback import count_feedback
from tests.assistant.command_line import write_rows


@pytest.fixture
def server(tmp_path):
    """An app with its socket, as `serve` has it."""
    with open_app(Settings(data=tmp_path / "data")) as app, control_socket(app):
        yield app


def called(app, name, /, **arguments):
    """(results, exit code) of a verb that runs in the server."""
    events, found = call_server(app.datadir, name, arguments), []
    while True:
        try:
            found.append(next(events))
        except StopIteration as end:
            return found, end.value


def test_only_this_account_may_speak_to_the_socket(server):
    assert stat.S_IMODE(server.datadir.socket.stat().st_mode) == 0o600
    assert server_answers(server.datadir)


def test_verb_runs_there_and_its_events_come_here(server):
    events, code = called(server, "workspaces list")
    assert [event["name"] for event in events] == ["default"]
    assert code == 0


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "named"),
    [
        ("rounds show", {"id": 9}, NotFound, "round 9"),
        ("workspaces set", {"name": "default", "values": ["a=1"]}, BadInput, "'a'"),
        ("no such verb", {}, Refused, "no such verb"),
        ("rounds show", {"wrong": 1}, ServerFailed, "its log"),
    ],
)
def test_error_comes_back_as_its_kind(server, name, arguments, kind, named):
    with pytest.raises(kind, match=named):
        called(server, name, **arguments)
    assert called(server, "workspaces list")[1] == 0


def test_text_that_is_not_unicode_survives_the_way(server):
    with pytest.raises(NotFound, match="�"):
        called(server, "documents list", workspace="\udc80")


def test_verb_stops_when_its_caller_leaves(server, tmp_path):
    """5,000 rows take seconds; the caller leaves after the first, so none may be there."""
    rows = [{"question": f"Q{n}", "answer": "a", "correction": "c"} for n in range(5000)]
    path = write_rows(tmp_path / "rows.jsonl", *rows)
    events = call_server(
        server.datadir, "feedback import", {"workspace": "default", "file": str(path)}
    )
    assert "progress" in next(events)
    events.close()
    deadline = time.monotonic() + 120
    while any(thread.name.startswith("call ") for thread in _threads()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with server.db() as db:
        assert sum(count_feedback(db, 1).values()) == 0


def _threads():
    import threading

    return threading.enumerate()


def test_nobody_answers_without_a_server(tmp_path):
    datadir = open_datadir(tmp_path / "data")
    assert not server_answers(datadir)
    datadir.socket.touch()  # what a killed server leaves, all but the listening end
    assert not server_answers(datadir)


def test_socket_of_a_killed_server_is_replaced(tmp_path):
    import socket

    datadir = open_datadir(tmp_path / "data")
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(datadir.socket))
    left.close()
    with open_app(Settings(data=tmp_path / "data")) as app, control_socket(app):
        assert called(app, "workspaces list")[1] == 0
    assert not datadir.socket.exists()


def test_data_directory_deeper_than_a_socket_path_may_be(tmp_path):
    data = tmp_path / ("x" * 120) / "data"
    with open_app(Settings(data=data)) as app, control_socket(app):
        assert len(os.fsencode(app.datadir.socket)) > 108
        assert called(app, "workspaces list")[1] == 0


def test_server_that_ends_meanwhile_is_told(tmp_path):
    """A server that is gone between the look and the call: a sentence, no traceback."""
    datadir = open_datadir(tmp_path / "data")
    with pytest.raises(ServerFailed, match="stopped"):
        next(call_server(datadir, "workspaces list", {}))


def test_command_goes_to_the_server_that_owns_the_directory(server, apprentice):
    """`feedback import` needs the lock; the server has it, so it must have run there."""
    assert apprentice.data == server.datadir.root
    row = {"question": "Q", "answer": "a", "correction": "c"}
    path = write_rows(apprentice.data.parent / "rows.jsonl", row)
    assert apprentice.rows("feedback", "import", path)[0]["imported"] == 1


def test_owner_that_is_no_server_is_named(apprentice, monkeypatch):
    monkeypatch.setattr("assistant.verbs.LOCK_WAIT_S", 0.0)
    with own(open_datadir(apprentice.data)):
        apprentice("documents", "reindex", code=2)
    assert str(os.getpid()) in apprentice.said


def test_command_waits_for_another_one(apprentice):
    import threading

    datadir = open_datadir(apprentice.data)
    held = own(datadir)
    held.__enter__()
    release = threading.Timer(0.5, held.__exit__, args=(None, None, None))
    release.start()
    row = {"question": "Q", "answer": "a", "correction": "c"}
    path = write_rows(apprentice.data.parent / "rows.jsonl", row)
    apprentice("feedback", "import", path)
    release.join()
    with own(datadir), pytest.raises(DataDirBusy), own(datadir):
        pass
