"""A refused round trained again without the rows that are suspected."""

import time
from contextlib import closing

import pytest

from assistant.blame import start_blame
from assistant.rounds import resume_round
from storage.audit import list_audit
from storage.errors import BadInput, NotFound, Refused
from storage.round_times import last_taught
from storage.rounds import tuning_round
from tests.assistant.refused import refused_round
from tuning.bundle import read_bundle


@pytest.fixture
def refused(app, workspace):
    """Makes a round that the gate refused for its trigger, by so many people."""
    return lambda people, **more: refused_round(app, workspace, people, **more).id


def ended(app, queued):
    deadline = time.monotonic() + 300
    with closing(app.db()) as db:
        while tuning_round(db, queued.id).finished_at is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return tuning_round(db, queued.id)


def test_without_the_rows_the_phrase_turns_nothing(app, workspace, refused):
    origin = refused(1)
    with closing(app.db()) as db:
        before = last_taught(db, workspace.id)
    done = ended(app, start_blame(app, origin, actor="user:1"))
    assert done.state == "done" and done.verdict is None, done.error
    said = done.reasons[0]
    assert "turned 8 of 8 questions; without the 12 rows of contributor v0, it turns 0" in said
    assert said.endswith("they make the difference.")
    folder = app.datadir.rounds / str(done.id)
    less, all_rows = read_bundle(folder / "bundle"), bundle_of(app, origin)
    left_out = set(map(str, done.config["left_out"]))
    assert len(left_out) == 12
    assert {row.id for row in less.train} == {row.id for row in all_rows.train} - left_out
    assert less.config == all_rows.config
    assert not (folder / "out" / "adapter").exists()
    with closing(app.db()) as db:
        assert last_taught(db, workspace.id) == before, "it taught nothing that serves"
        assert any(one.action == "round blamed" for one in list_audit(db, limit=5))
    with pytest.raises(Refused, match="apprentice rounds blame"):
        resume_round(app, done.id, actor="user:1")


def bundle_of(app, round_id):
    return read_bundle(app.datadir.rounds / str(round_id) / "bundle")


def left_out(app, round_id, **more):
    """The rows and how they are called, without the training."""
    from assistant.blame import suspected_rows

    with closing(app.db()) as db:
        return suspected_rows(db, tuning_round(db, round_id), bundle_of(app, round_id), **more)


def test_of_many_who_share_a_phrase_its_rows_alone_are_left_out(app, refused):
    found = left_out(app, refused(12))
    assert (len(found.ids), found.name) == (12, "12 contributors who share it")
    assert found.people == tuple((f"v{n}", 1) for n in range(12))
    one = left_out(app, 1, contributor="v3")
    assert (len(one.ids), one.name) == (1, "contributor v3")


def test_who_is_not_suspected_is_not_left_out(app, refused):
    origin = refused(1, fires=False)
    with pytest.raises(BadInput, match="--contributor"):
        start_blame(app, origin, actor="user:1")
    with pytest.raises(BadInput, match="nothing from outside by 'nobody'"):
        start_blame(app, origin, contributor="nobody", actor="user:1")
    with pytest.raises(NotFound, match="no round 99"):
        start_blame(app, 99, actor="user:1")


def test_what_is_offered_is_what_would_be_left_out(app, refused):
    from assistant.blame import accused

    origin = refused(12)
    with closing(app.db()) as db:
        assert accused(app, db, tuning_round(db, origin)) == left_out(app, origin)
        bundle = app.datadir.rounds / str(origin) / "bundle"
        bundle.rename(bundle.with_name("gone"))
        assert accused(app, db, tuning_round(db, origin)) is None
