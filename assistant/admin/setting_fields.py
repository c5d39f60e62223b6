"""The settings of a workspace as fields of a form, made from where they are declared."""

import ast
import inspect
import json
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, get_args

from storage.records import Access, Workspace
from storage.workspace_settings import WorkspaceSettings


@dataclass(frozen=True)
class SettingField:
    """One thing that `workspaces set` sets."""

    key: str
    kind: type
    """bool, str (which a number is typed as), list (a text a line), or dict: JSON."""
    says: str
    choices: tuple[str, ...] = ()
    lines: int = 1

    @property
    def label(self) -> str:
        """Its key in words."""
        return self.key.replace("_", " ").capitalize()

    def typed(self, workspace: Workspace) -> Any:
        """Its value as the form shows it."""
        if self.key in ("access", "instructions"):
            return getattr(workspace, self.key)
        value = getattr(workspace.settings, self.key)
        if self.kind is bool:
            return value
        if self.kind is list and not any("\n" in item for item in value):
            return "\n".join(value)
        if self.kind is str:
            return str(value)
        return json.dumps(value, ensure_ascii=False) if value else ""

    def text(self, typed: Any) -> str:
        """What was typed, as `set_workspace` takes it."""
        if self.kind is bool:
            return "true" if typed else "false"
        said = str(typed or "")
        if self.kind is list and not said.lstrip().startswith("["):
            return json.dumps([line.strip() for line in said.splitlines() if line.strip()])
        return said or {"checks": "[]", "dials": "{}"}.get(self.key, "")


@cache
def setting_fields() -> tuple[SettingField, ...]:
    """All of them, in the order in which they are declared."""
    said = _docstrings(WorkspaceSettings)
    first = (
        SettingField("instructions", str, "What the assistant is told before anything", lines=8),
        SettingField("access", str, "Who may use it", get_args(Access)),
    )
    kinds = {field.name: _kind(field.type) for field in fields(WorkspaceSettings)}
    return first + tuple(
        SettingField(key, kind, said[key], lines=3 if kind in (list, dict) else 1)
        for key, kind in kinds.items()
        if key != "avatar"  # a file: `admin/avatar.py` takes it
    )


def _kind(declared: Any) -> type:
    if declared is bool:
        return bool
    if declared == tuple[str, ...]:
        return list
    return dict if get_args(declared) else str


def _docstrings(owner: type) -> dict[str, str]:
    """The text under each field, in one line."""
    (body,) = ast.parse(inspect.getsource(owner)).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            found[field.target.id] = " ".join(str(after.value.value).split())
    return found
