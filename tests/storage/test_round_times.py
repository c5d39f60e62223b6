"""When bundles were made and rounds begun: by whoever trained them, and wherever."""

import pytest

from storage.database import write, write_transaction
from storage.pairs import pairs_since_last_round
from storage.round_times import last_start, last_taught
from storage.rounds import create_round, finish_round


@pytest.fixture
def round_on(db, workspace):
    """`round_on(day, state, **config)`: a round of that day of January 2030."""

    def build(day, state="done", **config):
        made = create_round(db, workspace.id, config=config, base_fingerprint="b")
        if state not in ("queued", "running"):
            finish_round(db, made.id, state=state)
        with write_transaction(db):
            write(db, "update rounds set created_at = ? where id = ?", on(day), made.id)
        return made

    return build


def on(day):
    return f"2030-01-{day:02}T12:00:00.000Z"


def test_before_the_first_round_there_is_no_time(db, workspace):
    assert last_start(db, workspace.id) is None and last_taught(db, workspace.id) is None


def test_what_broke_off_was_begun_and_taught_nothing(db, workspace, round_on):
    round_on(1)
    round_on(2, "failed")
    round_on(3, "cancelled")
    round_on(4, imported=7)
    assert (last_start(db, workspace.id), last_taught(db, workspace.id)) == (on(3), on(1))
    round_on(5, "queued")
    assert last_taught(db, workspace.id) == on(5)


def test_a_bundle_that_comes_back_is_as_old_as_the_round_it_was_made_for(
    db, workspace, round_on, corrected
):
    exported = round_on(2, "cancelled")
    round_on(9, trained_elsewhere=exported.id)
    given = corrected("q", "a", yes=True)
    with write_transaction(db):
        write(db, "update feedback set reviewed_at = ? where id = ?", on(5), given.id)
    assert (last_start(db, workspace.id), last_taught(db, workspace.id)) == (on(2), on(2))
    assert pairs_since_last_round(db, workspace.id) == 1, "approved after the bundle had left"
