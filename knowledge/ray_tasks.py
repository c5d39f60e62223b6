r"""The child that drives Ray Data: files on standard input, what was made of them on the other.

    python -m knowledge.ray_tasks --parent PID --workers N --embedder NAME \
        --max-tokens N --overlap N

A line of JSON for each file in, a line for each out, in the same order; {"fault": ...} when Ray
fails. It dies with its parent, and Ray's processes with it.
"""

import argparse
import ctypes
import json
import logging
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from knowledge.preparing import Cut, FileToRead, as_text, prepare

FILES_AT_ONCE, BYTES_AT_ONCE = 32, 1_000_000
"""Files of one task at most: enough for full batches, few enough for little to be lost."""
STORE_BYTES = 256 * 2**20
"""Ray's shared memory on this machine; its own choice is a third of all memory."""
WORDS = 20_000
"""Whose tokens are remembered, as in an ingest without Ray."""
PREFIX = "apprentice-ray-"
_PR_SET_PDEATHSIG = 1


class Preparing:
    """What an actor does: it loads the embedder once, then prepares group after group."""

    def __init__(self, embedder: str, cut: Cut) -> None:
        """Read the model. Raises BadInput as Embedder does."""
        from knowledge.embedding import Embedder

        self._embedder = Embedder(embedder)
        self._count_tokens = lru_cache(WORDS)(self._embedder.count_tokens)
        self._cut = cut

    def __call__(self, batch: pa.Table) -> pa.Table:
        """A table with a column `files` (JSON) to one with a row for each file (`made`)."""
        groups = [json.loads(text) for text in batch["files"].to_pylist()]
        files = [
            FileToRead(Path(one["path"]), one["name"], one["suffix"]) for one in sum(groups, [])
        ]
        made = prepare(files, self._cut, self._embedder, self._count_tokens)
        return pa.table({"made": pa.array([as_text(one) for one in made], pa.large_string())})


def main() -> int:
    """Prepares what standard input names; 1 when Ray failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--parent", "--workers", "--max-tokens", "--overlap"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--embedder", required=True)
    given = parser.parse_args()
    _die_with(given.parent)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    files = [json.loads(line) for line in sys.stdin]
    # what Ray prints must not stand between the lines
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    folder = _session_folder()
    _keep_to_ourselves()
    try:
        _stream(files, Cut(given.max_tokens, given.overlap), given, folder, out)
    # the edge: whatever Ray raises ends this process, and its first line is told
    except Exception as error:  # noqa: BLE001
        fault = (str(error).strip().splitlines() or [""])[0][:300]
        out.write(json.dumps({"fault": f"{type(error).__name__}: {fault}"}).encode() + b"\n")
        return 1
    finally:
        with suppress(BrokenPipeError):  # the reader may have left
            out.close()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _stream(
    files: list[dict[str, Any]],
    cut: Cut,
    given: argparse.Namespace,
    folder: Path,
    out: IO[bytes],
) -> None:
    import ray
    import ray.data

    _start(ray, given.workers, folder)
    try:
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        groups = [{"files": json.dumps(group)} for group in grouped(files)]
        made = ray.data.from_items(groups, override_num_blocks=len(groups)).map_batches(
            Preparing,
            fn_constructor_args=(given.embedder, cut),
            batch_format="pyarrow",
            batch_size=1,
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=min(given.workers, len(groups))),
        )
        for table in made.iter_batches(batch_format="pyarrow", batch_size=None, prefetch_batches=1):
            for text in table["made"].to_pylist():
                out.write(text.encode() + b"\n")
            out.flush()
    finally:
        ray.shutdown()


def grouped(files: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Files of one task each, in their order, so that a task has a bounded part of the text."""
    group: list[dict[str, Any]] = []
    size = 0
    for file in files:
        try:
            own = os.stat(file["path"]).st_size
        except OSError:
            own = 0
        if group and (len(group) == FILES_AT_ONCE or size + own > BYTES_AT_ONCE):
            yield group
            group, size = [], 0
        group.append(file)
        size += own
    if group:
        yield group


def _start(ray: Any, workers: int, folder: Path) -> None:
    """Join the cluster that RAY_ADDRESS names, or start one on this machine for the time."""
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(**quiet)
        return
    ray.init(
        address="local",
        num_cpus=workers,
        include_dashboard=False,
        object_store_memory=STORE_BYTES,
        _temp_dir=str(folder),
        **quiet,
    )


def _keep_to_ourselves() -> None:
    """Before Ray is imported, which reads its environment then."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers
    if not os.environ.get("RAY_ADDRESS"):
        # without a token whoever reaches its ports runs code here
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _session_folder() -> Path:
    """Where Ray keeps its logs and what does not fit its memory; those of dead ones go.

    Short, for a socket lies in it and the kernel takes 107 letters.
    """
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        number = old.name.removeprefix(PREFIX)
        if number.isdigit() and not Path(f"/proc/{number}").exists():
            shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.gettempdir()) / f"{PREFIX}{os.getpid()}"
    folder.mkdir(mode=0o700)
    return folder


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
