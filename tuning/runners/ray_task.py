"""What runs on a node of a Ray cluster: take the parcel, train, hand over all that must survive.

A task that yields: what training says, each new checkpoint in pieces, in the end the adapter. The
node's disk is lost with the node, so nothing that is wanted later stays here.
"""

import os
import queue
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage.errors import ApprenticeError, BadInput
from storage.models import fingerprint
from tuning.bundle import bundle_hash, read_bundle
from tuning.checkpoint import last_checkpoint
from tuning.child import LOG, MemoryRanOut, RoundFailed, Said
from tuning.runners.accelerate import Accelerate
from tuning.runners.local import Local
from tuning.runners.parcel import pack, unpack
from tuning.runners.protocol import Runner
from tuning.runners.ray_base import join_base
from tuning.runners.returned import CHECKPOINT, RESULT

PIECE_BYTES = 8 << 20
"""Of an archive that is handed over: what is in memory at once, here and on the head."""
TAIL_BYTES = 2000
"""Of the training's own log that go home when it fails."""
TOGETHER_S = 0.25
"""Seconds for which what training says is gathered: each thing that is handed over costs the node
and the head a millisecond each, 8% of a core at both where a step takes ten."""
LEAVING_S = 10.0
"""Seconds that a training whose caller left gets to end."""


@dataclass(frozen=True)
class Work:
    """What the task is to do; plain values, for they travel."""

    options: tuple[str, ...]
    """Of `python -m tuning.run`, but for the folders."""
    cpus: float
    gpus: float
    base: str = ""
    """The base model's folder on the node ("": it comes in packages)."""


@dataclass(frozen=True)
class Piece:
    """A part of an archive that is handed over: the `at`-th of `of`."""

    file: str
    at: int
    of: int
    data: bytes = field(repr=False)


def train_here(work: Work, archives: Mapping[str, Sequence[Any]]) -> Iterator[list[Said] | Piece]:
    """Trains; `archives` are the parcel and a checkpoint, each by its name in pieces.

    A piece is bytes or the reference that Ray has for them. Yields what training says, several
    things at once, `Piece`s, and at a failure [{"error", "memory", "log"}] as the last.
    """
    with tempfile.TemporaryDirectory(prefix="apprentice-") as scratch:
        folder = Path(scratch)
        yield [{"note": f"the node {socket.gethostname()} has the bundle"}]
        training = _Training(folder, work)
        try:
            for name, pieces in archives.items():
                _unpacked(folder, name, pieces)
            yield from training.run()
            yield from _handed_over(RESULT, training.result())
        except Exception as error:  # noqa: BLE001  a task's own error would travel as a pickle
            yield from training.checkpoint()
            yield [_failure(error, folder / "out" / LOG)]


class _Training:
    """One training in `folder`, by a thread, so that what it says is yielded as it comes."""

    def __init__(self, folder: Path, work: Work) -> None:
        self._folder, self._work = folder, work
        self._out = folder / "out"
        self._said: queue.Queue[Said | Exception | None] = queue.Queue()
        self._left = threading.Event()
        self._sent = ""

    def run(self) -> Iterator[list[Said] | Piece]:
        """What it says, and its checkpoints. Raises what ended it."""
        thread = threading.Thread(target=self._train, name="training", daemon=True)
        thread.start()
        try:
            over = False
            while not over:
                several = self._gathered()
                over = several[-1] is None
                if said := [one for one in several if isinstance(one, dict)]:
                    yield said
                yield from self.checkpoint()
                for one in several:
                    if isinstance(one, Exception):
                        raise one
        finally:
            self._left.set()
            thread.join(LEAVING_S)

    def _gathered(self) -> list[Said | Exception | None]:
        """What comes next, and what follows it at once; None is the last."""
        several = [self._said.get()]
        if several[0] is not None:
            time.sleep(TOGETHER_S)
        while not self._said.empty():  # nobody else takes from it
            several.append(self._said.get())
        return several

    def checkpoint(self) -> Iterator[Piece]:
        """The newest whole one, if it was not handed over before."""
        names = [path.name for path in self._out.glob("checkpoint-*")]
        newest = max(names, key=lambda name: int(name.rpartition("-")[2]), default="")
        if not newest or newest == self._sent:
            return
        found = last_checkpoint(self._out, bundle_hash(self._folder / "bundle"))
        if found is not None and found.folder.name != self._sent:
            self._sent = found.folder.name
            try:
                archive = pack(self._folder / CHECKPOINT, {self._sent: found.folder})
            except OSError:  # training goes on meanwhile, and drops the old ones
                return
            yield from _handed_over(CHECKPOINT, archive)

    def result(self) -> Path:
        """The adapter and its figures, packed."""
        parts = {name: self._out / name for name in ("adapter", "training.json")}
        return pack(self._folder / RESULT, parts)

    def _train(self) -> None:
        try:
            self._by_a_runner()
        except Exception as error:  # noqa: BLE001  it is raised again where it is waited for
            self._said.put(error)
        self._said.put(None)

    def _by_a_runner(self) -> None:
        bundle = read_bundle(self._folder / "bundle")
        base = Path(self._work.base) if self._work.base else join_base(self._folder / "base")
        if fingerprint(base) != bundle.base_fingerprint:
            raise BadInput(f"The base model in {base} on the node is not the one of the bundle.")
        start = self._folder / "start"
        options = [*self._work.options, "--threads", str(max(1, int(self._work.cpus)))]
        several = self._work.gpus > 1
        by: Runner = Accelerate() if several else Local()
        by.train(
            bundle.folder,
            self._out,
            base,
            on_progress=self._said.put,
            cancelled=self._left.is_set,
            options=[*(["--start", str(start)] if start.is_dir() else []), *options],
        )


def _unpacked(folder: Path, name: str, pieces: Sequence[Any]) -> None:
    """The archive's files: the parcel's in `folder`, a checkpoint's where training looks for it."""
    archive = folder / name
    with archive.open("wb") as file:
        for piece in pieces:
            file.write(piece if isinstance(piece, bytes) else _fetched(piece))
    unpack(archive, folder / "out" if name == CHECKPOINT else folder)
    archive.unlink()


def _fetched(reference: Any) -> bytes:
    import ray

    return bytes(ray.get(reference))


def _handed_over(name: str, archive: Path) -> Iterator[Piece]:
    of = max(1, -(-archive.stat().st_size // PIECE_BYTES))
    with archive.open("rb") as file:
        for at in range(of):
            yield Piece(name, at, of, file.read(PIECE_BYTES))


def _failure(error: Exception, log: Path) -> Said:
    ours = isinstance(error, ApprenticeError)
    said = str(error) if ours else f"The node could not train: {error!r}."
    if isinstance(error, RoundFailed):  # the log it names is gone with the node's folder
        said = said.replace(str(log), f"the round's {LOG}")
    return {"error": said, "memory": isinstance(error, MemoryRanOut), "log": _end_of(log)}


def _end_of(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(-min(TAIL_BYTES, os.path.getsize(log)), os.SEEK_END)
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
