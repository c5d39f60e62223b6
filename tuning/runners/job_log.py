"""A job of Hugging Face followed to its end by its log, over connections that break.

The Hub's library goes on with a log by itself for a while (five times, up to 10 s apart); after
that it is begun anew here, and the lines that were read are passed over.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from storage.hub import HubFailed, told
from tuning.child import POLL_SECONDS, RoundCancelled

LOST_SECONDS = 900.0
"""Seconds without the Hub after which a job is no longer followed; it goes on there meanwhile."""
AGAIN_SECONDS = 5.0
"""Seconds between two tries."""
ENDED = ("COMPLETED", "CANCELED", "ERROR", "DELETED")
_REFUSED = (401, 403)


class Lost(HubFailed):
    """The Hub could not be reached for so long that the job is not followed any more."""


def followed(
    api: Any,
    job_id: str,
    namespace: str,
    *,
    on_line: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> Any:
    """Hands on each line of the job's log, once; returns its `JobInfo` when it has ended.

    Raises RoundCancelled when `cancelled()` (the job is the caller's to end), Lost when the Hub is
    silent for too long, HubFailed when it refuses.
    """
    read, since = 0, time.monotonic()
    while True:
        try:
            for line in _lines(api, job_id, namespace, cancelled, skip=read):
                if not isinstance(line, str):
                    if line.status.stage in ENDED:
                        return line
                    break
                read += 1
                on_line(line)
                since = time.monotonic()
            since = time.monotonic()
        except _Broken as broken:
            if broken.why.code in _REFUSED:
                raise broken.why from None
            if time.monotonic() - since > LOST_SECONDS:
                said = f"{broken.why} The job {job_id} goes on there; resume the round."
                raise Lost(said) from None
        _wait(AGAIN_SECONDS, cancelled)


class _Broken(Exception):
    """The connection did, or the Hub refused."""

    def __init__(self, why: HubFailed) -> None:
        self.why = why


def _wait(seconds: float, cancelled: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        _refuse(cancelled)
        time.sleep(min(POLL_SECONDS, seconds))


def _refuse(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise RoundCancelled("The round was cancelled while it trained.")


def _lines(
    api: Any, job_id: str, namespace: str, cancelled: Callable[[], bool], skip: int
) -> Iterator[Any]:
    """The log from line `skip` on, then the `JobInfo`; read by a thread, so that a cancel is seen.

    Raises _Broken.
    """
    found: queue.Queue[Any] = queue.Queue()

    def read() -> None:
        read = skip
        try:
            with told(f"job {job_id}"):
                # once more when it has ended: the library (2.4.0) asks whether the job is over
                # before it takes up a log that broke off, and then leaves the rest of it unread
                for follow in (True, False):
                    log = api.fetch_job_logs(job_id=job_id, namespace=namespace, follow=follow)
                    for line in islice(log, read, None):
                        found.put(line)
                        read += 1
                found.put(api.inspect_job(job_id=job_id, namespace=namespace))
        except HubFailed as error:
            found.put(_Broken(error))
        except Exception as error:  # noqa: BLE001  else the one who waits would wait for ever
            found.put(error)

    threading.Thread(target=read, name=f"job-{job_id}", daemon=True).start()
    while True:
        _refuse(cancelled)
        try:
            one = found.get(timeout=POLL_SECONDS)
        except queue.Empty:
            continue
        if isinstance(one, Exception):
            raise one
        yield one
