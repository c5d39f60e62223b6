"""Copies of an adapter from the admin page: jobs that outlive the page, each on record."""

import json
from contextlib import closing
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from safetensors.numpy import load_file

from assistant.admin.copies import CopiesForm
from assistant.admin.copy_job import EXPORT, last_copy
from assistant.security import may_administer
from storage import jobs
from storage.adapters import add_adapter
from storage.audit import list_audit
from storage.copies import copies_of
from storage.gguf_model import Weight, write_model_gguf
from tests.tiny import make_tiny_adapter
from tuning.adapter_files import manifest_hash, save_adapter, verify_adapter


@pytest.fixture
def copies(tab):
    return tab(CopiesForm)


@pytest.fixture
def known(office, tmp_path):
    """An adapter that no round made: general questions are what it is asked."""
    base = office.app.base
    weights = make_tiny_adapter(base, tmp_path / "weights", strength=0.01)
    facts = {"base_fingerprint": base.fingerprint, "method": "lora", "round_id": None}
    save_adapter(weights, office.app.datadir.adapters / "1", metrics={}, **facts)
    hash = manifest_hash(office.app.datadir.adapters / "1")
    with closing(office.app.db()) as db:
        return add_adapter(db, office.team.id, parent_id=None, manifest_hash=hash, **facts)


def press(office, work, *inputs, who="ada", **more):
    return office.press(who, may_administer, work, *inputs, **more)


def test_a_folder_is_written_and_a_reload_says_where(office, copies, known, tmp_path):
    shown = press(office, copies.show)
    assert [id for _, id in shown[copies.adapter]["choices"]] == [known.id]
    press(office, copies.export_it, known.id, "peft", str(tmp_path / "out"))
    assert office.ended(last_copy).state == "done"
    verify_adapter(tmp_path / "out", office.app.base.fingerprint)
    assert json.loads((tmp_path / "out" / "parity.json").read_text())["parity"]["good"] is True
    assert f"adapter 1 is in {tmp_path / 'out'}" in press(office, copies.show)[copies.state]
    with closing(office.app.db()) as db:
        (copy,) = copies_of(db, [known.id])
    assert (copy.place, copy.actor) == (str(tmp_path / "out"), office.people["ada"].person.owner)


def test_a_model_has_its_parity_beside_it(office, copies, known, tmp_path):
    press(office, copies.export_it, known.id, "gguf f16", str(tmp_path / "out"))
    job = office.ended(last_copy)
    assert (job.state, job.error) == ("done", None)
    parity = json.loads((tmp_path / "out" / "parity.json").read_text())["parity"]
    assert parity["engine"] == "llamacpp" and (tmp_path / "out" / "model.gguf").is_file()
    assert "the exported model has" in press(office, copies.show)[copies.state]


def test_one_that_answers_otherwise_is_kept_with_a_reason_only(
    office, copies, known, tmp_path, monkeypatch
):
    def spoilt(base, adapter, out, **how):
        """A merge that went wrong: a whole file, other weights."""
        found = load_file(base / "model.safetensors")
        weights = [Weight(n, v.shape, lambda v=v: np.flip(v, 0)) for n, v in found.items()]
        write_model_gguf(out / "model.gguf", weights, base)

    monkeypatch.setattr("tuning.merge.merge_in_child", spoilt)
    press(office, copies.export_it, known.id, "gguf f16", str(tmp_path / "a"), "  ")
    assert "With a reason it is kept" in office.ended(last_copy).error
    assert not (tmp_path / "a").exists()
    shown = press(office, copies.export_it, known.id, "gguf f16", str(tmp_path / "b"), "To try it.")
    assert shown[copies.anyway] == ""
    assert office.ended(last_copy).state == "done"
    assert (tmp_path / "b" / "model.gguf").is_file()
    with closing(office.app.db()) as db:
        assert list_audit(db)[0].detail["anyway"] == "To try it."


def test_one_that_runs_is_followed_and_no_second_one_begins(office, copies, known, tmp_path):
    with closing(office.app.db()) as db:
        running = jobs.create_job(db, EXPORT, office.team.id)
        jobs.start_job(db, running.id, 1)
        jobs.beat(db, running.id, 0.5, "merging")
    shown = press(office, copies.show)
    assert "50% · merging" in shown[copies.state] and shown[copies.cancel]["visible"] is True
    assert press(office, copies.watch, shown[copies.seen]) == gr.skip()
    for work, *more in (
        (copies.export_it, known.id, "peft", str(tmp_path / "out")),
        (copies.push_it, known.id, "ada/shop", False),
    ):
        with pytest.raises(gr.Error, match="is being made"):
            press(office, work, *more)
    assert "stopping" in press(office, copies.cancel_it)[copies.state]
    with closing(office.app.db()) as db:
        assert jobs.job(db, running.id).cancel_requested
        jobs.finish_job(db, running.id, "cancelled")
    assert "cancelled" in press(office, copies.watch, shown[copies.seen])[copies.state]


@pytest.mark.parametrize("place", ["", None, "out", "/proc/nothing/out"])
def test_a_place_that_cannot_be_gets_a_sentence(office, copies, known, place):
    if place and place.startswith("/"):
        press(office, copies.export_it, known.id, "peft", place)
        failed = office.ended(last_copy)
        assert failed.state == "failed" and "cannot be written" in failed.error
        return
    with pytest.raises(gr.Error, match="no full path"):
        press(office, copies.export_it, known.id, "peft", place)


def test_nothing_is_written_over_or_among_our_own(office, copies, known, tmp_path):
    ours = office.app.datadir.root / "models" / "x"
    with pytest.raises(gr.Error, match="in the data directory"):
        press(office, copies.export_it, known.id, "peft", str(ours))
    with pytest.raises(gr.Error, match="exists already"):
        press(office, copies.export_it, known.id, "peft", str(tmp_path))
    assert not ours.exists()


def test_a_push_is_asked_twice_and_says_what_the_network_says(office, copies, known):
    with pytest.raises(gr.Error, match="NAME/REPO"):
        press(office, copies.ask_push, known.id, " ", False)
    asked = press(office, copies.ask_push, known.id, "ada/<shop>", False)
    assert "ada/&lt;shop&gt;" in asked[copies.question]
    assert "a private repository" in asked[copies.question]
    press(office, copies.push_it, known.id, "ada/shop", False)
    failed = office.ended(last_copy)  # no network in a test
    assert failed.state == "failed" and "cannot be reached" in failed.error


def test_only_an_admin_and_only_what_is_shown(office, copies, known, tmp_path):
    out = str(tmp_path / "out")
    with pytest.raises(gr.Error, match="may not"):
        press(office, copies.export_it, known.id, "peft", out, who="rita")
    with pytest.raises(gr.Error, match="no such adapter"):
        press(office, copies.push_it, known.id, "ada/shop", False, workspace=1)
    for chosen in (None, "1", 99):
        with pytest.raises(gr.Error):
            press(office, copies.export_it, chosen, "peft", out)
    assert not Path(out).exists()
