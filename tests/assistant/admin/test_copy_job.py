"""Copies as jobs: where they may go, one at a time, and how they end."""

from contextlib import closing

import pytest

from assistant.admin.copy_job import EXPORT, PUSH, last_copy, start_export, start_push
from storage import jobs
from storage.adapters import add_adapter
from storage.copies import copies_of
from storage.errors import BadInput, Refused
from tests.tiny import make_tiny_adapter
from tuning.adapter_files import manifest_hash, save_adapter


@pytest.fixture
def known(office, tmp_path):
    """An adapter on another base than serves: its files are handed out and asked nothing."""
    weights = make_tiny_adapter(office.app.base, tmp_path / "weights")
    facts = {"base_fingerprint": "b" * 64, "method": "lora", "round_id": None}
    folder = office.app.adapter_folder(1)
    save_adapter(weights, folder, metrics={}, **facts)
    with closing(office.app.db()) as db:
        hash = manifest_hash(folder)
        return add_adapter(db, office.team.id, parent_id=None, manifest_hash=hash, **facts)


def start(office, known, folder, format="peft"):
    return start_export(office.app, known, format, "f16", str(folder), actor="user:1")


def test_an_export_ends_with_where_it_is_and_what_was_asked(office, known, tmp_path):
    queued = start(office, known, tmp_path / "out")
    ended = office.ended(last_copy)
    assert (ended.id, ended.kind, ended.state) == (queued.id, EXPORT, "done")
    assert str(tmp_path / "out") in ended.note and "asked nothing" in ended.note
    with closing(office.app.db()) as db:
        assert [copy.place for copy in copies_of(db, [known.id])] == [str(tmp_path / "out")]


def test_what_cannot_be_merged_fails_with_a_sentence_and_leaves_nothing(office, known, tmp_path):
    start(office, known, tmp_path / "out", "merged")
    ended = office.ended(last_copy)
    assert ended.state == "failed" and "made for the base" in ended.error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("place", "named"),
    [("", "no full path"), ("  ", "no full path"), ("out/here", "no full path")],
)
def test_a_place_must_be_a_full_path(office, known, place, named):
    with pytest.raises(BadInput, match=named):
        start(office, known, place)


def test_a_place_is_new_and_outside_of_our_own(office, known, tmp_path):
    root = office.app.datadir.root
    (tmp_path / "link").symlink_to(root)
    for inside in (root, root / "adapters" / "x", tmp_path / "link" / "x"):
        with pytest.raises(BadInput, match="in the data directory"):
            start(office, known, inside)
    with pytest.raises(BadInput, match="exists already"):
        start(office, known, tmp_path)
    with closing(office.app.db()) as db:
        assert last_copy(db, office.team.id) is None


@pytest.mark.parametrize("kind", [EXPORT, PUSH])
def test_one_copy_at_a_time_in_the_house(office, known, tmp_path, kind):
    with closing(office.app.db()) as db:
        running = jobs.create_job(db, kind, 1)
        jobs.start_job(db, running.id, 1)
    with pytest.raises(Refused, match="is being made"):
        start(office, known, tmp_path / "out")
    with pytest.raises(Refused, match="is being made"):
        start_push(office.app, known, "ada/shop", public=False, actor="user:1")


def test_a_push_needs_a_name(office, known):
    with pytest.raises(BadInput, match="NAME/REPO"):
        start_push(office.app, known, "  ", public=False, actor="user:1")


def test_the_last_copy_is_this_workspaces(office, known):
    with closing(office.app.db()) as db:
        theirs = jobs.create_job(db, PUSH, 1)
        jobs.create_job(db, "round", office.team.id)
        assert last_copy(db, office.team.id) is None
        ours = jobs.create_job(db, EXPORT, office.team.id)
        found = last_copy(db, office.team.id)
        assert found.id == ours.id != theirs.id
