"""Moves workspaces in children of its own, which are killed where it is told to.

    python tests/faults/mover.py

Each line on standard input is {"folder", "to", "step" or "after"?}; each line of output is how that
child ended. It reads the libraries once and opens nothing itself, so that a fork takes no lock
along.
"""

import functools
import json
import os
import signal
import sys
import threading
from pathlib import Path

import chromadb  # noqa: F401  read once for all children

from assistant import moving
from assistant.commands import cell_ends  # noqa: F401
from storage.errors import ApprenticeError
from tests.fleet import moved


def killed_after(number: int) -> None:
    """Have this process killed at the end of step `number`."""
    steps = list(moving.STEPS)
    step = steps[number]

    @functools.wraps(step)
    def dies(work: moving.Work) -> None:
        step(work)
        os.kill(os.getpid(), signal.SIGKILL)

    steps[number] = dies
    moving.STEPS = tuple(steps)


def run(asked: dict[str, object]) -> int:
    if "step" in asked:
        killed_after(int(str(asked["step"])))
    if "after" in asked:
        seconds = float(str(asked["after"]))
        killer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
        killer.daemon = True
        killer.start()
    try:
        moved(Path(str(asked["folder"])), str(asked["to"]))
    except ApprenticeError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os._exit(run(json.loads(line)))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
