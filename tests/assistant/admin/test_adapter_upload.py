"""An adapter uploaded as a zip: taken in, judged as a job, and left to a person."""

import zipfile
from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.adapter_upload import last_import
from assistant.admin.adapters import AdaptersTab
from assistant.security import may_administer
from storage import jobs
from storage.adapters import adapter, list_adapters, serving_adapter
from storage.audit import list_audit
from storage.rounds import create_round
from tests.assistant.taught import teach
from tests.tiny import make_tiny_adapter


@pytest.fixture
def tabbed(tab):
    return tab(AdaptersTab)


@pytest.fixture
def plain(office, tmp_path):
    """A zip of a folder as PEFT leaves it."""
    folder = make_tiny_adapter(office.app.base, tmp_path / "plain")
    path = tmp_path / "mine.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"plain/{file.name}")
    return path


def press(office, work, *inputs, who="ada", **more):
    return office.press(who, may_administer, work, *inputs, **more)


def test_it_is_here_at_once_and_what_the_gate_says_is_read_after_a_reload(
    office, tabbed, tab, plain
):
    teach(office.app, office.team)
    before = press(office, tabbed.open)[tabbed.seen]
    assert press(office, tabbed.upload.take_in, str(plain))[tabbed.upload.file] is None
    assert not plain.exists()
    job = office.ended(last_import)
    assert (job.state, job.error) == ("done", None)
    moved = press(office, tabbed.watch, before)
    assert "imported, round 1" in moved[tabbed.listed]
    assert press(office, tabbed.watch, moved[tabbed.seen]) == gr.skip()
    for one in (tabbed, tab(AdaptersTab)):
        shown = press(office, one.open)
        assert "adapter 1 is here. The gate said" in shown[one.upload.state]
    with closing(office.app.db()) as db:
        known = adapter(db, 1)
        assert (known.workspace_id, known.round_id) == (office.team.id, 1)
        assert serving_adapter(db, office.team.id) is None
        done = next(one for one in list_audit(db) if one.action == "adapter imported")
    assert done.actor == office.people["ada"].person.owner
    assert not list(office.app.datadir.adapters.glob(".*"))


def test_without_anything_to_judge_by_the_job_says_so(office, tabbed, plain):
    press(office, tabbed.upload.take_in, str(plain))
    assert "Nothing is kept back" in office.ended(last_import).note
    shown = press(office, tabbed.learned_from, 1)
    assert "it was imported" in shown[tabbed.lineage]


def test_what_is_no_adapter_or_comes_at_the_wrong_time_gets_a_sentence(office, tabbed, plain):
    path = plain.with_name("other.zip")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "nothing")
    with pytest.raises(gr.Error, match=r"no adapter in other\.zip"):
        press(office, tabbed.upload.take_in, str(path))
    assert not path.exists()
    with closing(office.app.db()) as db:
        create_round(db, office.team.id, config={}, base_fingerprint="b")
    with pytest.raises(gr.Error, match="[Rr]ound 1"):
        press(office, tabbed.upload.take_in, str(plain))
    with closing(office.app.db()) as db:
        assert list_adapters(db, office.team.id) == []
        assert [job.kind for job in jobs.list_jobs(db)] == ["round"]


def test_only_an_admin(office, tabbed, plain):
    with pytest.raises(gr.Error, match="may not"):
        press(office, tabbed.upload.take_in, str(plain), who="rita")
    assert plain.exists()
