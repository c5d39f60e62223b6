"""An adapter pushed by the command line to a real server on this machine: its bytes arrive."""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import assistant
from storage.adapters import add_adapter
from storage.audit import list_audit
from storage.copies import copies_of
from storage.database import open_database
from storage.datadir import open_datadir
from tests.assistant.hub import TOKEN, running_hub
from tests.tiny import make_tiny_adapter
from tuning.adapter_files import manifest_hash, save_adapter, verify_adapter

SECRET = "What did Ms. Miller order?"


@pytest.fixture
def data(tiny_base, tmp_path):
    """A data directory with one adapter, whose card quotes a question."""
    place = open_datadir(tmp_path / "data")
    weights = make_tiny_adapter(tiny_base, tmp_path / "weights")
    facts = {"base_fingerprint": tiny_base.fingerprint, "method": "lora", "round_id": None}
    save_adapter(
        weights,
        place.adapters / "1",
        base_model="/home/ada/models/tiny",
        metrics={"steps": 12, "quoted": SECRET},
        **facts,
    )
    with closing(open_database(place.database)) as db:
        hash = manifest_hash(place.adapters / "1")
        add_adapter(db, 1, parent_id=None, manifest_hash=hash, **facts)
    return place


@pytest.fixture
def push(data):
    """Types `adapters push 1 REPO ...` in a process of its own: the library reads its settings
    from the environment when it is imported."""

    def push(*words, url, token=TOKEN):
        environment = {name: value for name, value in os.environ.items() if "HF_" not in name}
        environment |= {"HF_ENDPOINT": url, "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1"}
        environment |= {"HF_HOME": str(data.root / "hf")}
        house = str(Path(assistant.__file__).parent.parent)
        return subprocess.run(
            [sys.executable, "-m", "assistant", "--data", data.root, "--json"]
            + ["adapters", "push", "1", *words],
            env={**environment, "PYTHONPATH": house},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return push


def test_its_bytes_arrive_in_a_private_repository(data, push, tmp_path, tiny_base):
    with running_hub() as hub:
        done = push("ada/shop", url=hub.url)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {
            "adapter": 1,
            "place": f"{hub.url}/ada/shop",
            "public": False,
        }
        assert hub.public == set()
        files = hub.repos["ada/shop"]
        assert hub.tags == {"ada/shop": {"adapter-1"}}
        refused = push("ada/shop", url=hub.url, token="hf_bad")
        hub.public.add("ada/shop")
        open_to_all = push("ada/shop", url=hub.url)
    sent = tmp_path / "sent"
    sent.mkdir()
    for name, content in files.items():
        (sent / name).write_bytes(content)
    assert verify_adapter(sent, tiny_base.fingerprint).metrics == {"steps": 12}
    weights = data.adapters / "1" / "adapter_model.safetensors"
    assert files["adapter_model.safetensors"] == weights.read_bytes()
    everything = b"".join(files.values())
    assert SECRET.encode() not in everything and b"/home/ada" not in everything
    with closing(open_database(data.database)) as db:
        copies = copies_of(db, [1])
        assert [(copy.kind, copy.place) for copy in copies] == [("push", f"{hub.url}/ada/shop")]
        assert list_audit(db, 1)[0].action == "adapter pushed"
    for done, named in ((refused, "answer 401"), (open_to_all, "read by everybody")):
        assert done.returncode == 2 and named in said(done)


def said(done):
    """The one sentence of a refused push, under what it was doing."""
    doing, sentence = done.stderr.strip().splitlines()
    assert "pushing to" in doing and sentence.startswith("apprentice: ")
    return sentence


def test_public_is_said_in_so_many_words(push):
    with running_hub() as hub:
        done = push("ada/open", "--public", url=hub.url)
        assert done.returncode == 0, done.stderr
        assert hub.public == {"ada/open"}


@pytest.mark.parametrize(
    ("repo", "named"), [("ada/shop", "cannot be reached"), ("a/b/c", "no name of a repository")]
)
def test_what_goes_wrong_is_one_sentence(push, repo, named):
    done = push(repo, url="http://127.0.0.1:1")
    assert done.returncode == 2 and named in said(done)
