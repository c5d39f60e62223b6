"""Which workspace's round is due: by count, by the clock, in its hours, once."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from assistant.schedule import GRACE, due, next_planned, start_due
from storage.conversations import add_message, start_conversation
from storage.database import write, write_transaction
from storage.rounds import create_round, finish_round
from storage.workspaces import set_workspace, workspace_by_id
from tests.assistant.taught import teach


@pytest.fixture
def room(app, workspace):
    """The default workspace with five approved corrections; `now` and settings are the test's."""
    return Room(app, teach(app, workspace))


class Room:
    """Sets, asks and moves times of one workspace. Its corrections are as old as it says."""

    def __init__(self, app, workspace):
        self.app, self.id = app, workspace.id

    def set(self, **values):
        with closing(self.app.db()) as db:
            for key, value in values.items():
                set_workspace(db, "default", key, value)
            with write_transaction(db):
                long_ago = "2026-11-01T00:00:00.000Z"
                write(db, "update settings set updated_at = ?", long_ago)
                write(db, "update messages set created_at = ?", long_ago)

    def due(self, now):
        return [one.id for one in due(self.app, now)]

    def round_at(self, at, state="failed"):
        """A round that began at `at`, with the five corrections approved after it."""
        with closing(self.app.db()) as db:
            made = create_round(db, self.id, config={}, base_fingerprint="b")
            if state != "queued":
                finish_round(db, made.id, state=state)
            with write_transaction(db):
                write(db, "update rounds set created_at = ?", iso(at))
                ended = iso(at + timedelta(minutes=10))
                write(db, "update jobs set finished_at = ? where finished_at is not null", ended)
                write(db, "update feedback set reviewed_at = ?", iso(at + timedelta(seconds=2)))

    def planned(self, now):
        with closing(self.app.db()) as db:
            return next_planned(db, workspace_by_id(db, self.id), now)


def iso(time):
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def at(day, hour, minute=0):
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize("key, value", [("tune_after", "{}"), ("schedule", "every {}")])
def test_by_count(room, key, value):
    assert room.due(at(21, 12)) == []
    room.set(**{key: value.format(6)})
    assert room.due(at(21, 12)) == []
    assert "after 1 more approved" in room.planned(at(21, 12))
    room.set(**{key: value.format(5)})
    assert room.due(at(21, 12)) == [room.id]


def test_by_the_clock_once(room):
    room.set(schedule="0 2 * * *")
    room.round_at(at(21, 1))
    assert room.due(at(21, 1, 59)) == []
    assert room.due(at(21, 2)) == [room.id]
    room.round_at(at(21, 2))  # it starts, and fails
    assert room.due(at(21, 2, 1)) == []
    assert room.due(at(22, 2, 1)) == [room.id]
    assert "Sunday 22 November, 02:00" in room.planned(at(21, 3))


def test_a_missed_time_runs_once_within_the_grace(room):
    room.set(schedule="0 2 * * *")
    room.round_at(at(18, 2))
    assert room.due(at(21, 2) + GRACE) == [room.id], "the server was down at two"
    assert room.due(at(21, 2) + GRACE + timedelta(minutes=1)) == []
    room.round_at(at(21, 9))
    assert room.due(at(21, 9, 5)) == [], "one missed time started two rounds"


def test_a_schedule_does_not_reach_behind_the_day_it_was_set(room):
    with closing(room.app.db()) as db:
        set_workspace(db, "default", "schedule", "* * * * *")
    now = datetime.now(UTC)
    assert room.due(now) == []
    assert room.due(now + timedelta(minutes=2)) == [room.id]


def test_without_a_new_correction_there_is_nothing_to_teach(room):
    room.set(schedule="0 2 * * *")
    room.round_at(at(21, 1), "done")
    with closing(room.app.db()) as db, write_transaction(db):
        write(db, "update feedback set reviewed_at = ?", iso(at(20, 1)))
    assert room.due(at(21, 2, 5)) == []
    assert "if a correction has been approved by then" in room.planned(at(21, 3))


@pytest.mark.parametrize(("state", "hours"), [("failed", 1), ("cancelled", 24)])
def test_one_by_count_that_broke_off_is_tried_again_after_a_rest(room, state, hours):
    room.set(tune_after="5")
    room.round_at(at(20, 1), state)
    before = at(20, 1, 9) + timedelta(hours=hours)
    assert room.due(before) == []
    assert "the last one broke off, so it starts after" in room.planned(before)
    assert room.due(before + timedelta(minutes=1)) == [room.id]
    assert room.planned(before + timedelta(minutes=1)) == "A round is due and starts by itself."


def test_the_pairs_of_a_round_that_failed_are_new_to_the_next(room):
    """By the clock its own times are the bound: the day after."""
    room.set(schedule="0 2 * * *")
    room.round_at(at(21, 2), "failed")
    with closing(room.app.db()) as db, write_transaction(db):
        write(db, "update feedback set reviewed_at = ?", iso(at(20, 1)))
    assert room.due(at(21, 9)) == []
    assert room.due(at(22, 2)) == [room.id]


def test_in_idle_hours_when_nobody_chats(room):
    room.set(tune_after="5", idle_hours="22-6")
    assert room.due(at(21, 12)) == []
    assert room.due(at(21, 23)) == [room.id]
    with closing(room.app.db()) as db:
        talk = start_conversation(db, room.id, "visitor:x")
        asked = add_message(db, talk.id, "user", "hello")
        answer = add_message(db, talk.id, "assistant", "hi", parent_id=asked.id)
        with write_transaction(db):
            write(db, "update messages set created_at = ? where id = ?", iso(at(21, 23)), answer.id)
    assert room.due(at(21, 23, 4)) == []
    assert room.due(at(21, 23, 6)) == [room.id]
    assert "between 22 and 6 o'clock, when nobody chats" in room.planned(at(21, 12))


def test_not_while_its_round_is_unfinished(room):
    room.set(tune_after="5")
    room.round_at(at(20, 1), "queued")
    assert room.due(at(21, 12)) == []


def test_a_refusal_is_told_once_and_ends_nothing(room, caplog):
    room.set(tune_after="5")
    refused = {}
    for _ in range(3):
        start_due(room.app, refused)
    assert [pairs for pairs, _ in refused.values()] == [5]
    assert [record.message for record in caplog.records if "no round for" in record.message] == [
        "no round for default: Workspace 'default' has 5 approved corrections and a round needs 8: "
        "approve 3 more, or 20 thumbs with 4 of each kind."
    ]
    room.set(round_minutes="5")
    start_due(room.app, refused)
    told = [record for record in caplog.records if "no round for" in record.message]
    assert len(told) == 2, "another setting may have been what was in the way"
