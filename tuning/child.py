"""Training in a process of its own, so that neither its memory nor its death is the server's.

The child runs at nice 19 in its own session, dies with its parent, and says one JSON object a line
on standard output; what libraries print goes to `train.log`. A child that falls silent is asked
where it hangs (its stacks go to the log) and then killed.
"""

import ctypes
import faulthandler
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from storage.errors import ApprenticeError

BEAT_SECONDS = 5.0
"""How often the child shows that it lives."""
SILENCE_SECONDS = 120.0
"""Silence after which it is killed: a machine that swaps may well stop for a minute."""
POLL_SECONDS = 0.3
"""How often a wish to cancel is looked for."""
LOG = "train.log"
_PR_SET_PDEATHSIG = 1
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUNBUFFERED": "1",
    # libgomp's own default, which a server lowers for itself: a thread that sleeps at each barrier
    # made steps twice as long (8.0 against 3.7 s), and at nice 19 one that looks takes from nobody.
    "GOMP_SPINCOUNT": "300000",
    # glibc hands big blocks back to the kernel after each step, which zeroes them anew: a third of
    # a step's time was page faults while another process ran.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
}

Said = dict[str, Any]


class RoundFailed(ApprenticeError):
    """The round ended without an adapter; the sentence says why and what to do."""


class MemoryRanOut(RoundFailed):
    """The training process needed more memory than there was."""


class RoundCancelled(RoundFailed):
    """Somebody asked the round to stop."""


def in_child(
    arguments: list[str],
    log_file: Path,
    *,
    on_said: Callable[[Said], None],
    cancelled: Callable[[], bool] = lambda: False,
    silence_seconds: float = SILENCE_SECONDS,
) -> Said:
    """Runs this Python with `arguments`, a program that calls `become_child`; returns its result.

    `on_said` hears everything else it says. Raises RoundFailed with its own sentence or how it
    died, RoundCancelled when `cancelled()`.
    """
    with log_file.open("ab") as log, started([sys.executable, *arguments], log) as child:
        for said in sayings(child, log_file, cancelled, silence_seconds):
            if "result" in said:
                child.wait()
                return dict(said["result"])
            if "error" in said:
                raise RoundFailed(said["error"])
            on_said(said)
        code = child.wait()
    how = f"signal {-code}" if code < 0 else f"code {code}"
    raise RoundFailed(
        f"The process ended with {how} before it was done; if memory ran out, end other programs. "
        f"Its last words are in {log_file}."
    )


@contextmanager
def started(command: list[str], log: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    """The child; its whole process group is gone when the block is left."""
    here = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH", "")]))
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
        env={**os.environ, **_OFFLINE, "PYTHONPATH": path},
    )
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


def sayings(
    child: "subprocess.Popen[bytes]",
    log: Path,
    cancelled: Callable[[], bool],
    silence_seconds: float,
) -> Iterator[Said]:
    """What the child says, until it ends."""
    lines: queue.Queue[bytes | None] = queue.Queue()
    threading.Thread(target=_read_lines, args=(child.stdout, lines), daemon=True).start()
    heard = time.monotonic()
    while True:
        if cancelled():
            raise RoundCancelled("The round was cancelled while it trained.")
        try:
            line = lines.get(timeout=POLL_SECONDS)
        except queue.Empty:
            if time.monotonic() - heard > silence_seconds:
                _ask_where_it_hangs(child, log)
                raise RoundFailed(
                    f"Training said nothing for {silence_seconds:g} s and was stopped; "
                    f"where it hung is in {LOG}. Start the round again."
                ) from None
            continue
        if line is None:
            return
        heard = time.monotonic()
        with suppress(ValueError):
            said = json.loads(line)
            if isinstance(said, dict):
                yield said


def _read_lines(stream: IO[bytes], lines: "queue.Queue[bytes | None]") -> None:
    with suppress(ValueError, OSError):  # closed while we read: the round is over
        for line in stream:
            lines.put(line)
    lines.put(None)


def _ask_where_it_hangs(child: "subprocess.Popen[bytes]", log: Path) -> None:
    """Has the child write its stacks to its log; gives it up to 5 s: a busy machine is slow."""
    said = before = log.stat().st_size
    with suppress(ProcessLookupError):
        child.send_signal(signal.SIGUSR1)  # first: once it goes on, it may be elsewhere, or done
        os.killpg(child.pid, signal.SIGCONT)
    for _ in range(10):
        time.sleep(0.5)
        last, said = said, log.stat().st_size
        if last == said > before:  # it writes line by line, and has stopped
            break


def step_back() -> None:
    """Lowest priority for this process: at the chat's own, a round starves the chat.

    Where Linux groups processes by session (autogroup, the default of most desktops), a process's
    nice counts within its session alone, and the session has a nice of its own: sched(7).
    """
    os.nice(19)
    with suppress(OSError):  # no Linux, or no such grouping
        Path("/proc/self/autogroup").write_text("19")


def become_child(parent: int, *, beats: bool = True, quiet: bool = True) -> Callable[[Said], None]:
    """Makes this process the training child of `parent`; returns how to speak to it.

    Call before torch is imported: its threads inherit the priority. Of several that speak through
    one pipe only one `beats`, or the others would cover up that it hangs. One that is not `quiet`
    leaves standard output to its own children.
    """
    step_back()
    with suppress(OSError):  # when memory runs out, the kernel takes us and not the server
        Path("/proc/self/oom_score_adj").write_text("1000")
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked to follow it
        os._exit(1)
    # a service manager stops the server's children with it; ended by that, the round would count as
    # failed, ended with its parent it goes on at the next start
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    faulthandler.register(signal.SIGUSR1)
    voice = os.fdopen(os.dup(1), "w")
    if quiet:
        os.dup2(2, 1)  # what libraries print goes to the log, never between our lines
    speaking = threading.Lock()

    def say(said: Said) -> None:
        with speaking:
            voice.write(json.dumps(said) + "\n")
            voice.flush()

    if beats:
        threading.Thread(target=_beat, args=(say,), daemon=True).start()
    return say


def _beat(say: Callable[[Said], None]) -> None:
    while True:
        with suppress(OSError, ValueError):
            say({"rss_bytes": _rss_bytes()})
        time.sleep(BEAT_SECONDS)


def _rss_bytes() -> int:
    """Memory held now, from Linux's /proc; 0 elsewhere."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
