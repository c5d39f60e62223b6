"""Signatures of adapters, by a key that lies outside the data directory.

Whoever can write to the data directory can change an adapter, its manifest and the hash in its
row alike; without the key they cannot sign that (HMAC-SHA256, RFC 2104). The signature covers the
adapter's number, workspace, base and manifest, so that no folder passes for another's either.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Literal

from sqlite_utils import Database

from storage.audit import audit
from storage.database import one, rows, write, write_transaction
from storage.durable import sync
from storage.errors import BadInput
from storage.text import to_json

State = Literal["signed", "unsigned", "another key", "forged"]

_FACTS = "select id, workspace_id, base_fingerprint, manifest_hash from adapters"


def signing_key(path: Path) -> bytes:
    """The key in the file `path`: 32 random bytes as hex, made at the first call, mode 0600.

    Raises BadInput when it cannot be read or made.
    """
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(path)
        key = path.read_bytes().strip()
    except OSError as error:
        raise BadInput(
            f"The signing key {path} cannot be used ({error.strerror}): set APPRENTICE_SIGNING_KEY "
            "to a file that this user may write, outside the data directory, or to off."
        ) from None
    if len(key) < 32:
        raise BadInput(
            f"The signing key {path} has {len(key)} characters: at least 32 random ones are "
            "needed; put the right file there, or remove it for a new key."
        )
    return key


def _make(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # of two at once the first one's key stays
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    sync(path.parent)


def mac(key: bytes, *facts: object) -> str:
    """What only the holder of the key can say about these facts."""
    return hmac.new(key, to_json(list(facts)).encode(), hashlib.sha256).hexdigest()


def key_name(key: bytes) -> str:
    """Which key it is, without telling it."""
    return hashlib.sha256(b"name of " + key).hexdigest()[:16]


def sign(db: Database, adapter_id: int, key: bytes) -> None:
    """Sign the adapter as its row says it is; an earlier signature is overwritten."""
    with write_transaction(db):
        write(
            db,
            """insert or replace into adapter_signatures (adapter_id, key, signature)
            values (?, ?, ?)""",
            *(adapter_id, key_name(key), _mac_of(db, adapter_id, key)),
        )


def signature_state(db: Database, adapter_id: int, key: bytes) -> State:
    """Whether the adapter's row is as it was signed with this key."""
    found = one(
        db, "select key, signature from adapter_signatures where adapter_id = ?", adapter_id
    )
    if found is None:
        return "unsigned"
    if found["key"] != key_name(key):
        return "another key"
    right = hmac.compare_digest(found["signature"], _mac_of(db, adapter_id, key))
    return "signed" if right else "forged"


def sign_unsigned(db: Database, key: bytes) -> int:
    """Sign what is there from before there were signatures; returns how many adapters."""
    with write_transaction(db):
        found = rows(
            db,
            f"""{_FACTS} where deleted_at is null
            and id not in (select adapter_id from adapter_signatures)""",
        )
        for row in found:
            sign(db, row["id"], key)
        if found:
            audit(db, "system", "adapters signed", "house", {"adapters": [r["id"] for r in found]})
    return len(found)


def _mac_of(db: Database, adapter_id: int, key: bytes) -> str:
    row = one(db, f"{_FACTS} where id = ?", adapter_id)
    return mac(key, "adapter", *row.values()) if row else ""
