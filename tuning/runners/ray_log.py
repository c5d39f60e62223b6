"""A job of a Ray cluster followed to its end by its log, over connections that break."""

import asyncio
import base64
import binascii
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from storage.errors import ApprenticeError
from tuning.child import POLL_SECONDS, MemoryRanOut, RoundCancelled, RoundFailed, Said
from tuning.runners.job import SAID
from tuning.runners.returned import CHECKPOINT, RESULT

LOST_SECONDS = 300.0
"""Seconds without the cluster after which a job is not followed any more."""
AGAIN_SECONDS = 3.0
"""Seconds between two tries."""
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")


class Lost(ApprenticeError):
    """The cluster could not be reached for so long that the job is not followed any more."""


class Listener:
    """Reads a job's log: what our program says goes to the round, files into `folder`, the rest
    to `log`."""

    def __init__(self, log: Path, folder: Path, on_progress: Callable[[Said], None]) -> None:
        self._log, self._folder, self._on_progress = log, folder, on_progress
        self._error: Said | None = None
        self.over = False
        """Whether our program came to its end."""
        self.result: Said | None = None
        """What it came to, where it says so."""

    def hear(self, line: str) -> None:
        """One line."""
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and isinstance(found.get(SAID), dict):
                self._heard(found[SAID])
                return
        self._write(line)

    def file(self, name: str) -> Path | None:
        """The file of that name, if all of it came."""
        path = self._folder / name
        return path if path.is_file() else None

    def raise_unless_done(self, info: Any) -> None:
        """Raises MemoryRanOut or RoundFailed for a job that did not end well."""
        if self._error is not None:
            kind = MemoryRanOut if self._error.get("memory") else RoundFailed
            raise kind(str(self._error["error"]))
        status, why = str(info.status), " ".join(str(info.message or "").split())[:300]
        if status != "SUCCEEDED" or not self.over:
            raise RoundFailed(
                f"The job {info.submission_id} ended as {status}{f' ({why})' if why else ''}; its "
                f"log is in {self._log}."
            )

    def _heard(self, said: Said) -> None:
        if "error" in said:
            self._error = said
            self._write(str(said.get("log") or ""))
        elif "file" in said:
            self._take(said)
        elif "over" in said:
            self.over = True
        elif "result" in said:
            self.result = dict(said["result"])
        elif "step" in said or "note" in said:
            self._on_progress(said)

    def _take(self, said: Said) -> None:
        """A piece of a file; with the last one it is there. What is damaged is found unpacking."""
        try:
            data = base64.b64decode(said["data"], validate=True)
            name, at, of = str(said["file"]), int(said["at"]), int(said["of"])
        except (KeyError, TypeError, ValueError, binascii.Error):
            return
        if name not in (RESULT, CHECKPOINT):
            return
        part = self._folder / f"{name}.part"
        with part.open("ab" if at else "wb") as file:
            file.write(data)
        if at + 1 == of:
            part.replace(self._folder / name)

    def _write(self, line: str) -> None:
        with self._log.open("a", encoding="utf-8") as log:
            log.write(line.rstrip("\n") + "\n")


def followed(client: Any, job: str, *, listener: Listener, cancelled: Callable[[], bool]) -> Any:
    """Hands each line of the job's log to the listener, once; returns its `JobDetails` at its end.

    `client` is Ray's `JobSubmissionClient`. Raises RoundCancelled when `cancelled()` (the job is
    the caller's to stop), Lost when the cluster is silent for too long, RoundFailed when it does
    not know the job.
    """
    read, since, again = 0, time.monotonic(), True
    while True:
        try:
            for line in _lines(client, job, cancelled, skip=read):
                read += 1
                listener.hear(line)
                since = time.monotonic()
            info = _info(client, job)
            if str(info.status) in ENDED:
                # the end of a log may be written between Ray's last look at it and at the job
                if listener.over or not again:
                    return info
                again = False
                continue
            since = time.monotonic()
        except _Broken as broken:
            if time.monotonic() - since > LOST_SECONDS:
                raise Lost(f"{broken} The job {job} may go on there; resume the round.") from None
        _wait(AGAIN_SECONDS, cancelled)


def rest(client: Any, job: str, listener: Listener, seconds: float) -> None:
    """Hears a job that was stopped to its end, for so many seconds at most; what breaks is left."""
    until = time.monotonic() + seconds
    with suppress(_Broken, RoundCancelled, RoundFailed):
        while str(_info(client, job).status) not in ENDED and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
        for line in _lines(client, job, lambda: time.monotonic() > until, skip=0):
            with suppress(ValueError):
                found = json.loads(line)
                if isinstance(found, dict) and "file" in (found.get(SAID) or {}):
                    listener.hear(line)


class _Broken(Exception):
    """The connection did, or the cluster answered with a fault of its own."""


def _info(client: Any, job: str) -> Any:
    with _told(client, job):
        return client.get_job_info(job)


@contextmanager
def _told(client: Any, job: str) -> Iterator[None]:
    """What Ray's client raises, as _Broken or RoundFailed."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  of requests, aiohttp, json, or a RuntimeError
        said = " ".join(str(error).split())[:200]
        if "status code 404" in said or "does not exist" in said:
            raise RoundFailed(
                f"The Ray cluster does not know the job {job}; was it started again? "
                "Resume the round."
            ) from None
        where = client.get_address()
        raise _Broken(f"The Ray cluster at {where} does not answer ({said}).") from None


def _wait(seconds: float, cancelled: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        _refuse(cancelled)
        time.sleep(min(POLL_SECONDS, seconds))


def _refuse(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise RoundCancelled("The round was cancelled while it trained.")


def _lines(client: Any, job: str, cancelled: Callable[[], bool], skip: int) -> Iterator[str]:
    """The log's whole lines from `skip` on, until Ray ends it; read by a thread, so that a cancel
    is seen. Raises _Broken, RoundFailed."""
    found: queue.Queue[str | Exception | None] = queue.Queue()

    def read() -> None:
        try:
            with _told(client, job):
                asyncio.run(_tail(client, job, skip, found.put))
            found.put(None)
        except Exception as error:  # noqa: BLE001  else the one who waits would wait for ever
            found.put(error)

    threading.Thread(target=read, name=f"ray-{job}", daemon=True).start()
    while True:
        _refuse(cancelled)
        try:
            one = found.get(timeout=POLL_SECONDS)
        except queue.Empty:
            continue
        if one is None:
            return
        if isinstance(one, Exception):
            raise one
        yield one


async def _tail(client: Any, job: str, skip: int, take: Callable[[str], None]) -> None:
    """Lines as they come; Ray's pieces may end amid one."""
    begun = ""
    async for piece in client.tail_job_logs(job):
        *whole, begun = (begun + piece).split("\n")
        for line in whole:
            if skip:
                skip -= 1
            else:
                take(line)
    if begun and not skip:
        take(begun)
