"""Which rows are a workspace's: what moves with it when it goes to another house.

Every table is in `OF_WORKSPACE` or in `OF_HOUSE`; a test holds that none is forgotten.
"""

from dataclasses import dataclass

from sqlite_utils import Database

from storage.database import rows

_OWN = "{r}workspace_id = {w}"
_CONVERSATION = "{r}conversation_id in (select id from {s}conversations where workspace_id = {w})"
_FEEDBACK = "{r}feedback_id in (select id from {s}feedback where workspace_id = {w})"
_ROUND = "{r}round_id in (select id from {s}rounds where workspace_id = {w})"
_ADAPTER = "{r}adapter_id in (select id from {s}adapters where workspace_id = {w})"
_OVERRIDE = "{r}override_id in (select id from {s}overrides where workspace_id = {w})"
_ATTACHMENT = """{r}attachment_id in (select a.id from {s}attachments a
    join {s}conversations c on c.id = a.conversation_id where c.workspace_id = {w})"""
_ERASURE = "{r}id in (select erasure_id from {s}erasure_requests where workspace_id = {w})"

OF_WORKSPACE: dict[str, str] = {
    "instructions_versions": _OWN,
    "settings": _OWN,
    "checks": _OWN,
    "memberships": _OWN,
    "keys": _OWN,
    "avatars": _OWN,
    "jobs": _OWN,
    "documents": _OWN,
    "chunks": _OWN,
    "rounds": _OWN,
    "adapters": _OWN,
    "servings": _OWN,
    "conversations": _OWN,
    "messages": _CONVERSATION,
    "attachments": _CONVERSATION,
    "attachment_chunks": _ATTACHMENT,
    "feedback": _OWN,
    "feedback_passages": _FEEDBACK,
    "duplicates": _FEEDBACK,
    "kept_passages": _FEEDBACK,
    "paraphrases": _FEEDBACK,
    "freed_feedback": _FEEDBACK,
    "unmasked": _FEEDBACK,
    "first_yeses": _FEEDBACK,
    "overrides": _OWN,
    "learned_overrides": _OVERRIDE,
    "round_metrics": _ROUND,
    "round_examples": _ROUND,
    "round_documents": _ROUND,
    "evaluations": _ROUND,
    "copies": f"({_ADAPTER} or {_ROUND})",
    "erasures": _ERASURE,
    "erasure_requests": _OWN,
    "gone_chunks": _OWN,
    "pair_changes": _OWN,
}
"""Each table with which of its rows, parents first. `{w}` is the workspace's id, `{s}` the schema
with its dot, `{r}` what the row is called, with a dot."""

OF_HOUSE: dict[str, str] = {
    "workspaces": "its row is made first and counts last (`storage.places`)",
    "users": "may be members of others too: those who are wanted are added (`storage.people`)",
    "sessions": "of those users",
    "audit": "a chain of its own; the acts on the workspace are written down again",
    "adapter_signatures": "by this house's key: checked there and signed anew here",
    "adapter_proofs": "signed by this house's key: made anew at the next load",
    "house_settings": "this house's",
    "backups": "this house's",
}
"""The other tables, with why their rows stay."""

MADE_BY_TRIGGERS = ("gone_chunks", "pair_changes")


@dataclass(frozen=True)
class Table:
    """A table's columns, those of its key first."""

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    has_rowid: bool


_MADE: dict[str, Table] = {}


def table_of(db: Database, name: str) -> Table:
    """How a table is made; looked up once, for a process has one version of the tables.

    Each look costs 8 ms after a trigger was made, and 35 tables are looked at in the second in
    which the workspace stands still.
    """
    if name not in _MADE:
        _MADE[name] = _looked_up(db, name)
    return _MADE[name]


def _looked_up(db: Database, name: str) -> Table:
    found = rows(db, f"pragma main.table_info({name})")
    key = [str(row["name"]) for row in sorted(found, key=lambda row: row["pk"]) if row["pk"]]
    others = [str(row["name"]) for row in found if not row["pk"]]
    listed = rows(db, "select wr from pragma_table_list where schema = 'main' and name = ?", name)
    return Table(name, tuple(key), (*key, *others), has_rowid=not listed[0]["wr"])


def rows_of(table: str, workspace_id: int, *, schema: str = "", row: str = "") -> str:
    """The SQL condition that a row of the table is the workspace's.

    `row` is the row's name where it has one (`new`, `old`), `schema` where the tables are.
    """
    schema, row = (f"{name}." if name else "" for name in (schema, row))
    return OF_WORKSPACE[table].format(s=schema, w=int(workspace_id), r=row)
