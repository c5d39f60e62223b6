"""An imported adapter before the gate: asked what is kept back, judged, and left to a person."""

from contextlib import closing
from datetime import UTC, datetime

import pytest

from storage.adapters import adapter, serving_adapter
from storage.errors import Refused
from storage.pairs import pairs_since_last_round
from storage.round_times import last_start
from storage.rounds import create_round, evaluations, round_examples, tuning_round
from tests.assistant.command_line import run_verb
from tests.assistant.taught import teach
from tests.tiny import make_tiny_adapter


@pytest.fixture
def plain(app, tmp_path):
    """A folder as PEFT leaves it."""
    return make_tiny_adapter(app.base, tmp_path / "plain")


def take_in(app, folder):
    (result,), code = run_verb(app, "adapters import", workspace="default", folder=str(folder))
    assert code == 0
    return result


def test_it_is_asked_beside_base_and_examples_and_a_person_decides(app, workspace, plain):
    teach(app, workspace)
    made = take_in(app, plain)
    assert made["round"] == 1 and made["verdict"] in ("reject", "not enough evidence")
    with closing(app.db()) as db:
        known, judged = adapter(db, made["adapter"]), tuning_round(db, 1)
        assert (known.round_id, known.status) == (1, made["status"])
        assert (judged.state, judged.verdict) == ("done", made["verdict"])
        assert judged.scores["adapter"] == known.id
        rows = {one.row for one in evaluations(db, 1)}
        assert {"candidate", "serving", "base", "few_shot"} <= rows
        assert {one.split for one in round_examples(db, 1)} == {"new wordings"}
        assert serving_adapter(db, workspace.id) is None
    assert not (app.datadir.rounds / "1").exists()
    with pytest.raises(Refused, match="naming a reason"):
        run_verb(app, "adapters promote", id=made["adapter"])


def test_judging_is_no_training_for_the_schedule(app, workspace, plain):
    teach(app, workspace)
    take_in(app, plain)
    with closing(app.db()) as db:
        assert pairs_since_last_round(db, workspace.id) == 5
        assert last_start(db, workspace.id) is None
        create_round(db, workspace.id, config={}, base_fingerprint="b")
        assert last_start(db, workspace.id) <= f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.999Z}"
        assert pairs_since_last_round(db, workspace.id) == 0


def test_while_a_round_is_open_nothing_comes_in(app, workspace, plain):
    teach(app, workspace)
    with closing(app.db()) as db:
        create_round(db, workspace.id, config={}, base_fingerprint="b")
    with pytest.raises(Refused):
        take_in(app, plain)
    assert list(app.datadir.adapters.iterdir()) == []
