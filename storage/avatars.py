"""The picture of a workspace's assistant, as a PNG in the database."""

import base64
import binascii
import hashlib

from sqlite_utils import Database

from storage.database import insert, one, write
from storage.errors import BadInput

PNG = b"\x89PNG\r\n\x1a\n"
AVATAR_BYTES = 256 << 10
"""Of a stored picture: one of 128 x 128 pixels has at most a quarter of that."""


def avatar_png(db: Database, workspace_id: int) -> bytes | None:
    """The picture, if the workspace has one."""
    row = one(db, "select png from avatars where workspace_id = ?", workspace_id)
    return row["png"] if row else None


def avatar_hash(db: Database, workspace_id: int) -> str:
    """What tells this picture from another one; "" where there is none."""
    row = one(db, "select hash from avatars where workspace_id = ?", workspace_id)
    return row["hash"] if row else ""


def replace_avatar(db: Database, workspace_id: int, text: str) -> None:
    """Keep a PNG, given in base64, instead of what there was; "" for none.

    BadInput for anything else. To be called inside a write transaction.
    """
    png = _png(text) if text else b""
    write(db, "delete from avatars where workspace_id = ?", workspace_id)
    if png:
        digest = hashlib.sha256(png).hexdigest()[:16]
        insert(db, "avatars", workspace_id=workspace_id, hash=digest, png=png)


def _png(text: str) -> bytes:
    try:
        png = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        png = b""
    if not png.startswith(PNG) or len(png) > AVATAR_BYTES:
        raise BadInput("avatar cannot be this: give the path of a PNG, JPEG or WebP file.")
    return png
