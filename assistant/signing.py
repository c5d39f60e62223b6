"""Adapters signed by this machine's key, and looked at before they are loaded, taught on or served.

The key lies beside no adapter (`APPRENTICE_SIGNING_KEY`). What a data directory holds when a key
meets it for the first time is signed as it is; that it has met it is written down beside the key,
so that nobody can unsign an adapter by taking its signature away.
"""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlite_utils import Database

from assistant.settings import Settings
from storage.audit import audit
from storage.errors import BadInput
from storage.proofs import forget_proofs
from storage.records import Adapter
from storage.signatures import sign, sign_unsigned, signature_state, signing_key

if TYPE_CHECKING:
    from tuning.adapter_files import Manifest

OFF = "off"
KEY_FILE = Path("~/.config/apprentice/signing.key")
KNOWN = ".known"
"""After the key's name: the file with the hashes of the data directories that it has met."""

_WHY = {
    "unsigned": "it is not signed by this machine's key",
    "another key": "it was signed with another key than this machine's",
    "forged": "its signature does not fit what it is now",
}


def key_of(settings: Settings) -> bytes | None:
    """The key that signs here; None when signatures are off. Makes it at the first call.

    Raises BadInput when it cannot be used, or lies in the data directory.
    """
    if settings.signing_key == OFF:
        return None
    path, data = key_path(settings), settings.data.expanduser().resolve()
    if path.resolve().is_relative_to(data):
        raise BadInput(
            f"The signing key {path} lies in the data directory, where whoever changes an adapter "
            "can sign it: set APPRENTICE_SIGNING_KEY to a file outside, or to off."
        )
    return signing_key(path)


def key_path(settings: Settings) -> Path:
    """Where the key lies or is going to."""
    return Path(settings.signing_key or KEY_FILE).expanduser()


def sign_made(settings: Settings, db: Database, adapter_id: int) -> None:
    """Sign an adapter that was just made, taken in or rewritten here."""
    key = key_of(settings)
    if key is not None:
        _meet(settings, db, key)
        sign(db, adapter_id, key)


def is_signed(settings: Settings, db: Database, adapter_id: int) -> bool:
    """Whether it is as it was signed here, or signatures are off."""
    key = key_of(settings)
    if key is None:
        return True
    _meet(settings, db, key)
    return signature_state(db, adapter_id, key) == "signed"


def sign_anew(settings: Settings, db: Database, known: Adapter, folder: Path, actor: str) -> None:
    """Trust an adapter as it is now: its files are verified, then it is signed, and audited.

    Raises AdapterRefused for files that are not those of its row, BadInput when signing is off.
    """
    from tuning.adapter_files import verify_adapter

    key = key_of(settings)
    if key is None:
        raise BadInput(
            "Signatures are off: set APPRENTICE_SIGNING_KEY to a file outside the data directory."
        )
    verify_adapter(folder, known.base_fingerprint, expected_manifest=known.manifest_hash)
    before = signature_state(db, known.id, key)
    sign(db, known.id, key)
    forget_proofs(db, known.id)
    audit(db, actor, "adapter signed", f"adapter:{known.id}", {"was": before})


def trusted(
    settings: Settings,
    db: Database,
    known: Adapter,
    folder: Path,
    base_fingerprint: str | None = None,
    *,
    base_folder: Path | None = None,
) -> "Manifest":
    """The manifest of an adapter that is signed and whole, for the base that its row names.

    Raises AdapterRefused: `signature`, and what `verify_adapter` raises.
    """
    from tuning.adapter_files import AdapterRefused, verify_adapter

    key = key_of(settings)
    if key is not None:
        _meet(settings, db, key)
        state = signature_state(db, known.id, key)
        if state != "signed":
            raise AdapterRefused(
                folder,
                "signature",
                f"{_WHY[state]}; bring the right key to {key_path(settings)}, or verify and sign "
                f"what is here: `apprentice adapters sign {known.id}`",
            )
    return verify_adapter(
        folder,
        base_fingerprint or known.base_fingerprint,
        expected_manifest=known.manifest_hash,
        base_folder=base_folder,
    )


def _meet(settings: Settings, db: Database, key: bytes) -> None:
    """Sign what lay in a data directory before this key came to it; once for each."""
    path = key_path(settings)
    note = path.with_name(path.name + KNOWN)
    data = str(settings.data.expanduser().resolve())
    # the key's name too: a key that was put in place of a lost one has met nothing yet
    line = hashlib.sha256(key + data.encode()).hexdigest()
    known = ""
    with suppress(FileNotFoundError):
        known = note.read_text(encoding="ascii", errors="replace")
    if line in known.split():
        return
    sign_unsigned(db, key)
    try:
        with note.open("a", encoding="ascii") as file:
            file.write(line + "\n")
    except OSError as error:
        raise BadInput(
            f"{note} cannot be written ({error.strerror}): set APPRENTICE_SIGNING_KEY to a file "
            "in a folder that this user may write, or to off."
        ) from None
