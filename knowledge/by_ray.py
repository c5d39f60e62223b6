"""Files prepared by Ray Data, in a child process that streams home what was made of them.

Ray stays out of this process: the one that owns the data directory writes SQLite and the index,
and goes on whatever becomes of the cluster. At most a few groups of files are on their way.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from knowledge.preparing import Cut, FileToRead, Made, Prepared, PreparerFailed, from_text
from storage.errors import BadInput

END_S = 15.0
"""Seconds that Ray gets to end its processes, which are killed then."""


def refuse_without_ray() -> None:
    """Raises BadInput where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise BadInput(
            "Ray is not installed, and --runner ray needs it: pip install 'apprentice-chat[ray]', "
            "or leave --runner out."
        )


@contextmanager
def prepared_by_ray(
    files: Iterable[FileToRead], cut: Cut, *, embedder: str, workers: int
) -> Iterator[Made]:
    """What `workers` processes make of `files`, in their order, as it is asked for.

    `embedder` is a name or folder as Embedder takes it. The cluster that RAY_ADDRESS names reads
    them, which must see the same paths; without that, this machine. Raises BadInput where Ray is
    not installed; what it gives raises PreparerFailed when Ray ended early.
    """
    refuse_without_ray()
    announced = [
        {"path": str(file.path.absolute()), "name": file.name, "suffix": file.suffix}
        for file in files
    ]
    if not announced:
        yield lambda path: None
        return
    options = ["--workers", str(workers), "--embedder", embedder]
    options += ["--max-tokens", str(cut.max_tokens), "--overlap", str(cut.overlap)]
    with _child([*options, "--parent", str(os.getpid())]) as child:
        assert child.stdin and child.stdout
        with suppress(BrokenPipeError):  # it is dead, and what it said of that is read below
            child.stdin.write("".join(f"{json.dumps(one)}\n" for one in announced).encode())
            child.stdin.close()
        known = {str(one["path"]) for one in announced}
        rows = _rows(child.stdout)

        def made(path: Path) -> Prepared | None:
            wanted = path.absolute()
            if str(wanted) not in known:
                return None
            return next(row for row in rows if row.path == wanted)

        yield made


def _rows(said: IO[bytes]) -> Iterator[Prepared]:
    why = "it was killed, or its machine has no memory left"
    for line in said:
        if not line.startswith(b'{"fault"'):
            yield from_text(line)
            continue
        why = json.loads(line)["fault"]
    raise PreparerFailed(
        f"Ray ended before all was read ({why}): what was taken in is kept, begin again to go on."
    )


@contextmanager
def _child(options: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    root = str(Path(__file__).parent.parent)
    search = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    with subprocess.Popen(
        [sys.executable, "-m", "knowledge.ray_tasks", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": search},
        start_new_session=True,  # Ctrl-C is for us: we end it in order
    ) as child:
        try:
            yield child
        finally:
            if child.stdout:
                child.stdout.close()
            child.terminate()
            try:
                child.wait(END_S)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
