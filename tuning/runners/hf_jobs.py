"""The runner `hf-jobs`: a machine of Hugging Face, by the minute.

The bundle goes up into a private repository of its own, a job trains it and sends the adapter
there, it is fetched and the repository deleted. `out/hf-job.json` says which job it is, so that a
round whose server was ended meanwhile goes on with the job that goes on without it.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from storage.errors import BadInput, Refused
from storage.hub import HubFailed, told
from tuning.bundle import bundle_hash, read_bundle
from tuning.child import LOG, MemoryRanOut, RoundFailed, Said
from tuning.runners.depot import Depot, put_base
from tuning.runners.job import BOOT, SAID
from tuning.runners.job_log import ENDED, Lost, followed
from tuning.runners.parcel import pack
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

MORE_MINUTES = 45.0
"""Minutes of a job beside those of training: the machine, 4 GB of packages, the base, what is
measured in the end."""
RECORD = "hf-job.json"
NEEDS = (
    *("torch", "transformers", "peft", "trl", "accelerate", "bitsandbytes", "datasets"),
    *("safetensors", "tokenizers", "huggingface_hub", "numpy", "scipy", "psutil", "orjson"),
    *("sqlite-utils", "sqlglot", "jsonschema", "referencing", "regex", "jinja2"),
)
"""Packages that our sources want where they train; the versions are those of this machine."""


@dataclass(frozen=True)
class JobsSettings:
    """What the server's settings say of jobs."""

    flavor: str = "l4x1"
    """The machine, as the Hub calls it."""
    namespace: str = ""
    """Who pays and owns the repositories ("": whose token it is)."""
    timeout_minutes: float = 0.0
    """After which the Hub ends a job (0: the round's own minutes and MORE_MINUTES)."""
    image: str = ""
    """A container image that has the packages ("": one with uv, which installs them)."""
    token: str = field(default="", repr=False)
    """("": HF_TOKEN, or who is logged in.)"""
    endpoint: str = ""
    """("": HF_ENDPOINT, or huggingface.co.)"""


class HfJobs:
    """Trains in a job of Hugging Face."""

    name = "hf-jobs"

    def __init__(self, settings: JobsSettings = JobsSettings()) -> None:
        self._settings = settings

    def ready(self) -> str:
        """Asks the Hub who the token belongs to. Raises Refused without one, HubFailed."""
        return (
            f"trains on a machine of Hugging Face ({self._settings.flavor}, account "
            f"{self._namespace(self._api())}); the bundle lies there in a private repository "
            "until the round is over"
        )

    def place(self, bundle: Path) -> str:
        """The repository's address."""
        api = self._api()
        return f"{api.endpoint}/datasets/{_round_repo(self._namespace(api), bundle)}"

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
        api = self._api()
        namespace = self._namespace(api)
        depot = Depot(api, _round_repo(namespace, bundle))
        listener = _Listener(out / LOG, on_progress, str(api.token))
        over = True
        try:
            job = None
            if "--resume" in options:
                job = self._going(api, out, namespace)
                if job is None:  # one whose end nobody saw may have left something
                    depot.get(CHECKPOINT, lambda file: take_checkpoint(file, out, bundle))
            if job is None:
                on_progress({"note": f"the bundle goes to {depot.repo} on the Hub"})
                job = self._started(api, depot, bundle, out, model_folder, options)
            on_progress({"note": f"job {job}: waiting for a machine"})
            listener.raise_unless_done(
                _followed(api, job, namespace, listener.hear, cancelled),
            )
            depot.get(RESULT, lambda file: take_result(file, out, bundle))
            return figures(out)
        except Lost as error:
            over = False  # it goes on there: a resumed round finds it
            raise RoundFailed(str(error)) from error
        except HubFailed as error:
            raise RoundFailed(str(error)) from error
        finally:
            if over:
                self._tidy(depot, out, bundle, on_progress)

    def _api(self) -> Any:
        from huggingface_hub import HfApi, constants, get_token

        token = self._settings.token or get_token()
        if not token:
            raise Refused(
                "The runner hf-jobs needs a token of the Hub: set APPRENTICE_HF_JOBS_TOKEN."
            )
        if constants.HF_HUB_OFFLINE:
            raise Refused("The runner hf-jobs needs the Hub: unset HF_HUB_OFFLINE.")
        return HfApi(endpoint=self._settings.endpoint or None, token=token)

    def _namespace(self, api: Any) -> str:
        if self._settings.namespace:
            return self._settings.namespace
        with told("this account"):
            return str(api.whoami(cache=True)["name"])

    def _started(
        self,
        api: Any,
        depot: Depot,
        bundle: Path,
        out: Path,
        model_folder: Path,
        options: Sequence[str],
    ) -> str:
        """Uploads the parcel and starts a job; returns its id. Raises HubFailed, Refused."""
        taken = read_bundle(bundle)
        namespace = depot.repo.split("/")[0]
        base = f"{namespace}/apprentice-base-{taken.base_fingerprint[:16]}"
        put_base(api, base, model_folder)
        depot.make()
        _, more = without_start(options)
        folders = folders_to_send(bundle, out, options)
        with tempfile.TemporaryDirectory(prefix="apprentice-") as scratch:
            depot.put(pack(Path(scratch) / PARCEL, folders, with_code=True), PARCEL)
        minutes = self._settings.timeout_minutes or taken.config.max_minutes + MORE_MINUTES
        with told(f"a job for {namespace}"):
            job = api.run_job(
                image=self._settings.image or _uv_image(),
                command=[*_python(self._settings.image), "-c", BOOT, depot.repo, base, *more],
                env={"HF_ENDPOINT": api.endpoint, "PYTHONUNBUFFERED": "1"},
                secrets={"HF_TOKEN": api.token},
                flavor=self._settings.flavor,
                timeout=round(60 * minutes),
                labels={"apprentice": "round"},
                namespace=namespace,
            )
        (out / RECORD).write_text(json.dumps({"job": job.id, "namespace": namespace}))
        return str(job.id)

    def _going(self, api: Any, out: Path, namespace: str) -> str | None:
        """The job of an earlier run that goes on, or is done and was not fetched."""
        try:
            known = json.loads((out / RECORD).read_text(encoding="utf-8"))
            job, its = str(known["job"]), str(known["namespace"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if its != namespace:
            return None
        with suppress(HubFailed), told(f"job {job}"):
            stage = api.inspect_job(job_id=job, namespace=namespace).status.stage
            return job if stage == "COMPLETED" or stage not in ENDED else None
        return None

    def _tidy(
        self, depot: Depot, out: Path, bundle: Path, on_progress: Callable[[Said], None]
    ) -> None:
        """Fetches the last checkpoint of what did not end well, and deletes the repository."""
        try:
            if not (out / "adapter").is_dir():
                depot.get(CHECKPOINT, lambda file: take_checkpoint(file, out, bundle))
            depot.delete()
        except (HubFailed, BadInput) as error:
            on_progress({"note": f"{depot.repo} is still on the Hub, delete it there: {error}"})
        (out / RECORD).unlink(missing_ok=True)


class _Listener:
    """Reads a job's log: what our program says goes to the round, the rest to `train.log`."""

    def __init__(self, log: Path, on_progress: Callable[[Said], None], token: str) -> None:
        self._log, self._on_progress, self._token = log, on_progress, token
        self._error: Said | None = None

    def hear(self, line: str) -> None:
        """One line."""
        line = line.replace(self._token, "***")
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and isinstance(found.get(SAID), dict):
                said = found[SAID]
                if "error" in said:
                    self._error = said
                elif "step" in said or "note" in said:
                    self._on_progress(said)
                return
        with self._log.open("a", encoding="utf-8") as log:
            log.write(line.rstrip("\n") + "\n")

    def raise_unless_done(self, info: Any) -> None:
        """Raises MemoryRanOut or RoundFailed for a job that did not end well."""
        if self._error is not None:
            kind = MemoryRanOut if self._error.get("memory") else RoundFailed
            raise kind(str(self._error["error"]))
        stage, why = str(info.status.stage), info.status.message
        if stage != "COMPLETED":
            raise RoundFailed(
                f"The job {info.id} ended as {stage}{f' ({why})' if why else ''}; its log is in "
                f"{self._log} and at {info.url}."
            )


def _round_repo(namespace: str, bundle: Path) -> str:
    return f"{namespace}/apprentice-round-{bundle_hash(bundle)[:16]}"


def _uv_image() -> str:
    from huggingface_hub._jobs_api import DEFAULT_UV_IMAGE

    return str(DEFAULT_UV_IMAGE)


def _python(image: str) -> list[str]:
    """How Python is started there: by uv with the versions that train here, or as it is."""
    if image:
        return ["python3"]
    packages = [f"{name}=={version(name).split('+')[0]}" for name in NEEDS]
    wanted = [word for one in packages for word in ("--with", one)]
    return ["uv", "run", "--no-project", "--python", "3.12", *wanted, "python"]


def _followed(
    api: Any,
    job: str,
    namespace: str,
    on_line: Callable[[str], None],
    cancelled: Callable[[], bool],
) -> Any:
    """`job_log.followed`; whatever ends it but a lost connection ends the job too."""
    try:
        return followed(api, job, namespace, on_line=on_line, cancelled=cancelled)
    except Lost:
        raise
    except BaseException:
        with suppress(HubFailed), told(f"job {job}"):
            api.cancel_job(job_id=job, namespace=namespace)
        raise
