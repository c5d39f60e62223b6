"""What a Space still needs is named, each with what to do; nothing is when all is there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.assistant.hub import TOKEN, running_hub

HOUSE = Path(__file__).parent.parent.parent
SPACE = {
    "SYSTEM": "spaces",
    "SPACE_ID": "ada/helpdesk",
    "SPACE_HOST": "ada-helpdesk.hf.space",
    "SPACE_AUTHOR_NAME": "ada",
    "OAUTH_CLIENT_ID": "a",
    "OAUTH_CLIENT_SECRET": "b",
    "CPU_CORES": "2",
    "MEMORY": "16Gi",
    "APPRENTICE_ADMINS": "ada",
    "APPRENTICE_SNAPSHOTS": "ada/helpdesk-data",
    "APPRENTICE_ADAPTERS": "ada/helpdesk-adapters",
    "HF_TOKEN": TOKEN,
}


@pytest.fixture(scope="module")
def hub():
    with running_hub() as hub:
        hub.repos["datasets/ada/open"] = {}
        hub.public.add("datasets/ada/open")
        yield hub


@pytest.fixture
def check(hub, tmp_path):
    """(exit code, findings by name) of `space check`, with changes to the environment."""

    def check(**changed):
        kept = {name: os.environ[name] for name in ("PATH", "HOME")}
        urls = {"HF_ENDPOINT": hub.url, "OPENID_PROVIDER_URL": hub.url, "PYTHONPATH": str(HOUSE)}
        environment = {**kept, **SPACE, **urls, "APPRENTICE_DATA": str(tmp_path), **changed}
        done = subprocess.run(
            [sys.executable, "-m", "assistant", "--json", "space", "check"],
            env={name: value for name, value in environment.items() if value},
            capture_output=True,
            text=True,
            check=False,
        )
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        return done.returncode, {row["check"]: row for row in rows}

    return check


def test_a_space_that_has_everything(check):
    code, found = check()
    assert code == 0, found
    assert {row["state"] for row in found.values()} == {"ok"}
    assert "is made when it is needed" in found["snapshots"]["detail"]
    assert set(found) == {
        "space", "login", "admins", "HF_TOKEN", "snapshots", "adapters", "hardware", "memory",
        "disk",
    }  # fmt: skip


def test_everything_that_is_missing_is_named_at_once(check):
    code, found = check(
        SPACE_ID="", OAUTH_CLIENT_SECRET="", APPRENTICE_ADMINS="", HF_TOKEN="", MEMORY="2Gi"
    )
    assert code == 1
    failed = {name: row for name, row in found.items() if row["state"] == "fail"}
    assert set(failed) == {"space", "login", "admins", "HF_TOKEN", "memory"}
    assert all(row["remedy"] for row in failed.values())
    assert "SPACE_ID" in found["space"]["detail"]
    assert "OAUTH_CLIENT_SECRET" in found["login"]["detail"]
    assert "to ada" in found["admins"]["remedy"]


def test_a_token_that_is_refused_and_a_dataset_that_all_can_read(check):
    code, found = check(HF_TOKEN="hf_bad")
    assert code == 1 and found["HF_TOKEN"]["state"] == found["snapshots"]["state"] == "fail"
    code, found = check(APPRENTICE_SNAPSHOTS="ada/open", APPRENTICE_ADAPTERS="")
    assert code == 1 and "everybody can read" in found["snapshots"]["detail"]
    assert found["adapters"]["state"] == "fail"
