"""The doctor finds what is wrong, says what to do, and is content with what is right."""

import json
import os
import shutil
import sqlite3

import pytest

from assistant import doctor
from assistant.bases import KNOWN
from assistant.doctor import examine, filesystem
from assistant.doctor_check import Check
from assistant.settings import Settings
from storage.adapters import add_adapter, promote
from storage.conversations import start_conversation
from storage.database import open_database
from storage.datadir import open_datadir, own
from storage.erasure import ask_erasure, note, set_state
from storage.jobs import create_job, start_job
from storage.models import EMBEDDED_FOLDER, FORMAT, RECORD
from storage.workspaces import set_workspace
from tests.assistant.command_line import refusal
from tests.assistant.engines.faulty_server import faulty_server
from tests.tiny import make_tiny_adapter
from tuning.adapter_files import manifest_hash, save_adapter


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A sound data directory, with a small local base model."""
    monkeypatch.setenv("APPRENTICE_BASE_MODEL", "embedded")
    return open_datadir(tmp_path / "data")


def findings(data):
    """What is not ok, by name, and the exit code."""
    events, found = examine(Settings(data=data.root)), {}
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            return found, end.value
        if event["state"] == "ok":
            assert not event["remedy"]
        else:
            assert event["remedy"], event
            found[event["check"]] = event


def test_sound_directory_has_no_failure(data):
    found, code = findings(data)
    assert code == 0
    assert {event["state"] for event in found.values()} <= {"warn"}
    assert "admin" in found  # nobody can log in yet


def test_directory_that_is_not_there_yet_is_not_made(tmp_path):
    events = [*examine(Settings(data=tmp_path / "none"))]
    assert events[-1]["state"] == "warn"
    assert not (tmp_path / "none").exists()


def test_printed_for_a_person_and_as_json(apprentice, data):
    assert "ok    python:" in apprentice("doctor")
    rows = apprentice.rows("doctor")
    assert {"check", "state", "detail", "remedy"} == set(rows[0])


def test_damaged_database(data):
    with open_database(data.database) as db:
        db.execute("create table filler (text)")
        db.execute("insert into filler select hex(randomblob(2000)) from json_each('[1,2,3,4,5]')")
        db.execute("pragma wal_checkpoint(truncate)")
    content = bytearray(data.database.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4096] = os.urandom(4096)
    data.database.write_bytes(content)
    found, code = findings(data)
    assert code == 1
    assert found["database"]["state"] == "fail"


def test_file_that_is_no_database(data):
    for path in data.root.glob("apprentice.db*"):
        path.unlink()
    data.database.write_text("hello " * 1000)
    found, code = findings(data)
    assert code == 1 and str(data.database) in found["database"]["detail"]


def test_row_that_points_nowhere(data):
    with sqlite3.connect(data.database) as connection:  # foreign keys are off here
        connection.execute("insert into settings values (99, 'top_k', '3', 'now')")
    found, code = findings(data)
    assert code == 1 and "settings" in found["database"]["detail"]


def test_altered_audit(data):
    with sqlite3.connect(data.database) as connection:
        connection.execute("drop trigger audit_no_update")
        connection.execute("update audit set actor = 'nobody' where id = 1")
    found, code = findings(data)
    assert code == 1 and "row 1" in found["audit"]["detail"]


def test_serving_adapter_without_files(data):
    with open_database(data.database) as db:
        made = {"base_fingerprint": "b", "method": "lora", "manifest_hash": "h"}
        for _ in range(2):
            add_adapter(db, 1, round_id=None, parent_id=None, **made)
        promote(db, 1, actor="test", override_reason="test")
    (data.adapters / "1").mkdir()
    (data.adapters / "2").mkdir()
    found, code = findings(data)
    assert code == 1
    assert found["adapter 1"]["state"] == "fail" and "rollback" in found["adapter 1"]["remedy"]
    assert found["adapter 2"]["state"] == "warn"


def test_a_base_that_is_held_twice_for_an_adapter_is_told(data, tiny_base, tmp_path):
    weights = make_tiny_adapter(tiny_base, tmp_path / "weights", kind="bottleneck")
    made = {"base_fingerprint": tiny_base.fingerprint, "method": "bottleneck", "round_id": None}
    save_adapter(weights, data.adapters / "1", metrics={}, **made)
    with open_database(data.database) as db:
        kept = manifest_hash(data.adapters / "1")
        add_adapter(db, 1, parent_id=None, manifest_hash=kept, **made)
        promote(db, 1, actor="test", override_reason="test")
    events = {event["check"]: event for event in examine(Settings(data=data.root))}
    assert events["adapter 1"]["state"] == "ok"
    assert "the base is held twice" in events["adapter 1"]["detail"]


def test_a_format_that_replies_are_not_held_to_is_told(data):
    def formats():
        events = examine(Settings(data=data.root))
        return [event for event in events if event["check"] == "format"]

    assert formats() == []
    with open_database(data.database) as db:
        set_workspace(db, "default", "checks", '[{"type": "json"}]')
        assert [event["state"] for event in formats()] == ["ok"]
        odd = '[{"type": "json", "schema": {"uniqueItems": true}}]'
        set_workspace(db, "default", "checks", odd)
    (found,) = formats()
    assert found["state"] == "warn" and "uniqueItems" in found["detail"]
    assert "strict_format=false" in found["remedy"]


def test_jobs_of_a_killed_process_are_marked(data):
    with open_database(data.database) as db:
        start_job(db, create_job(db, "round", 1).id, 2**22 - 1)
    found, code = findings(data)
    assert code == 0 and "round" in found["server"]["detail"]
    assert "server" not in findings(data)[0]


def test_owner_is_named_and_not_disturbed(data):
    with own(data):
        events = {event["check"]: event for event in examine(Settings(data=data.root))}
    assert str(os.getpid()) in events["server"]["detail"]


def test_directory_open_to_others(data):
    data.root.chmod(0o755)
    assert "chmod 700" in findings(data)[0]["data directory"]["remedy"]


@pytest.mark.parametrize(
    ("kind", "state"), [("ext4", "ok"), ("nfs4", "fail"), ("fuse.sshfs", "fail"), ("tmpfs", "warn")]
)
def test_kinds_of_filesystem(kind, state):
    assert doctor._local(kind).state == state


def test_filesystem_of_a_path():
    assert filesystem(doctor.Path("/proc/self")) == "proc"
    assert filesystem(doctor.Path("/no/such/path")) == filesystem(doctor.Path("/"))


@pytest.mark.parametrize(("free", "state"), [(2**20, "fail"), (2**30, "warn"), (2**40, "ok")])
def test_room(free, state):
    assert doctor._room(free).state == state


def test_damaged_base_model(data):
    folder = data.models / EMBEDDED_FOLDER
    folder.mkdir()
    known = {"format": FORMAT, "fingerprint": "f", "files": {"model.gguf": 98_362_432}}
    (folder / RECORD).write_text(json.dumps(known))
    (folder / "model.gguf").write_bytes(b"half")
    found, code = findings(data)
    assert code == 1 and "damaged" in found["base model"]["detail"]


@pytest.mark.parametrize("file", ["model.safetensors", "model.gguf"])
def test_own_base_model_cut_in_half_stops_what_needs_it(
    data, apprentice, tiny_base, tmp_path, monkeypatch, file
):
    folder = shutil.copytree(tiny_base.folder, tmp_path / "own")
    monkeypatch.setenv("APPRENTICE_BASE_MODEL", str(folder))
    assert findings(data)[1] == 0
    cut = folder / file
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    found, code = findings(data)
    assert code == 1 and file in found["base model"]["detail"]
    assert "whole file" in found["base model"]["remedy"]
    for words in (["serve", "--port", "0"], ["ask", "Hello?"]):
        apprentice(*words, code=2)
        assert str(cut) in refusal(apprentice) and "fetch it again" in refusal(apprentice)


def test_base_model_that_is_not_there(data, monkeypatch):
    monkeypatch.setenv("APPRENTICE_BASE_MODEL", "/no/such/folder")
    found, code = findings(data)
    assert code == 1 and "/no/such/folder" in found["base model"]["detail"]


def test_versions_below_the_fix_of_a_hole(monkeypatch):
    assert doctor.packages().state == "ok"
    monkeypatch.setitem(doctor.FLOORS, "torch", (999, 0))
    assert doctor.packages() == Check(
        "packages", "fail", doctor.packages().detail, "Install again with `make install`."
    )
    assert "torch" in doctor.packages().detail


def test_an_erasure_that_was_cut_off_or_found_something_left(data):
    with open_database(data.database) as db:
        talk = start_conversation(db, 1, "visitor:x")
        known = ask_erasure(db, "conversation", talk.id, actor="user:1")
        found, code = findings(data)
        assert (code, found["erasures"]["state"]) == (1, "fail")
        set_state(db, known.id, "done")
        assert findings(data)[0]["erasures"]["state"] == "warn"
        note(db, known.id, verified=True)
    assert "erasures" not in findings(data)[0]


def test_whether_the_base_has_room_and_which_one_is_advised(data, tiny_base, tmp_path):
    def room(**settings):
        events = examine(Settings(data=data.root, **settings))
        return next(event for event in events if event["check"] == "room for it")

    assert "serving 1.2 GB" in room()["detail"], "the embedded base, not fetched yet"
    assert (
        "is advised for this machine (`doctor --bases`" in room(base_model="some/where")["detail"]
    )
    assert "not counted before" in room(base_model="some/where")["detail"]
    assert "serving 1.0 GB" in room(base_model=str(tiny_base.folder))["detail"]
    folder = shutil.copytree(tiny_base.folder, tmp_path / "granite")
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"llama"', '"granite"'))
    assert "not by llama.cpp: its architecture 'granite'" in room(base_model=str(folder))["detail"]
    config.unlink()
    assert room(base_model=str(folder))["state"] == "warn"


def test_well_known_bases_are_listed(apprentice, data):
    rows = apprentice.rows("doctor", "--bases")
    assert [row["check"] for row in rows] == [base.name for base in KNOWN]
    assert sum(row["detail"].endswith("; advised") for row in rows) == 1
    assert all(bool(row["remedy"]) == (row["state"] == "warn") for row in rows)


def test_the_model_server_of_the_remote_engine(data, tiny_base, monkeypatch):
    monkeypatch.setenv("APPRENTICE_BASE_MODEL", str(tiny_base.folder))
    monkeypatch.setenv("APPRENTICE_ENGINE", "remote")
    with faulty_server() as server:
        monkeypatch.setenv("APPRENTICE_REMOTE_URL", server.place.url)
        found, code = findings(data)
        assert code == 0 and "does not tell its tokens" in found["model server"]["detail"]
    found, code = findings(data)
    assert code == 1 and "cannot be reached" in found["model server"]["detail"]
