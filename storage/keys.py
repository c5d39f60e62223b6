"""Keys that programs and websites come with: API keys and embed keys.

A key is 256 random bits, so its plain SHA-256 is safe to keep: nobody can guess what to hash. The
key itself is given out once. An embed key stands in the source of a public page; it is no secret,
and lists show it whole.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlite_utils import Database

from storage.audit import audit
from storage.database import NOW, insert, one, rows, write, write_transaction
from storage.errors import BadInput, NotFound
from storage.text import clean, to_json
from storage.workspaces import workspace_by_id

KeyKind = Literal["api", "embed"]
Scope = Literal["chat", "feedback", "metrics"]
USUAL: tuple[Scope, ...] = ("chat", "feedback")
"""What an API key may do unless it was made for something else."""

PER_MINUTE = 60
"""Requests a minute that a key may send unless it was made with another number."""
SHOWN = 16
"""Characters of an API key that lists show: enough to tell two apart, five of them random."""
LONGEST_NAME = 100
USE_NOTED_S = 60
"""Seconds between two writes of when a key was last used: not each request is one."""

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
_PREFIX: dict[KeyKind, str] = {"api": "apprentice_", "embed": "embed_"}
_SELECT = """select id, kind, name, workspace_id, shown, scopes, per_minute, per_day, per_visitor,
origins, created_at, last_used_at, revoked_at from keys"""


@dataclass(frozen=True)
class Key:
    """A key but for its secret."""

    id: int
    kind: KeyKind
    name: str
    workspace_id: int | None
    """None: every workspace, those made later too."""
    shown: str
    scopes: tuple[Scope, ...]
    """What an API key may do; an embed key has none, for its page is all that it opens."""
    per_minute: int
    """Requests a minute."""
    per_day: int | None
    """Messages a day, of all visitors together."""
    per_visitor: int | None
    """Messages a day of one visitor."""
    origins: tuple[str, ...]
    """Websites that may show an embed key's page."""
    created_at: str
    last_used_at: str | None
    revoked_at: str | None


def create_key(
    db: Database,
    name: str,
    *,
    kind: KeyKind = "api",
    workspace_id: int | None,
    scopes: Sequence[str] = USUAL,
    per_minute: int = PER_MINUTE,
    per_day: int | None = None,
    per_visitor: int | None = None,
    origins: Sequence[str] = (),
    actor: str,
) -> tuple[Key, str]:
    """Make a key; returns it with the secret, which is kept nowhere.

    `workspace_id` None is every workspace, for an API key only. BadInput for a name that is taken
    or not visible, an unknown scope, or an origin that is none; NotFound for the workspace.
    """
    origins = [clean(origin).strip().lower().rstrip("/") for origin in origins]
    _check(kind, workspace_id, scopes, (per_minute, per_day, per_visitor), origins)
    token = _PREFIX[kind] + secrets.token_urlsafe(32)
    with write_transaction(db):
        name = _free_name(db, name)
        if workspace_id is not None:
            workspace_by_id(db, workspace_id)
        key_id = insert(
            db,
            "keys",
            kind=kind,
            name=name,
            workspace_id=workspace_id,
            hash=_hash(token),
            shown=token if kind == "embed" else token[:SHOWN],
            scopes=to_json(list(dict.fromkeys(scopes)) if kind == "api" else []),
            per_minute=per_minute,
            per_day=per_day,
            per_visitor=per_visitor,
            origins=to_json(origins),
        )
        audit(db, actor, "key created", f"key:{key_id}", {"kind": kind, "workspace": workspace_id})
    return _key_by_id(db, key_id), token


def list_keys(db: Database) -> list[Key]:
    """All keys, the newest first, revoked ones too."""
    return [_key(row) for row in rows(db, f"{_SELECT} order by id desc")]


def revoke_key(db: Database, name: str, *, actor: str) -> Key:
    """End the valid key called `name`, at once; NotFound where there is none."""
    with write_transaction(db):
        row = _valid(db, name)
        if row is None:
            raise NotFound(
                f"There is no valid key {clean(name)[:LONGEST_NAME]!r}: `apprentice keys list` "
                "shows those there are."
            )
        write(db, f"update keys set revoked_at = {NOW} where id = ?", row["id"])
        audit(db, actor, "key revoked", f"key:{row['id']}")
    return _key_by_id(db, row["id"])


def key_of(db: Database, token: str, kind: KeyKind) -> Key | None:
    """The valid key that this secret is, noted as used now; None for any other text."""
    row = one(
        db,
        f"{_SELECT} where hash = ? and kind = ? and revoked_at is null",
        _hash(clean(token)),
        kind,
    )
    if row is None:
        return None
    lately = NOW.replace("'now'", f"'now','-{USE_NOTED_S} seconds'")
    unnoted = f"id = ? and coalesce(last_used_at, '') < {lately}"
    if one(db, f"select 1 from keys where {unnoted}", row["id"]):
        with write_transaction(db):
            write(db, f"update keys set last_used_at = {NOW} where {unnoted}", row["id"])
    return _key(row)


def is_valid(db: Database, key_id: int) -> bool:
    """Whether there is such a key and it is not revoked."""
    return one(db, "select 1 from keys where id = ? and revoked_at is null", key_id) is not None


def _free_name(db: Database, name: str) -> str:
    name = clean(name).strip()
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise BadInput(
            f"{name[:LONGEST_NAME]!r} cannot name a key: use 1 to {LONGEST_NAME} visible "
            "characters."
        )
    if _valid(db, name):
        raise BadInput(f"There is already a key {name!r}: choose another name, or revoke that one.")
    return name


def _check(
    kind: KeyKind,
    workspace_id: int | None,
    scopes: Sequence[str],
    limits: Sequence[int | None],
    origins: Sequence[str],
) -> None:
    unknown = [scope for scope in scopes if scope not in get_args(Scope)]
    if unknown or not scopes:
        known = ", ".join(get_args(Scope))
        raise BadInput(f"{clean(', '.join(unknown))!r} is no scope of a key: use {known}.")
    if any(limit is not None and limit < 1 for limit in limits):
        raise BadInput("A limit of a key is a number from 1 up.")
    if kind == "embed" and (workspace_id is None or not origins):
        raise BadInput("An embed key is of one workspace and names the websites that may use it.")
    wrong = next((origin for origin in origins if not _ORIGIN.fullmatch(origin)), None)
    if wrong is not None:
        raise BadInput(f"{wrong!r} is no website: give it as https://www.example.com.")
    if kind == "api" and (origins or any(limits[1:])):
        raise BadInput("Websites and limits a day are of embed keys: add --embed.")


def _valid(db: Database, name: str) -> dict[str, Any] | None:
    return one(db, "select id from keys where name = ? and revoked_at is null", clean(name).strip())


def _key_by_id(db: Database, key_id: int) -> Key:
    row = one(db, f"{_SELECT} where id = ?", key_id)
    assert row is not None
    return _key(row)


def _key(row: dict[str, Any]) -> Key:
    lists = {name: tuple(json.loads(row[name])) for name in ("scopes", "origins")}
    return Key(**{**row, **lists})


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
