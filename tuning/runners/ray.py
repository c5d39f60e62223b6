"""The runner `ray`: a node of a Ray cluster, by Ray Jobs.

The bundle, our sources and the base model go up as packages of a job, a program on the head
(`ray_job.py`) has a node train (`ray_task.py`), and what comes back comes through the job's log:
nothing but the address of Ray's dashboard need be reached from here, and no port is opened here.
`out/ray-job.json` says which job it is, so that a round whose server was ended meanwhile goes on
with the job that goes on without it.
"""

import json
import logging
import os
import secrets
import shlex
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from storage.errors import BadInput, Refused
from tuning.child import LOG, RoundCancelled, RoundFailed, Said
from tuning.runners.parcel import ROOMS, pack
from tuning.runners.ray_base import cut_base
from tuning.runners.ray_log import Listener, Lost, followed, rest
from tuning.runners.returned import (
    CHECKPOINT,
    PARCEL,
    RESULT,
    figures,
    folders_to_send,
    take_checkpoint,
    take_result,
    without_start,
)

RECORD = "ray-job.json"
ANSWER_S = 10.0
"""Seconds in which the cluster must answer when it is asked whether it is there."""
STOP_S = 15.0
"""Seconds that a job gets to end when it is stopped, its last checkpoint sent."""
REFUSED = (401, 403)
NOT_SENT = ["__pycache__"]
CHATTY = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
"""Loggers that tell each package and connection."""


@dataclass(frozen=True)
class RaySettings:
    """What the server's settings say of a Ray cluster."""

    address: str = ""
    """Of the dashboard on the head: http://HOST:8265."""
    token: str = field(default="", repr=False)
    """What it wants ("": nothing, or RAY_AUTH_TOKEN)."""
    cpus: float = 1.0
    """CPUs that a round takes of a node, and the threads that it trains with."""
    gpus: float = 0.0
    """GPUs that a round takes of a node."""
    base: str = ""
    """The folder of the base model on every node ("": it goes up in packages)."""


class Ray:
    """Trains on a node of a Ray cluster."""

    name = "ray"

    def __init__(self, settings: RaySettings = RaySettings()) -> None:
        self._settings = settings

    def ready(self) -> str:
        """Asks the cluster. Raises BadInput for a setting that cannot be, Refused without one."""
        where = self._address()
        try:
            told = self._headers()
            answer = httpx.get(f"{where}/api/version", headers=told, timeout=ANSWER_S)
            if answer.status_code in REFUSED:
                raise Refused(
                    f"The Ray cluster at {where} wants a token: set APPRENTICE_RAY_TOKEN."
                )
            version = str(answer.raise_for_status().json()["ray_version"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise Refused(
                f"No Ray cluster answers at {where} ({type(error).__name__}): start it, or set "
                "APPRENTICE_RAY_ADDRESS to its dashboard."
            ) from None
        if find_spec("ray") is None:
            raise Refused(
                "The runner ray needs the package ray: install apprentice-chat[ray], or take "
                "another runner."
            )
        gpus = f" and {self._settings.gpus:g} GPUs" if self._settings.gpus else ""
        return (
            f"trains on a node of the Ray cluster at {where} (Ray {version}, "
            f"{self._settings.cpus:g} CPUs{gpus}); the bundle lies there until the round is over"
        )

    def place(self, bundle: Path) -> str:
        """The cluster's address."""
        return f"{self._address()} (Ray cluster)"

    def train(
        self,
        bundle: Path,
        out: Path,
        model_folder: Path,
        *,
        on_progress: Callable[[Said], None],
        cancelled: Callable[[], bool],
        options: Sequence[str] = (),
    ) -> Said:
        """See `Runner.train`."""
        out.mkdir(parents=True, exist_ok=True)
        client = self._client()
        with tempfile.TemporaryDirectory(prefix="apprentice-") as scratch:
            folder = Path(scratch)
            job = self._going(client, out) if "--resume" in options else None
            if job is None:
                on_progress({"note": f"the bundle goes to the Ray cluster at {self._address()}"})
                job = self._started(client, folder, bundle, out, model_folder, options)
            on_progress({"note": f"job {job}: waiting for a node"})
            listener = Listener(out / LOG, folder, on_progress)
            try:
                info = _followed(client, job, listener, cancelled)
            except Lost as error:  # it goes on there: a resumed round finds it
                raise RoundFailed(str(error)) from error
            finally:
                _keep(listener, out, bundle, on_progress)
            (out / RECORD).unlink(missing_ok=True)
            listener.raise_unless_done(info)
            result = listener.file(RESULT)
            if result is not None:
                take_result(result, out, bundle)
        return figures(out)

    def search(
        self,
        folder: Path,
        model_folder: Path,
        log: Path,
        *,
        on_progress: Callable[[Said], None],
        cancelled: Callable[[], bool],
    ) -> Said:
        """Has `tuning.search` search there by what `folder` holds, which goes; its result.

        A trial takes of a node what a round takes. Raises what `train` raises.
        """
        client = self._client()
        base = ["--model", self._settings.base] if self._settings.base else []
        with tempfile.TemporaryDirectory(prefix="apprentice-") as scratch:
            command = ["tuning.search", ".", *base]
            job = self._submitted(client, Path(scratch), folder, model_folder, command)
            listener = Listener(log, Path(scratch), on_progress)
            try:
                info = _followed(client, job, listener, cancelled)
            except Lost as error:
                raise RoundFailed(str(error)) from error
            listener.raise_unless_done(info)
        return listener.result or {}

    def _address(self) -> str:
        """The cluster's, checked: Ray's client imports a module that an address names."""
        where = self._settings.address.rstrip("/")
        if not where:
            raise Refused(
                "The runner ray needs a cluster: set APPRENTICE_RAY_ADDRESS to its dashboard, "
                "such as http://HOST:8265."
            )
        parts = urlsplit(where)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise BadInput(
                f"APPRENTICE_RAY_ADDRESS is {self._settings.address!r}, which is no address of "
                "Ray's dashboard: write http://HOST:8265."
            )
        return where

    def _headers(self) -> dict[str, str]:
        token = self._settings.token or os.environ.get("RAY_AUTH_TOKEN", "")
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _client(self) -> Any:
        """Ray's own client. Raises what `ready` does."""
        self.ready()
        from ray.job_submission import JobSubmissionClient

        for name in CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
        where = self._address()
        try:
            client = JobSubmissionClient(where, headers=self._headers())
        except (RuntimeError, OSError, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            raise Refused(f"The Ray cluster at {where} refused: {said}") from None
        if client.get_address() != where:
            raise Refused(
                f"RAY_ADDRESS names another cluster than APPRENTICE_RAY_ADDRESS ({where}): "
                "unset RAY_ADDRESS and RAY_API_SERVER_ADDRESS."
            )
        return client

    def _started(
        self,
        client: Any,
        scratch: Path,
        bundle: Path,
        out: Path,
        model_folder: Path,
        options: Sequence[str],
    ) -> str:
        """Uploads the round and starts its job; returns its id. Raises RoundFailed, BadInput."""
        parcel = scratch / "parcel"
        parcel.mkdir()
        pack(parcel / PARCEL, folders_to_send(bundle, out, options))
        given = self._settings
        how = ["--cpus", f"{given.cpus:g}", "--gpus", f"{given.gpus:g}"]
        how += ["--base", given.base] if given.base else []
        command = ["tuning.runners.ray_job", *how, "--", *without_start(options)[1]]
        job = self._submitted(client, scratch, parcel, model_folder, command)
        (out / RECORD).write_text(json.dumps({"job": job, "address": self._address()}))
        return job

    def _submitted(
        self, client: Any, scratch: Path, parcel: Path, model_folder: Path, command: Sequence[str]
    ) -> str:
        """Starts a module of ours as a job whose folder is `parcel`, which goes."""
        # the head empties the folder, and Ray would take the empty one again for the same content
        (parcel / "once").write_text(secrets.token_hex(8))
        modules = [str(Path(str(package.__file__)).parent) for package in ROOMS.values()]
        if not self._settings.base:
            modules += [str(piece) for piece in cut_base(model_folder, scratch / "base")]
        try:
            job = client.submit_job(
                entrypoint=shlex.join(["python", "-m", *command]),
                runtime_env={
                    "working_dir": str(parcel),
                    "py_modules": modules,
                    "excludes": NOT_SENT,
                },
                metadata={"apprentice": "round"},
            )
        except (RuntimeError, OSError, ValueError) as error:
            said = " ".join(str(error).split())[:300]
            raise RoundFailed(f"The Ray cluster did not take the round: {said}") from None
        finally:
            shutil.rmtree(scratch / "base", ignore_errors=True)
            shutil.rmtree(parcel)
        return str(job)

    def _going(self, client: Any, out: Path) -> str | None:
        """The job of an earlier run that goes on, or is done and was not fetched."""
        try:
            known = json.loads((out / RECORD).read_text(encoding="utf-8"))
            job, its = str(known["job"]), str(known["address"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if its != self._address():
            return None
        with suppress(RuntimeError, OSError, ValueError):
            status = str(client.get_job_info(job).status)
            return job if status in ("PENDING", "RUNNING", "SUCCEEDED") else None
        return None


def _followed(client: Any, job: str, listener: Listener, cancelled: Callable[[], bool]) -> Any:
    """`ray_log.followed`; whatever ends it but a lost connection stops the job too."""
    try:
        return followed(client, job, listener=listener, cancelled=cancelled)
    except Lost:
        raise
    except BaseException as error:
        with suppress(RuntimeError, OSError):
            client.stop_job(job)
            if isinstance(error, RoundCancelled):
                rest(client, job, listener, STOP_S)
        raise


def _keep(listener: Listener, out: Path, bundle: Path, on_progress: Callable[[Said], None]) -> None:
    """The checkpoint of a training that did not end well, to go on from."""
    found = listener.file(CHECKPOINT)
    if found is not None:
        try:
            take_checkpoint(found, out, bundle)
        except (BadInput, OSError) as error:
            on_progress({"note": f"the last checkpoint cannot be used: {error}"})
