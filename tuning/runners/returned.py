"""What goes to a training elsewhere, and what it sends back, looked at before it is believed."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from storage.durable import put
from storage.errors import BadInput
from tuning.adapter_files import AdapterRefused, verify_adapter
from tuning.bundle import bundle_hash, read_bundle
from tuning.checkpoint import last_checkpoint
from tuning.child import RoundFailed, Said
from tuning.runners.parcel import unpack

PARCEL, RESULT, CHECKPOINT = "parcel.tar.gz", "result.tar.gz", "checkpoint.tar.gz"
"""Archives: what goes there, what comes back, what is left of a training that ended."""


def take_result(archive: Path, out: Path, bundle: Path) -> None:
    """The adapter and the figures in their places. Raises RoundFailed for what is not ours."""
    fingerprint, learned = read_bundle(bundle).base_fingerprint, bundle_hash(bundle)
    with tempfile.TemporaryDirectory(prefix=".result-", dir=out) as scratch:
        came = Path(scratch)
        try:
            unpack(archive, came)
            manifest = verify_adapter(came / "adapter", fingerprint)
            if manifest.extra.get("bundle") != learned:
                raise BadInput("The adapter that came learned from another bundle.")
            shutil.rmtree(out / "adapter", ignore_errors=True)
            (came / "training.json").replace(out / "training.json")
            put(came / "adapter", out / "adapter")
        except (AdapterRefused, BadInput, OSError) as error:
            raise RoundFailed(f"What the job sent cannot be used: {error}") from error


def take_checkpoint(archive: Path, out: Path, bundle: Path) -> None:
    """The checkpoint in `out`, if it is whole and newer than what is there. Raises BadInput."""
    learned = bundle_hash(bundle)
    with tempfile.TemporaryDirectory(prefix=".result-", dir=out) as scratch:
        unpack(archive, Path(scratch))
        came, here = last_checkpoint(Path(scratch), learned), last_checkpoint(out, learned)
        if came is not None and (here is None or came.step > here.step):
            put(came.folder, out / came.folder.name)


def figures(out: Path) -> Said:
    """What training came to, as it was sent. Raises RoundFailed where nothing was."""
    try:
        return dict(json.loads((out / "training.json").read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise RoundFailed(f"The job ended well and sent no adapter ({error}).") from None


def without_start(options: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The adapter's folder among the options, which is another one there, and the rest."""
    rest = list(options)
    if "--start" not in rest:
        return None, rest
    at = rest.index("--start")
    start = Path(rest[at + 1])
    return start, rest[:at] + rest[at + 2 :]


def folders_to_send(bundle: Path, out: Path, options: Sequence[str]) -> dict[str, Path]:
    """What goes there by its name: the bundle, the adapter and the checkpoint to go on from."""
    start, more = without_start(options)
    folders = {"bundle": bundle} | ({"start": start} if start else {})
    checkpoint = last_checkpoint(out, bundle_hash(bundle)) if "--resume" in more else None
    if checkpoint is not None:
        folders[f"out/{checkpoint.folder.name}"] = checkpoint.folder
    return folders
