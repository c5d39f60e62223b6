"""A move between cells that is killed, while people write: one owner, and no word lost."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from assistant import moving
from storage.conversations import add_message, start_conversation
from storage.database import open_database, rows
from storage.errors import Moving, NotFound
from storage.workspaces import workspace
from tests.fleet import NAME, known, owners, settled, shop_in_a, two_cells, words

ROOT = Path(__file__).parent.parent.parent
STEPS = [step.__name__ for step in moving.STEPS]


@pytest.fixture(scope="module")
def mover():
    """`mover(folder, to, ...)`: the exit code of a move in a process of its own."""
    run = [sys.executable, "-m", "tests.faults.mover"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(run, cwd=ROOT, **pipes) as process:

        def move(folder: Path, to: str, **how: float) -> int:
            process.stdin.write(json.dumps({"folder": str(folder), "to": to, **how}) + "\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        try:
            yield move
        finally:
            process.stdin.close()
            process.kill()


@pytest.fixture
def folder(tmp_path):
    """Two cells whose databases are open somewhere, as their servers have them."""
    cells = two_cells(tmp_path)
    shop_in_a(tmp_path)
    with ExitStack() as stack:
        for one in cells:
            stack.enter_context(closing(open_database(one.datadir.database)))
        yield tmp_path


def tell(folder: Path, text: str, acknowledged: list[str]) -> None:
    """A question at the one cell that answers; what is refused is not acknowledged."""
    [name] = owners(folder)
    with open_database(known(folder, name).datadir.database) as db:
        talk = start_conversation(db, workspace(db, NAME).id, "user:1")
        add_message(db, talk.id, "user", text)
    acknowledged.append(text)


@pytest.mark.parametrize("number", range(len(STEPS)), ids=STEPS)
def test_killed_after_each_step_it_has_one_owner_with_all_words(folder, mover, number):
    acknowledged: list[str] = []
    tell(folder, "before", acknowledged)
    before = [text for text in words(known(folder, "a")) if text.startswith(NAME)]
    assert len(before) == 4
    assert mover(folder, "b", step=number) == -signal.SIGKILL
    settled(folder)
    assert owners(folder) == ["b" if number >= STEPS.index("flip") else "a"]
    tell(folder, "after the kill", acknowledged)
    if STEPS[number] != "forget":
        assert mover(folder, "b") == 0
    assert owners(folder) == ["b"]
    tell(folder, "at the end", acknowledged)
    there, left = words(known(folder, "b")), words(known(folder, "a"))
    assert [there.count(text) for text in before + acknowledged] == [1] * 7
    assert not set(left) & set(before + acknowledged)


def test_a_move_that_was_cut_off_can_be_called_off(folder, mover):
    said = words(known(folder, "a"))
    assert mover(folder, "b", step=STEPS.index("finish_copy")) == -signal.SIGKILL
    assert mover(folder, "a") == 0  # back to where it is
    assert owners(folder) == ["a"]
    assert words(known(folder, "a")) == said and words(known(folder, "b")) == []
    with open_database(known(folder, "b").datadir.database) as db:
        assert [row["name"] for row in rows(db, "select name from workspaces")] == ["default"]
    assert mover(folder, "b") == 0


def writes(folder: Path, stop: threading.Event, acknowledged: list[str], who: str) -> None:
    """Somebody who asks all the time, and again what was refused."""
    while not stop.is_set():
        try:
            tell(folder, f"question {who}-{len(acknowledged)}", acknowledged)
        except (Moving, NotFound, ValueError):  # nobody answers at this moment
            time.sleep(0.01)


@pytest.mark.parametrize("kills", [3, pytest.param(100, marks=pytest.mark.slow)])
def test_killed_at_any_moment_while_people_write_no_word_is_lost(folder, mover, kills):
    """Servers settle what is left, and the command is given again until it is done."""
    chance, acknowledged, at = random.Random(kills), [[], []], "a"
    for turn in range(kills):
        stop, to = threading.Event(), "b" if at == "a" else "a"
        people = [
            threading.Thread(target=writes, args=(folder, stop, heard, f"{turn}-{who}"))
            for who, heard in enumerate(acknowledged)
        ]
        for person in people:
            person.start()
        try:
            code = mover(folder, to, after=chance.uniform(0.05, 0.8))
            settled(folder)
            assert len(owners(folder)) == 1
            if code != 0:
                there_already = owners(folder) == [to]
                # 2: it was done but for the last word, so it is there already
                assert mover(folder, to) in ((0, 2) if there_already else (0,))
        finally:
            stop.set()
            for person in people:
                person.join()
        at = to
        assert owners(folder) == [at]
        there = words(known(folder, at))
        for text in [*acknowledged[0], *acknowledged[1]]:
            assert there.count(text) == 1, text
    assert all(len(heard) > kills for heard in acknowledged)
