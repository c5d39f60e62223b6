"""Workspaces: one client or department each, with versioned instructions and a few settings."""

import json
import math
import re
from dataclasses import fields
from typing import Any, get_args

from sqlite_utils import Database

from storage.audit import audit
from storage.avatars import avatar_hash, replace_avatar
from storage.database import NOW, insert, one, rows, write, write_transaction
from storage.errors import BadInput, NotFound, Refused
from storage.fences import SEEN, refuse_away
from storage.records import Access, Workspace
from storage.schedules import PARSERS
from storage.text import clean, to_json
from storage.workspace_settings import WorkspaceSettings

DEFAULT = "default"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
BOUNDS: dict[str, tuple[float, float]] = {
    "relevance_floor": (-1.0, 1.0),
    "temperature": (0.0, 2.0),
    "top_p": (0.01, 1.0),
    "repeat_penalty": (1.0, 2.0),
    "seed": (0, 2**31 - 1),
    "max_tokens": (1, 100_000),
    "top_k": (0, 100),
    "alternatives": (0, 100),
    "site_pages": (1, 100_000),
}
_ANY_COUNT = (0, 1_000_000)
LONGEST_SENTENCE = 500
LONGEST_NAME = 40
"""Characters of the assistant's name: it stands in one line of a phone."""
LONGEST_STOP = 40
"""Characters of a text at which a reply ends: an end that may be one is held back."""
_LIST_EXAMPLES = {
    "checks": '[{"type": "sql"}]',
    "embed_origins": '["https://example.com"]',
    "starters": '["What can I ask?"]',
    "stop": f'["END"], of texts of 1 to {LONGEST_STOP} characters',
    "sites": '["https://www.example.com/"]',
}


def ensure_default_workspace(db: Database) -> None:
    """Make the workspace that is meant when none is named, if it is missing."""
    if one(db, "select 1 from workspaces where name = ?", DEFAULT) is None:
        with write_transaction(db):
            if one(db, "select 1 from workspaces where name = ?", DEFAULT) is None:
                create_workspace(db, DEFAULT)


def create_workspace(
    db: Database,
    name: str,
    *,
    access: str = "members",
    instructions: str = "",
    actor: str = "system",
) -> Workspace:
    """Make a workspace. BadInput for a name that is taken or not of [a-z0-9_-], up to 63."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{clean(name)!r} cannot name a workspace: "
            "use up to 63 small letters, digits, - and _, starting with a letter or digit."
        )
    _known_access(access)
    with write_transaction(db):
        if one(db, "select 1 from workspaces where name = ?", name):
            raise BadInput(f"There is already a workspace {name!r}: choose another name.")
        workspace_id = insert(db, "workspaces", name=name, access=access)
        _add_instructions(db, workspace_id, instructions, actor)
        audit(db, actor, "workspace created", f"workspace:{workspace_id}", {"name": name})
    return workspace_by_id(db, workspace_id)


def workspace(db: Database, name: str) -> Workspace:
    """The workspace called `name`; NotFound otherwise, Moving for one that has just moved away."""
    row = one(db, f"{_SELECT} where w.name = ?", clean(name))
    if row is None or refuse_away(db, row["id"]):
        raise NotFound(
            f"There is no workspace {clean(name)!r}: `apprentice workspaces list` shows those "
            "there are, `apprentice workspaces create NAME` makes one."
        )
    return _workspace(db, row)


def workspace_by_id(db: Database, workspace_id: int) -> Workspace:
    """The workspace with this id; NotFound otherwise, Moving for one that has just moved away."""
    row = one(db, f"{_SELECT} where w.id = ?", workspace_id)
    if row is None or refuse_away(db, workspace_id):
        raise NotFound(f"There is no workspace with the id {workspace_id}: it may be deleted.")
    return _workspace(db, row)


def list_workspaces(db: Database) -> list[Workspace]:
    """All workspaces, by name."""
    return [_workspace(db, row) for row in rows(db, f"{_SELECT} where {SEEN} order by w.name")]


def created_at(db: Database, workspace_id: int) -> str:
    """When the workspace was made; NotFound for an unknown one."""
    row = one(db, "select created_at from workspaces where id = ?", workspace_id)
    if row is None:
        raise NotFound(f"There is no workspace with the id {workspace_id}: it may be deleted.")
    return str(row["created_at"])


def set_workspace(
    db: Database, name: str, key: str, value: str, *, actor: str = "system"
) -> Workspace:
    """Set one thing: `instructions` (a new version), `access`, or a WorkspaceSettings field.

    `value` is text as typed on a command line; tuples are JSON lists, the avatar is a PNG in
    base64. BadInput names the key and what it takes.
    """
    known = workspace(db, name)
    with write_transaction(db):
        if key == "instructions":
            _add_instructions(db, known.id, value, actor)
        elif key == "access":
            _known_access(value)
            write(db, "update workspaces set access = ? where id = ?", value, known.id)
        elif key == "checks":
            _replace_checks(db, known.id, _parse(key, value))
        elif key == "avatar":
            replace_avatar(db, known.id, value)
        else:
            _put_setting(db, known.id, key, _parse(key, value))
        # which key, not its value: instructions may quote people; but whether a rule is on
        switched = {"on": _parse(key, value)} if key == "two_reviewers" else {}
        audit(db, actor, "workspace set", f"workspace:{known.id}", {"key": key, **switched})
    return workspace_by_id(db, known.id)


def instructions_of(db: Database, workspace_id: int, version: int) -> str:
    """The instructions as they were in `version`; NotFound for a version there never was."""
    row = one(
        db,
        "select text from instructions_versions where workspace_id = ? and version = ?",
        workspace_id,
        version,
    )
    if row is None:
        raise NotFound(f"The instructions have no version {version} in this workspace.")
    return str(row["text"])


def contents(db: Database, workspace_id: int) -> dict[str, int]:
    """How many there are of what is deleted with the workspace, by name; 0 is named too."""
    tables = ("documents", "conversations", "feedback", "rounds", "adapters", "keys")
    sql = "select count(*) as count from {} where workspace_id = ?"
    return {name: rows(db, sql.format(name), workspace_id)[0]["count"] for name in tables}


def delete_workspace(db: Database, name: str, *, actor: str = "system") -> Workspace:
    """Delete a workspace with all its rows; returns what it was, for its folders to be removed.

    Refused for the default workspace and while a job of it is not finished.
    """
    known = workspace(db, name)
    if name == DEFAULT:
        raise Refused(
            f"The workspace {DEFAULT!r} is the one meant when none is named: it cannot be deleted."
        )
    with write_transaction(db):
        busy = one(
            db,
            "select id, kind from jobs where workspace_id = ? and state in ('queued', 'running')",
            known.id,
        )
        if busy:
            raise Refused(
                f"The workspace {name!r} has a {busy['kind']} going on (job {busy['id']}): "
                "cancel it or wait for its end, then delete."
            )
        write(db, "delete from workspaces where id = ?", known.id)
        audit(db, actor, "workspace deleted", f"workspace:{known.id}", {"name": name})
    return known


_SELECT = """
select w.id, w.name, w.access, i.text as instructions, i.version as instructions_version
from workspaces w
join instructions_versions i on i.workspace_id = w.id and i.version = (
    select max(version) from instructions_versions where workspace_id = w.id
)
"""


def _workspace(db: Database, row: dict[str, Any]) -> Workspace:
    return Workspace(**row, settings=_settings(db, row["id"]))


def _settings(db: Database, workspace_id: int) -> WorkspaceSettings:
    stored = rows(db, "select key, value from settings where workspace_id = ?", workspace_id)
    known = {field.name for field in fields(WorkspaceSettings)}
    values: dict[str, Any] = {
        row["key"]: json.loads(row["value"]) for row in stored if row["key"] in known
    }
    checks = rows(
        db,
        "select specification from checks where workspace_id = ? order by position",
        workspace_id,
    )
    values["checks"] = [json.loads(row["specification"]) for row in checks]
    values["avatar"] = avatar_hash(db, workspace_id)
    for key, value in values.items():
        values[key] = tuple(value) if isinstance(value, list) else value
    return WorkspaceSettings(**values)


def set_at(db: Database, workspace_id: int, key: str) -> str | None:
    """When a setting was last set; None for one at its default."""
    row = one(
        db,
        "select updated_at from settings where workspace_id = ? and key = ?",
        workspace_id,
        key,
    )
    return row["updated_at"] if row else None


def _add_instructions(db: Database, workspace_id: int, text: str, author: str) -> None:
    last = one(
        db,
        "select max(version) as version from instructions_versions where workspace_id = ?",
        workspace_id,
    )
    version = (last["version"] or 0) + 1 if last else 1
    insert(
        db,
        "instructions_versions",
        workspace_id=workspace_id,
        version=version,
        text=clean(text),
        author=clean(author),
    )


def _put_setting(db: Database, workspace_id: int, key: str, value: Any) -> None:
    write(
        db,
        f"""insert into settings (workspace_id, key, value) values (?, ?, ?)
        on conflict (workspace_id, key)
        do update set value = excluded.value, updated_at = {NOW}""",
        workspace_id,
        key,
        to_json(value),
    )


def _replace_checks(db: Database, workspace_id: int, checks: tuple[dict[str, Any], ...]) -> None:
    write(db, "delete from checks where workspace_id = ?", workspace_id)
    for position, check in enumerate(checks):
        insert(
            db,
            "checks",
            workspace_id=workspace_id,
            position=position,
            type=clean(check["type"]),
            specification=to_json(check),
        )


def _known_access(access: str) -> None:
    if access not in get_args(Access):
        raise BadInput(
            f"{clean(access)!r} is no kind of access: use one of {', '.join(get_args(Access))}."
        )


def _parse(key: str, value: str) -> Any:
    """`value` as the type of the settings field `key`, within its bounds."""
    defaults = {field.name: field.default for field in fields(WorkspaceSettings)}
    if key not in defaults:
        known = ", ".join(["instructions", "access", *defaults])
        raise BadInput(f"A workspace has no setting {clean(key)!r}: use one of {known}.")
    if isinstance(defaults[key], tuple):
        return _parse_list(key, value)
    if key in PARSERS:
        return PARSERS[key](value)
    if key == "dials":
        return parse_dials(value)
    if isinstance(defaults[key], bool):
        return _parse_choice(key, value)
    if isinstance(defaults[key], str):
        return _parse_sentence(key, value)
    return _parse_number(key, value, type(defaults[key]))


def parse_dials(value: str) -> dict[str, Any]:
    """A JSON object of plain values; '' is an empty one. Which dials there are, a round knows."""
    try:
        parsed = json.loads(value) if value.strip() else {}
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict) or any(
        isinstance(dial, dict | list | None) for dial in parsed.values()
    ):
        raise BadInput(
            f"dials cannot be {clean(value)!r}: give a JSON object such as "
            '{"wordings": 0, "rank": 8}, or {} for none.'
        )
    return parsed


def _parse_sentence(key: str, value: str) -> str:
    text, longest = clean(value).strip(), LONGEST_SENTENCE
    if key == "assistant_name":
        text, longest = " ".join(text.split()), LONGEST_NAME
    if len(text) > longest:
        raise BadInput(f"{key} cannot have {len(text)} characters: give at most {longest}.")
    return text


def _parse_choice(key: str, value: str) -> bool:
    given = value.strip().lower()
    if given not in ("true", "false"):
        raise BadInput(f"{key} cannot be {clean(value)!r}: give true or false.")
    return given == "true"


def _parse_number(key: str, value: str, number: type) -> int | float:
    low, high = BOUNDS.get(key, _ANY_COUNT)
    try:
        parsed = number(value)
    except ValueError:
        parsed = math.nan
    if not low <= parsed <= high:
        kind = "a whole number" if number is int else "a number"
        raise BadInput(f"{key} cannot be {clean(value)!r}: give {kind} from {low} to {high}.")
    return parsed


def _parse_list(key: str, value: str) -> tuple[Any, ...]:
    example = _LIST_EXAMPLES[key]
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, list) or not all(_fits(key, item) for item in parsed):
        raise BadInput(f"{key} cannot be {clean(value)!r}: give a JSON list such as {example}.")
    return tuple(parsed)


def _fits(key: str, item: Any) -> bool:
    if key == "checks":
        return isinstance(item, dict) and isinstance(item.get("type"), str)
    if key == "stop":
        return isinstance(item, str) and 0 < len(item) <= LONGEST_STOP
    if key == "starters":
        return isinstance(item, str) and 0 < len(item.strip()) <= 300
    # no ; no comma and nothing beyond ASCII, which a header cannot hold: the websites stand in one
    form = r"https?://[^/\s;,]+(?:/\S*)?" if key == "sites" else r"https?://[!-+\-.0-:<-~]+"
    return isinstance(item, str) and re.fullmatch(form, item) is not None
