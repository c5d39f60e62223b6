"""The dials of a round, read from text and held within bounds."""

import json
from typing import get_args

import pytest

from storage.errors import BadInput
from tuning.config import Method, RoundConfig


def test_it_comes_back_from_json():
    config = RoundConfig(rank=8, method="lora", learning_rate=5e-4)
    assert RoundConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_a_round_chooses_its_method_unless_told():
    assert RoundConfig().method == "auto"
    assert RoundConfig().objective == "auto"


def test_text_is_read_by_the_dials_type():
    config = RoundConfig.from_json({"rank": "8", "learning_rate": "0.0005", "method": "dora"})
    assert (config.rank, config.learning_rate, config.method) == (8, 0.0005, "dora")


@pytest.mark.parametrize(
    "dial, value",
    [
        ("method", "magic"),
        ("objective", "dpo2"),
        ("rank", 0),
        ("rank", 257),
        ("rank", "many"),
        ("rank", 1.5),
        ("rank", True),
        ("epochs", None),
        ("held_out", "true"),
        ("learning_rate", 7.0),
        ("learning_rate", float("nan")),
        ("max_minutes", 0),
        ("no_such_dial", 1),
    ],
)
def test_what_cannot_be_used_is_named(dial, value):
    with pytest.raises(BadInput, match=dial):
        RoundConfig.from_json({dial: value})


def test_an_unknown_dial_says_which_there_are():
    with pytest.raises(BadInput, match="learning_rate"):
        RoundConfig.from_json({"lr": 1})


def test_a_method_has_a_rate_of_its_own_unless_the_round_names_one():
    own = {method: RoundConfig(method=method).peak_rate for method in get_args(Method)}
    assert all(1e-5 < rate < 0.1 for rate in own.values())
    assert own["rslora"] < own["lora"] == own["qlora"] < own["ia3"]
    assert RoundConfig(method="ia3", learning_rate=2e-4).peak_rate == 2e-4
