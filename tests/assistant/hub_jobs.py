"""Jobs of the stand-in Hub: a job's command really runs, in a process group of its own.

What a container would have is its environment: the job's own, its secrets, and this Python on PATH.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path


class Job:
    """One job, its log and how far it is."""

    def __init__(self, id: str, owner: str, spec: dict, runs: bool) -> None:
        self.id, self.owner, self.spec = id, owner, spec
        self.log: list[tuple[str, str]] = []
        self.stage, self.message = "SCHEDULING", None
        self._place = tempfile.TemporaryDirectory(prefix="job-", ignore_cleanup_errors=True)
        self._process = None
        if runs:
            threading.Thread(target=self._run, daemon=True).start()

    @property
    def over(self) -> bool:
        """Whether it goes on no more."""
        return self.stage in ("COMPLETED", "CANCELED", "ERROR")

    @property
    def pid(self) -> int:
        """Of its command."""
        return self._process.pid

    def described(self) -> dict:
        """As the Hub describes it; secrets by name alone."""
        named = ("dockerImage", "command", "arguments", "environment", "flavor", "labels")
        return {
            "id": self.id,
            "createdAt": "2026-11-23T12:00:00.000Z",
            **{name: self.spec.get(name) for name in named},
            "secrets": dict.fromkeys(self.spec.get("secrets", {}), ""),
            "status": {"stage": self.stage, "message": self.message},
            "owner": {"id": "1", "name": self.owner, "type": "user"},
        }

    def cancel(self) -> None:
        """Ends it."""
        self.stage = "CANCELED"
        self._end()

    def _end(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _run(self) -> None:
        home = Path(self._place.name)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {
            **{"PATH": path, "HOME": str(home), "HF_HUB_DISABLE_XET": "1"},
            **{"OMP_NUM_THREADS": "1", "TORCHDYNAMO_DISABLE": "1"},
            **self.spec["environment"],
            **self.spec.get("secrets", {}),
        }
        self._process = subprocess.Popen(
            self.spec["command"],
            cwd=home,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        if not self.over:
            self.stage = "RUNNING"
        with self._process.stdout as said:
            for line in said:
                at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
                self.log.append((at, line.rstrip("\n")))
        code = self._process.wait()
        self._end()  # what it left behind goes with the container
        if not self.over:
            self.stage = "ERROR" if code else "COMPLETED"
            self.message = f"Job failed with exit code: {code}" if code else None
        self._place.cleanup()


class Jobs:
    """All jobs of a hub; `runs` False leaves them waiting, `cuts` breaks that many logs off."""

    def __init__(self) -> None:
        self.all: dict[str, Job] = {}
        self.runs = True
        self.cuts = 0
        self.refuses = ""

    def start(self, owner: str, spec: dict) -> Job:
        """A job as it was asked for."""
        job = Job(f"{len(self.all):024x}", owner, spec, self.runs)
        self.all[job.id] = job
        return job

    def stop(self) -> None:
        """Ends what still runs."""
        for job in self.all.values():
            if not job.over:
                job.cancel()

    def stream(self, job: Job, write, is_down) -> None:
        """The log as server-sent events, from its start until the job is over or it is cut."""
        sent = 0
        while True:
            if is_down():
                raise ConnectionError("down")
            over = job.over
            for at, line in job.log[sent:]:
                event = json.dumps({"data": line, "timestamp": at})
                write(f"data: {event}\n\n".encode())
                sent += 1
                if self.cuts and sent > 1:
                    self.cuts -= 1
                    raise ConnectionError("cut")
            if over:
                return
            time.sleep(0.05)
