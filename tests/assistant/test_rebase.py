"""The same corrections on another base model: who is asked what, and when the house switches."""

from contextlib import closing

import pytest

from assistant.answering import ChildAnswerer
from assistant.app import App, open_app
from assistant.opponents import ANSWER_TOKENS
from assistant.rebase import to_teach
from assistant.settings import read_settings
from storage.adapters import add_adapter, list_adapters, promote, rollback, serving_adapter
from storage.audit import list_audit
from storage.errors import Refused
from storage.house import BASE_MODEL, PLANNED, do_planned_switch, house_setting, plan_switch
from storage.rounds import evaluations, list_rounds
from tests.assistant.command_line import run_verb, write_rows
from tests.tiny import make_tiny_adapter, make_tiny_base
from tuning.adapter_files import manifest_hash, save_adapter
from tuning.bundle import read_bundle

NEEDS = ["orders", "returns", "prices", "opening hours"]
DIALS = ["rank=8", "alpha=32", "learning_rate=0.02", "epochs=40", "replay_share=0", "threads=1"]
EASY = ["gate_risk=0.5", "sentinel_keep=0", "sentinel_nats=100", "sentinel_lost=1"]


@pytest.fixture(scope="session")
def second_base(tmp_path_factory):
    """Another base model: other weights, so another fingerprint."""
    return make_tiny_base(tmp_path_factory.mktemp("second") / "base", seed=1)


@pytest.fixture
def taught(app, workspace, tmp_path):
    """Four needs in three wordings, and an adapter of random weights that serves."""
    rows = [
        {"question": f"{ask} {need}?", "correction": need[:3], "group": need}
        for need in NEEDS
        for ask in ("What about", "Tell me about", "Please explain")
    ]
    path = write_rows(tmp_path / "rows.jsonl", *rows)
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    weights = make_tiny_adapter(app.base, tmp_path / "weights")
    facts = {"base_fingerprint": app.base.fingerprint, "method": "lora", "round_id": None}
    save_adapter(weights, app.adapter_folder(1), metrics={}, **facts)
    with closing(app.db()) as db:
        hash = manifest_hash(app.adapter_folder(1))
        made = add_adapter(db, workspace.id, parent_id=None, manifest_hash=hash, **facts)
        return promote(db, made.id, actor="user:1", override_reason="for the test")


def rebased(app, base, *dials):
    return run_verb(
        app, "rebase", base_model=str(base.folder), method="lora", dials=[*DIALS, *dials]
    )


def test_a_model_server_has_one_base(app):
    remote = App(app.settings.model_copy(update={"engine": "remote"}), app.datadir)
    with pytest.raises(Refused, match="has one base model and would answer for both"):
        to_teach(remote, "other")


def test_the_old_base_answers_with_its_own_adapter_and_stays_unless_beaten(
    app, taught, second_base
):
    (told, house), code = rebased(app, second_base, "epochs=1", "gate_risk=0.0001")
    assert code == 1 and house["became"] == "kept" and "stays" in house["said"]
    assert told["workspace"] == "default" and told["verdict"] != "promote"
    with closing(app.db()) as db:
        assert serving_adapter(db, 1).id == taught.id
        made = next(one for one in list_adapters(db, 1) if one.id == told["adapter"])
        assert (made.status, made.base_fingerprint) == ("rejected", second_base.fingerprint)
        assert house_setting(db, BASE_MODEL) is None and house_setting(db, PLANNED) is None
        said = {
            one.case_id: one.answer
            for one in evaluations(db, told["round"])
            if one.row == "serving"
        }
    bundle = read_bundle(app.datadir.rounds / str(told["round"]) / "bundle")
    assert bundle.base_fingerprint == second_base.fingerprint
    cases = bundle.heldout[:3]
    with ChildAnswerer(app.base, app.settings, app.datadir.root / "log") as child:
        expected = child.answer(
            [app.tokenizer.render(list(case.messages)) for case in cases],
            adapter=(taught.id, app.adapter_folder(taught.id)),
            max_tokens=ANSWER_TOKENS,
        )
    assert [said[case.id] for case in cases] == expected


def test_the_house_switches_when_every_workspace_is_better(app, taught, second_base):
    (told, house), code = rebased(app, second_base, *EASY)
    assert told["verdict"] == "promote", told["reasons"]
    # the tests' settings name the old base, so the switch waits for them to be changed
    assert (code, house["became"]) == (0, "at the next start")
    assert "APPRENTICE_BASE_MODEL" in house["said"]
    with closing(app.db()) as db:
        assert serving_adapter(db, 1).id == taught.id
        assert do_planned_switch(db, app.fixed_base) is None
        assert do_planned_switch(db) == str(second_base.folder)
        assert serving_adapter(db, 1).id == told["adapter"]
        assert [entry.action for entry in list_audit(db, 2)] == [
            "base model switched",
            "adapter promoted",
        ]
        after = App(read_settings(data=app.datadir.root), app.datadir)
        assert after.base.fingerprint == second_base.fingerprint
        assert rollback(db, 1, actor="user:1") is None, "the old adapter fits no more"


def test_a_planned_switch_is_done_when_the_house_opens(tiny_base, second_base, tmp_path):
    free = read_settings(data=tmp_path / "data")
    with open_app(free) as app, closing(app.db()) as db:
        plan_switch(db, str(second_base.folder), {}, actor="user:1")
    with open_app(free.model_copy(update={"base_model": str(tiny_base.folder)})) as app:
        assert app.base.fingerprint == tiny_base.fingerprint, "what the settings name wins"
    with open_app(free) as app, closing(app.db()) as db:
        assert app.base.fingerprint == second_base.fingerprint
        assert house_setting(db, PLANNED) is None


def test_a_base_that_cannot_be_meant(app, taught, tiny_base, second_base):
    with pytest.raises(Refused, match="the base model that serves"):
        rebased(app, tiny_base)
    with closing(app.db()) as db:
        rollback(db, 1, actor="user:1")
    with pytest.raises(Refused, match="No workspace has an adapter"):
        rebased(app, second_base)
    with closing(app.db()) as db:
        assert list_rounds(db, 1) == []
