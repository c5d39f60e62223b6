"""Snapshots go to a real HTTP stand-in of the Hub and come back from it.

In a process of its own, since the Hub's library reads its settings when it is imported.
"""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from storage.adapters import add_adapter, promote
from storage.backup import recorded_backups
from storage.database import NOW, insert, open_database, write, write_transaction
from storage.datadir import open_datadir
from storage.workspaces import create_workspace, list_workspaces
from tests.assistant.hub import TOKEN, running_hub
from tests.tiny import make_tiny_adapter
from tuning.adapter_files import manifest_hash, save_adapter

KEEP = """
import sys, time
from contextlib import closing
from assistant.app import open_app
from assistant.settings import read_settings
from assistant.snapshots import kept
from storage.workspaces import create_workspace
settings = read_settings(
    data=sys.argv[1], snapshots="ada/helpdesk-data", adapters="ada/helpdesk-adapters",
    snapshot_minutes=0.005,
)
with open_app(settings) as app:
    with kept(app):
        time.sleep(float(sys.argv[2]))
        with closing(app.db()) as db:
            create_workspace(db, "at-the-end")
"""
HOUSE = Path(__file__).parent.parent.parent
REPO = "ada/helpdesk-data"
WORK = """
import json, sys
from pathlib import Path
from assistant.snapshots import Snapshots, restore_newest
from storage.datadir import open_datadir
from storage.errors import ApprenticeError
for what, root in json.loads(sys.argv[1]):
    try:
        if what == "save":
            said = Snapshots(open_datadir(Path(root)), "ada/helpdesk-data").save()
        else:
            said = restore_newest("ada/helpdesk-data", Path(root), waits=())
    except ApprenticeError as error:
        said = f"{type(error).__name__}: {error}"
    print(json.dumps(said))
"""


@pytest.fixture
def hub():
    with running_hub() as hub:
        yield hub


@pytest.fixture
def files(hub):
    return lambda: sorted(hub.repos[f"datasets/{REPO}"])


@pytest.fixture
def python(hub, tmp_path):
    """A script in a process of its own, beside the hub."""

    def python(script, *words, token=TOKEN):
        environment = {name: value for name, value in os.environ.items() if "HF_" not in name}
        environment |= {"HF_ENDPOINT": hub.url, "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1"}
        environment |= {"HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": str(HOUSE)}
        done = subprocess.run(
            [sys.executable, "-c", script, *map(str, words)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    return python


@pytest.fixture
def do(python):
    """Saves or restores, one after the other; what each said."""

    def do(*steps, token=TOKEN):
        text = json.dumps([(what, str(root)) for what, root in steps])
        said = python(WORK, text, token=token).stdout
        return [json.loads(line) for line in said.splitlines()]

    return do


def add(datadir, name):
    with closing(open_database(datadir.database)) as db:
        create_workspace(db, name)


def names(root):
    with closing(open_database(root / "apprentice.db")) as db:
        return {item.name for item in list_workspaces(db)}


def test_what_changed_goes_up_once_and_comes_back(hub, do, files, tmp_path):
    here = open_datadir(tmp_path / "here")
    add(here, "first")
    saved, nothing = do(("save", here.root), ("save", here.root))
    assert nothing is None and files() == [saved] and hub.public == set()
    with closing(open_database(here.database)) as db:
        (known,) = recorded_backups(db)
        assert known.path == f"hf://datasets/{REPO}/{saved}" and known.size > 0

    there = tmp_path / "there"
    restored, again, unchanged = do(("restore", there), ("restore", there), ("save", there))
    assert restored == saved
    assert again is None and unchanged is None  # never over data that is there
    assert names(there) == {"default", "first"}


def test_three_stay_and_after_an_erasure_the_new_one_alone(hub, do, files, tmp_path):
    here = open_datadir(tmp_path / "here")
    saved = []
    for number in range(4):
        add(here, f"w{number}")
        saved += do(("save", here.root))
    assert files() == sorted(saved[1:])
    with closing(open_database(here.database)) as db, write_transaction(db):
        facts = {"kind": "feedback", "subject": "1", "subject_hash": "", "actor": "system"}
        erasure_id = insert(db, "erasures", **facts)
        write(db, f"update erasures set erased_at = {NOW} where id = ?", erasure_id)
    (last,) = do(("save", here.root))
    assert files() == [last]
    assert len(hub.objects) == 1  # the content of the others is gone, not only their names
    with closing(open_database(here.database)) as db:
        assert [item.path for item in recorded_backups(db)] == [f"hf://datasets/{REPO}/{last}"]


def test_a_damaged_one_is_left_out_and_where_none_verifies_nothing_begins(hub, do, files, tmp_path):
    here = open_datadir(tmp_path / "here")
    (old,) = do(("save", here.root))
    add(here, "newer")
    (new,) = do(("save", here.root))
    repo = hub.repos[f"datasets/{REPO}"]
    repo[new] = repo[new][: len(repo[new]) // 2]
    assert do(("restore", tmp_path / "a")) == [old]
    repo[old] = b"no backup"
    (said,) = do(("restore", tmp_path / "b"))
    assert said.startswith("Refused: None of the 2 snapshots") and not (tmp_path / "b").exists()
    assert files() == sorted([old, new])


def test_a_second_server_on_the_same_dataset_loses_nothing_of_the_first(do, files, tmp_path):
    one, other = open_datadir(tmp_path / "one"), open_datadir(tmp_path / "other")
    saved = []
    for number in range(3):
        for datadir in (one, other):
            add(datadir, f"w{number}")
            saved += do(("save", datadir.root))
    assert files() == sorted(saved) and len(saved) == 6


def test_a_hub_that_is_away_and_a_token_that_may_not(hub, do, tmp_path):
    here = open_datadir(tmp_path / "here")
    (refused,) = do(("save", here.root), token="hf_bad")
    assert refused.startswith("HubFailed:") and "answer 401" in refused
    (blind,) = do(("restore", tmp_path / "new"), token="hf_bad")
    assert blind.startswith("HubFailed:")  # an empty start would hide what is there
    hub.public.add(f"datasets/{REPO}")
    hub.repos[f"datasets/{REPO}"] = {}
    (public,) = do(("save", here.root))
    assert public.startswith("Refused:") and "read by everybody" in public
    with closing(open_database(here.database)) as db:
        assert recorded_backups(db) == []


def test_while_it_serves_adapters_that_serve_are_pushed_and_a_stop_saves(
    hub, python, do, tmp_path, tiny_base
):
    here = open_datadir(tmp_path / "here")
    facts = {"base_fingerprint": tiny_base.fingerprint, "method": "lora", "round_id": None}
    for number in (1, 2):
        weights = make_tiny_adapter(tiny_base, tmp_path / f"weights{number}", seed=number)
        place = here.adapters / str(number)
        save_adapter(weights, place, base_model="tiny", metrics={}, **facts)
        with closing(open_database(here.database)) as db:
            hash = manifest_hash(place)
            add_adapter(db, 1, parent_id=None, manifest_hash=hash, **facts)
    with closing(open_database(here.database)) as db:
        promote(db, 2, actor="system", override_reason="for the test")
    python(KEEP, here.root, 6)
    assert hub.tags == {"ada/helpdesk-adapters": {"adapter-2"}}  # not the candidate
    pushes = [call for call in hub.calls if "helpdesk-adapters/commit" in call]
    assert len(pushes) == 1  # and once
    do(("restore", tmp_path / "there"))
    assert "at-the-end" in names(tmp_path / "there")
    assert (tmp_path / "there" / "adapters" / "2" / "adapter_model.safetensors").is_file()
