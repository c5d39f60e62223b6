"""`accelerate launch` as a child; what it launches is in test_accelerate.py."""

import json
import os

import pytest

from tests.tuning.runners.conftest import train
from tuning.child import RoundFailed
from tuning.runners.accelerate import Accelerate
from tuning.runners.launch import CONFIG, main


@pytest.mark.slow
def test_the_users_own_file_does_not_count(tmp_path, tiny_base, bundle, monkeypatch):
    """Theirs asks for one process in fp16, which no CPU trains in."""
    own = {**CONFIG, "distributed_type": "NO", "num_processes": 1, "mixed_precision": "fp16"}
    place = tmp_path / "hf" / "accelerate"
    place.mkdir(parents=True)
    (place / "default_config.json").write_text(json.dumps(own))
    (place / "default_config.yaml").write_text(json.dumps(own))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    assert train(Accelerate(2), bundle, tmp_path / "out", tiny_base)["steps"] == 12


@pytest.mark.slow
def test_a_bundle_that_cannot_train_is_one_sentence(tmp_path, tiny_base, bundle):
    (bundle.folder / "train.jsonl").write_text("")
    with pytest.raises(RoundFailed, match="no corrections to train on"):
        train(Accelerate(2), bundle, tmp_path / "out", tiny_base)


@pytest.mark.parametrize("missing", ["--parent", "--processes"])
def test_it_wants_to_know_whose_child_it_is_and_how_many(missing, capsys):
    given = {"--parent": str(os.getpid()), "--processes": "2"}
    words = [word for name, value in given.items() if name != missing for word in (name, value)]
    with pytest.raises(SystemExit):
        main([*words, "bundle", "out"])
    assert missing in capsys.readouterr().err
