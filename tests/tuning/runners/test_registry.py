"""Runners by name; one that is not there is named with those that are."""

import pytest

from storage.errors import BadInput
from tuning.runners.registry import NAMES, RunnerSettings, runner_named


@pytest.mark.parametrize("name", NAMES)
def test_each_is_called_what_it_was_asked_for(name):
    assert runner_named(name, RunnerSettings()).name == name


def test_an_unknown_one_is_named_with_those_that_are():
    with pytest.raises(BadInput, match="'slurm' is no runner: take local, accelerate, hf-jobs"):
        runner_named("slurm", RunnerSettings())


def test_only_what_leaves_this_machine_has_a_place(bundle):
    for name in ("local", "accelerate"):
        assert runner_named(name, RunnerSettings()).place(bundle.folder) == ""


def test_settings_reach_the_runner():
    with pytest.raises(BadInput, match="PROCESSES is 1"):
        runner_named("accelerate", RunnerSettings(processes=1)).ready()
