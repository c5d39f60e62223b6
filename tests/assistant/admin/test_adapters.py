"""The adapters tab: promote and roll back, each asked twice, each recorded."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.adapters import AdaptersTab
from assistant.security import may_administer
from storage.adapters import adapter, add_adapter, reject_adapter, serving_adapter
from storage.audit import list_audit
from storage.database import write, write_transaction
from storage.jobs import create_job, finish_job, start_job
from storage.rounds import create_round, finish_round
from tests.tiny import make_tiny_adapter
from tuning.adapter_files import manifest_hash, save_adapter, write_notes


@pytest.fixture
def adapters(tab):
    return tab(AdaptersTab)


@pytest.fixture
def make(office, tmp_path):
    """A candidate with real files, and the round that judged it."""

    def made(verdict: str | None = "promote", *, seed: int = 1) -> int:
        base = office.app.base
        with closing(office.app.db()) as db:
            judged = create_round(db, office.team.id, config={}, base_fingerprint=base.fingerprint)
            finish_round(db, judged.id, state="done", verdict=verdict)
            folder = office.app.adapter_folder(judged.id)
            save_adapter(
                make_tiny_adapter(base, tmp_path / str(seed), seed=seed),
                folder,
                base_fingerprint=base.fingerprint,
                method="lora",
                round_id=judged.id,
                metrics={},
            )
            row = add_adapter(
                db,
                office.team.id,
                round_id=judged.id,
                parent_id=None,
                base_fingerprint=base.fingerprint,
                method="lora",
                manifest_hash=manifest_hash(folder),
            )
            assert row.id == judged.id
        return row.id

    return made


def press(office, work, *inputs, who="ada", **more):
    return office.press(who, may_administer, work, *inputs, **more)


def serving(office) -> int | None:
    with closing(office.app.db()) as db:
        found = serving_adapter(db, office.team.id)
    return found.id if found else None


def test_without_an_adapter_the_page_says_what_answers(office, adapters):
    shown = press(office, adapters.show)
    assert "the base model answers" in shown[adapters.listed]
    assert shown[adapters.back]["visible"] is False
    with pytest.raises(gr.Error, match="nothing to roll back"):
        press(office, adapters.ask_back)


def test_promote_serves_and_roll_back_returns(office, adapters, make):
    first, second = make(seed=1), make(seed=2)
    asked = press(office, adapters.ask_promote, first)
    assert asked[adapters.sure]["visible"] is True
    assert asked[adapters.reason]["visible"] is False
    assert serving(office) is None
    shown = press(office, adapters.promote_it, first, "")
    assert serving(office) == first
    assert office.app.engine.adapters() == {first}
    assert "serving now" in shown[adapters.listed]
    assert [id for _, id in shown[adapters.chosen]["choices"]] == [second]
    press(office, adapters.promote_it, second, "")
    assert press(office, adapters.ask_back)[adapters.yes_back]["visible"] is True
    press(office, adapters.roll_back)
    assert serving(office) == first
    press(office, adapters.roll_back)
    assert serving(office) is None
    with closing(office.app.db()) as db:
        actors = {act.actor for act in list_audit(db) if act.action.startswith("adapter ")}
    assert actors == {office.people["ada"].person.owner}


def test_one_that_does_not_serve_is_deleted_after_a_second_yes(office, adapters, make):
    first, second = make(seed=1), make(seed=2)
    press(office, adapters.promote_it, first, "")
    with pytest.raises(gr.Error, match="serves: roll back"):
        press(office, adapters.ask_delete, first)
    with pytest.raises(gr.Error, match="serves: roll back"):
        press(office, adapters.delete_it, first)
    office.app.load_adapter(second)
    asked = press(office, adapters.ask_delete, second)
    assert (
        asked[adapters.sure]["visible"] is True and f"adapter {second} " in asked[adapters.question]
    )
    shown_buttons = [asked[one]["visible"] for one in (adapters.yes_promote, adapters.yes_delete)]
    assert shown_buttons == [False, True]
    assert office.app.adapter_folder(second).is_dir()
    # another one chosen meanwhile: the question is not about that one
    assert press(office, adapters.read, first)[adapters.sure]["visible"] is False
    shown = press(office, adapters.delete_it, second)
    assert not office.app.adapter_folder(second).exists()
    assert office.app.engine.adapters() == {first}
    assert [id for _, id in shown[adapters.copies.adapter]["choices"]] == [first]
    with closing(office.app.db()) as db:
        newest = list_audit(db)[0]
    assert (newest.action, newest.subject) == ("adapter deleted", f"adapter:{second}")
    assert newest.actor == office.people["ada"].person.owner
    with pytest.raises(gr.Error, match="no adapter"):
        press(office, adapters.delete_it, second)


def test_one_that_work_goes_on_from_is_not_deleted(office, adapters, make):
    one = make()
    with closing(office.app.db()) as db:
        base = office.app.base.fingerprint
        going = create_round(
            db, office.team.id, config={}, base_fingerprint=base, start_adapter_id=one
        )
        with pytest.raises(gr.Error, match=f"Round {going.id} goes on from adapter {one}"):
            press(office, adapters.delete_it, one)
        finish_round(db, going.id, state="cancelled")
        copy = create_job(db, "export", office.team.id)
        with pytest.raises(gr.Error, match="copied or judged"):
            press(office, adapters.delete_it, one)
        assert adapter(db, one).status == "candidate"
        assert office.app.adapter_folder(one).is_dir()
        start_job(db, copy.id, 1)
        finish_job(db, copy.id, "done")
    press(office, adapters.delete_it, one)
    assert not office.app.adapter_folder(one).exists()


@pytest.mark.parametrize("verdict", ["reject", "not enough evidence", None])
def test_against_the_gate_a_reason_is_wanted_and_kept(office, adapters, make, verdict):
    one = make(verdict)
    assert press(office, adapters.ask_promote, one)[adapters.reason]["visible"] is True
    with pytest.raises(gr.Error, match="naming a reason"):
        press(office, adapters.promote_it, one, "  ")
    assert serving(office) is None
    press(office, adapters.promote_it, one, "We tried it by hand.")
    assert serving(office) == one
    with closing(office.app.db()) as db:
        assert list_audit(db)[0].detail["reason"] == "We tried it by hand."


def test_a_reason_given_for_nothing_is_not_kept(office, adapters, make):
    press(office, adapters.promote_it, make(), "left over")
    with closing(office.app.db()) as db:
        assert list_audit(db)[0].detail == {}


def test_a_rejected_one_wants_a_reason(office, adapters, make):
    one = make()
    with closing(office.app.db()) as db:
        reject_adapter(db, one)
    assert press(office, adapters.ask_promote, one)[adapters.reason]["visible"] is True


def test_broken_files_never_serve(office, adapters, make):
    one = make()
    weights = office.app.adapter_folder(one) / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(gr.Error, match="refused"):
        press(office, adapters.promote_it, one, "")
    assert serving(office) is None
    with closing(office.app.db()) as db:
        assert adapter(db, one).status == "candidate"


def test_one_for_another_base_is_refused_by_name(office, adapters, make):
    one = make()
    with closing(office.app.db()) as db, write_transaction(db):
        write(db, "update adapters set base_fingerprint = ? where id = ?", "0" * 64, one)
    for work, *more in ((adapters.ask_promote,), (adapters.promote_it, "I want it.")):
        with pytest.raises(gr.Error, match="Adapter 1 was made for the base model 000000000000"):
            press(office, work, one, *more)
    assert serving(office) is None


@pytest.mark.parametrize("chosen", [None, "1", 999])
def test_an_adapter_that_is_not_there_gets_a_sentence(office, adapters, chosen):
    for work, *more in ((adapters.ask_promote,), (adapters.promote_it, "")):
        with pytest.raises(gr.Error):
            press(office, work, chosen, *more)


def test_an_adapter_of_another_workspace_is_not_here(office, adapters, make):
    one = make()
    with pytest.raises(gr.Error, match="no such adapter"):
        press(office, adapters.promote_it, one, "", workspace=1)
    assert serving(office) is None


def test_release_notes_are_shown_of_what_serves_and_of_what_is_chosen(office, adapters, make):
    first, second = make(seed=1), make(seed=2)
    folder = office.app.adapter_folder(second)
    hash = write_notes(folder, "## What changed\n\n- Seven more are right.\n")
    with closing(office.app.db()) as db, write_transaction(db):
        write(db, "update adapters set manifest_hash = ? where id = ?", hash, second)
    assert press(office, adapters.show)[adapters.notes] == ""
    assert "no release notes" in press(office, adapters.read, first)[adapters.notes]
    assert "Seven more are right." in press(office, adapters.read, second)[adapters.notes]
    shown = press(office, adapters.promote_it, second, "")
    assert f"**Adapter {second}**" in shown[adapters.notes]
    assert "Seven more are right." in shown[adapters.notes]


def test_an_adapter_is_compared_with_the_base(office, adapters, make):
    made = make()
    choices = press(office, adapters.open)[adapters.compare.left]["choices"]
    assert [id for _, id in choices] == ["base", made]
    said = press(office, adapters.compare.ask_both, "base", made, "How long?")
    assert f"<h2>Adapter {made}</h2>" in said[adapters.compare.answers]
