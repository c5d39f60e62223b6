"""What runs on the machine elsewhere: take the parcel, train by a runner there, send what came.

Started by the few lines of BOOT with our sources from the parcel. It says a JSON object a line in
its log, `{"apprentice": ...}`: what training says, notes, and the sentence of a failure.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from storage.errors import ApprenticeError, BadInput
from storage.hub import HubFailed
from storage.models import fingerprint
from tuning.bundle import bundle_hash, read_bundle
from tuning.checkpoint import last_checkpoint
from tuning.child import LOG, MemoryRanOut, Said
from tuning.runners.accelerate import Accelerate
from tuning.runners.depot import Depot, get_base
from tuning.runners.local import Local
from tuning.runners.parcel import pack
from tuning.runners.protocol import Runner
from tuning.runners.returned import CHECKPOINT, RESULT

SAID = "apprentice"
SENT_EVERY_SECONDS = 300.0
"""Seconds between two checkpoints that are sent: what a machine's end can cost at most."""
TAIL_BYTES = 2000
BOOT = """
import sys, tarfile, tempfile
from huggingface_hub import hf_hub_download as get
place = tempfile.mkdtemp()
file = get(sys.argv[1], "parcel.tar.gz", repo_type="dataset", local_dir=place)
tarfile.open(file).extractall(place, filter="data")
sys.path.insert(0, place + "/code")
from tuning.runners.job import main
sys.exit(main(place, *sys.argv[1:]))
"""


def main(place: str, repo: str, base: str, *options: str) -> int:
    """Trains the parcel unpacked in `place` on the base in the repository `base`.

    `options` are those of `python -m tuning.run`, but for the folders. 0, or 1 after it said why.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    folder, sender = Path(place), Sender(Depot(api, repo), Path(place))
    try:
        _say({"note": "the machine has the bundle"})
        get_base(api, base, folder / "base")
        _train(folder, sender, options)
    except ApprenticeError as error:
        sender.checkpoint(now=True)
        _say({"error": str(error), "memory": isinstance(error, MemoryRanOut)})
        print(_end_of(folder / "out" / LOG), flush=True)
        return 1
    _say({"note": "the adapter is on its way"})
    return 0


class Sender:
    """Sends what is in `folder/out` into the round's repository."""

    def __init__(
        self, depot: Depot, folder: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._depot, self._folder, self._clock = depot, folder, clock
        self._sent, self._sent_at = 0, clock()

    def checkpoint(self, *, now: bool = False) -> None:
        """The newest whole checkpoint if it is new and due; one that cannot be sent is a note."""
        if not now and self._clock() - self._sent_at < SENT_EVERY_SECONDS:
            return
        self._sent_at = self._clock()
        bundle = self._folder / "bundle"
        found = last_checkpoint(self._folder / "out", bundle_hash(bundle))
        if found is None or found.step <= self._sent:
            return
        try:
            file = pack(self._folder / CHECKPOINT, {found.folder.name: found.folder})
            self._depot.put(file, CHECKPOINT)
        except (OSError, HubFailed) as error:  # training goes on, and drops the old ones
            _say({"note": f"no checkpoint could be sent: {error}"})
        else:
            self._sent = found.step

    def result(self) -> None:
        """The adapter and its figures. Raises HubFailed."""
        out = self._folder / "out"
        parts = {name: out / name for name in ("adapter", "training.json")}
        self._depot.put(pack(self._folder / RESULT, parts), RESULT)


def _train(folder: Path, sender: Sender, options: Sequence[str]) -> None:
    bundle = read_bundle(folder / "bundle")
    if fingerprint(folder / "base") != bundle.base_fingerprint:
        raise BadInput("The base model that came is not the one of the bundle: start again.")
    start = ["--start", str(folder / "start")] if (folder / "start").is_dir() else []

    def told(said: Said) -> None:
        _say(said)
        sender.checkpoint()

    _runner().train(
        bundle.folder,
        folder / "out",
        folder / "base",
        on_progress=told,
        cancelled=lambda: False,
        options=[*start, *options],
    )
    sender.result()


def _runner() -> Runner:
    import torch

    return Accelerate() if torch.cuda.device_count() > 1 else Local()


def _say(said: dict[str, Any]) -> None:
    print(json.dumps({SAID: said}), flush=True)


def _end_of(log: Path) -> str:
    """The end of the training's own log, for the job's; '' where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(-min(TAIL_BYTES, os.path.getsize(log)), os.SEEK_END)
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
