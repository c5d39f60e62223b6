"""Rounds that train elsewhere do it beside each other, and come back one by one."""

import os
import threading
import time
from contextlib import closing

import pytest

from assistant.turns import GivesTurn
from storage.jobs import job, request_cancel
from storage.rounds import create_round, finish_round
from storage.turns import take_turn, take_turn_back
from storage.workspaces import create_workspace
from tuning.child import RoundCancelled


class Elsewhere:
    """A runner that waits until it is let go."""

    name = "elsewhere"

    def __init__(self):
        self.began, self.may_end = threading.Event(), threading.Event()

    def ready(self):
        return "somewhere"

    def place(self, bundle):
        return "there"

    def train(self, bundle, out, model_folder, *, on_progress, cancelled, options=()):
        self.began.set()
        assert self.may_end.wait(60)
        return {"options": options}


@pytest.fixture
def begun(app, workspace):
    """Starts a round of a workspace in a thread: (runner, round, what train came to)."""
    made = []

    def one(name):
        with closing(app.db()) as db:
            where = create_workspace(db, name)
            queued = create_round(db, where.id, config={}, base_fingerprint="b")
        runner, came = Elsewhere(), []

        def work():
            with closing(app.db()) as db:
                assert take_turn(db, queued.id, os.getpid()) is None
                try:
                    came.append(
                        GivesTurn(runner, db, queued).train(
                            None,
                            None,
                            None,
                            on_progress=print,
                            cancelled=lambda: job(db, queued.job_id).cancel_requested,
                            options=("a",),
                        )
                    )
                except RoundCancelled as error:
                    came.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        made.append((runner, thread))
        assert runner.began.wait(60)
        return runner, queued, came, thread

    yield one
    for runner, thread in made:
        runner.may_end.set()
        thread.join(60)


def until(holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_two_train_at_once_and_the_second_to_end_waits_to_be_judged(app, begun):
    first, one, came_one, _ = begun("a")
    second, two, came_two, _ = begun("b")
    second.may_end.set()
    until(lambda: came_two)
    first.may_end.set()
    with closing(app.db()) as db:
        said = f"back here, waiting for round {two.id} of b"
        until(lambda: job(db, one.job_id).note == said)
        assert came_one == []
        finish_round(db, two.id, state="done")
        until(lambda: came_one)
        assert came_one == came_two == [{"options": ("a",)}]
        assert take_turn_back(db, one.id) is None


def test_one_that_waits_to_be_judged_may_be_cancelled(app, begun):
    first, one, came, thread = begun("a")
    second, two, came_two, _ = begun("b")
    second.may_end.set()
    until(lambda: came_two)
    first.may_end.set()
    with closing(app.db()) as db:
        until(lambda: "back here" in job(db, one.job_id).note)
        request_cancel(db, one.job_id)
    thread.join(60)
    assert isinstance(came[0], RoundCancelled)
