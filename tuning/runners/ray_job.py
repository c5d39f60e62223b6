"""What runs on the head of a Ray cluster: it has a node train, and another one if that is lost.

Started by Ray Jobs in the folder with the parcel. It says a JSON object a line in the job's log,
`{"apprentice": ...}`: what training says, notes, files in pieces, and the sentence of a failure.
A node hands its checkpoints over as it makes them, so the next one goes on from the last that was
whole; each attempt is a task of its own, for one that Ray repeats by itself would not know of them.
"""

import argparse
import base64
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tuning.child import Said
from tuning.runners.job import SAID
from tuning.runners.ray_task import PIECE_BYTES, Piece, Work, train_here
from tuning.runners.returned import CHECKPOINT, PARCEL, RESULT

OVER = {"over": True}
"""The last thing that is said; without it the log was not read to its end."""
ATTEMPTS = 4
"""Nodes that may be lost, and one."""
LINE_BYTES = 512 << 10
"""Of a file in one line of the log: 700 kB of letters, where Ray's client takes 4 MB."""


class Stopped(BaseException):
    """The job was asked to end."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Has the parcel in this folder trained. 0, or 1 after it said why."""
    parser = argparse.ArgumentParser(prog="python -m tuning.runners.ray_job", description=__doc__)
    parser.add_argument("--cpus", type=float, default=1.0)
    parser.add_argument("--gpus", type=float, default=0.0)
    parser.add_argument("--base", default="")
    parser.add_argument("options", nargs="*", help="of `python -m tuning.run`, after a --")
    given = parser.parse_args(arguments)
    parcel = Path(PARCEL)
    data = parcel.read_bytes()
    parcel.unlink()  # it holds what people wrote, and Ray keeps this folder after the job
    ray = connected()
    signal.signal(signal.SIGTERM, _stop)
    work = Work(tuple(given.options), given.cpus, given.gpus, given.base)
    with tempfile.TemporaryDirectory(prefix="apprentice-") as scratch:
        home = Home(Path(scratch))
        try:
            failed = _trained(ray, work, data, home)
        except Stopped:
            failed = {"error": "The job was stopped."}
        if failed is not None:
            home.send(CHECKPOINT)
            say(failed)
        else:
            home.send(RESULT)
        say(OVER)
        return 0 if failed is None else 1


def connected() -> Any:
    """Ray, joined by this job; what runs on the nodes has our sources for its folder.

    The job's own folder holds what people wrote, and each node would keep a copy of it.
    """
    import ray

    own = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")).get("runtime_env", {})
    modules = own.get("py_modules", [])
    os.environ["RAY_OVERRIDE_JOB_RUNTIME_ENV"] = "1"
    ray.init(
        log_to_driver=False,
        logging_level="ERROR",
        runtime_env={"working_dir": modules[0]} if modules else None,
    )
    return ray


class Home:
    """Where archives come together that nodes hand over in pieces: a folder on the head."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, piece: Piece) -> None:
        """A piece; with its last one a file is there, in place of an older one."""
        part = self._folder / f"{piece.file}.part"
        with part.open("ab" if piece.at else "wb") as file:
            file.write(piece.data)
        if piece.at + 1 == piece.of:
            part.replace(self._folder / piece.file)

    def pieces(self, name: str) -> list[bytes]:
        """The file in pieces; none where it is not there."""
        path = self._folder / name
        return _cut(path.read_bytes()) if path.exists() else []

    def send(self, name: str) -> None:
        """Writes the file into the job's log, if it is there."""
        path = self._folder / name
        if not path.exists():
            return
        of = max(1, -(-path.stat().st_size // LINE_BYTES))
        with path.open("rb") as file:
            for at in range(of):
                data = base64.b64encode(file.read(LINE_BYTES)).decode()
                say({"file": name, "at": at, "of": of, "data": data})


def say(said: Said) -> None:
    """One line of the log, written at once: Ray writes there too."""
    sys.stdout.write(json.dumps({SAID: said}) + "\n")
    sys.stdout.flush()


def _trained(ray: Any, work: Work, data: bytes, home: Home) -> Said | None:
    """None when the result has come; else what failed."""
    parcel = [ray.put(piece) for piece in _cut(data)]
    _say_whether_there_is_room(ray, work)
    for attempt in range(1, ATTEMPTS + 1):
        checkpoint = [ray.put(piece) for piece in home.pieces(CHECKPOINT)]
        archives = {PARCEL: parcel} | ({CHECKPOINT: checkpoint} if checkpoint else {})
        options = work.options
        if checkpoint and "--resume" not in options:
            options = (*options, "--resume")
        now = Work(options, work.cpus, work.gpus, work.base)
        try:
            return _attempt(_yielded(ray, now, archives), home)
        except _lost(ray) as error:
            why = str(error).strip().splitlines()[0][:200]
            if attempt == ATTEMPTS:
                return {"error": f"{attempt} nodes were lost while they trained ({why})."}
            after = "its last checkpoint" if home.pieces(CHECKPOINT) else "the start"
            say({"note": f"the node was lost; another goes on from {after}"})
        except ray.exceptions.RayError as error:
            memory = isinstance(error, ray.exceptions.OutOfMemoryError)
            return {"error": f"The Ray cluster ended the training: {error}", "memory": memory}
    return None


def _attempt(yielded: Iterator[list[Said] | Piece], home: Home) -> Said | None:
    """Hands on what a node says; its failure, or None. Raises what Ray does when it is lost."""
    for several in yielded:
        if isinstance(several, Piece):
            home.take(several)
            continue
        for one in several:
            if "error" in one:
                return one
            say(one)
    return None


def _yielded(
    ray: Any, work: Work, archives: Mapping[str, Sequence[Any]]
) -> Iterator[list[Said] | Piece]:
    """What the task on a node yields, one after the other."""
    task = ray.remote(train_here).options(
        num_cpus=work.cpus,
        num_gpus=work.gpus,
        max_retries=0,
        scheduling_strategy="SPREAD",
    )
    for reference in task.remote(work, archives):
        yield ray.get(reference)


def _say_whether_there_is_room(ray: Any, work: Work) -> None:
    for node in ray.nodes():
        has = node["Resources"] if node["Alive"] else {}
        if has.get("CPU", 0) >= work.cpus and has.get("GPU", 0) >= work.gpus:
            return
    what = f"{work.cpus:g} CPUs" + (f" and {work.gpus:g} GPUs" if work.gpus else "")
    say({"note": f"no node of the cluster has {what}: waiting for one"})


def _lost(ray: Any) -> tuple[type[Exception], ...]:
    """What Ray raises where the node or the task's process is gone."""
    known = ray.exceptions
    return (known.NodeDiedError, known.WorkerCrashedError, known.ObjectLostError)


def _cut(data: bytes) -> list[bytes]:
    return [data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)]


def _stop(number: int, frame: object) -> None:
    raise Stopped


if __name__ == "__main__":
    sys.exit(main())
