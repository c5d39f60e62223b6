"""The checks of a workspace: what they are, another one, one away."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.admin.desk import Desk, Refresh, Updates, at_desk, binder, fault_place
from assistant.admin.tables import table
from assistant.declared_checks import Check, checks_as_declared, forget_unused_copies
from assistant.decoding import with_usable_format
from assistant.security import may_administer
from storage.database import write_transaction
from storage.errors import BadInput, NotFound, Refused
from storage.text import clean
from storage.workspaces import set_workspace, workspace_by_id

if TYPE_CHECKING:
    from assistant.app import App

TYPES = {
    "sql": "sql: a query that runs on your database",
    "json": "json: by a JSON Schema",
    "regex": "regex: a pattern is found in it",
    "contains": "contains: words stand in it",
}
HOW = {"all": "All of them", "any": "One of them"}
SHOWN = 160
"""Characters of a schema or a pattern in the list."""


class ChecksTab:
    """What a correction must pass to be approved, and an answer to be right."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        self._app = app
        gr.Markdown(
            "A correction that fails its check is approved only with a reason, and rounds are "
            "judged by the checks. The first one in the list that applies to a text counts. Where "
            "a json check is the only one, every reply is held to its schema while it is made."
        )
        self.listed = gr.Markdown(elem_id="checks")
        with gr.Row(elem_id="check-remove-row", visible=False) as self.removing:
            self.chosen = gr.Dropdown([], label="Remove a check", elem_id="check-chosen")
            self.remove = gr.Button("Remove", size="md", scale=0, min_width=120)
        self.remove_fault = fault_place()
        self._lay_out_new()
        self._wire(app, workspace)

    def _lay_out_new(self) -> None:
        with gr.Row():
            names = [(name, kind) for kind, name in TYPES.items()]
            self.kind = gr.Dropdown(
                names, value="sql", label="New check", min_width=280, elem_id="check-kind"
            )
            self.match = gr.Textbox(
                label="Only for texts with these words in them (empty: all it fits)",
                lines=1,
                min_width=280,
                elem_id="check-match",
                elem_classes="kept",
            )
        self.database = gr.Textbox(
            label="SQLite file on the server (queries run on a copy)",
            placeholder="/srv/data/shop.sqlite",
            lines=1,
            elem_id="check-database",
            elem_classes="kept",
        )
        self.schema = gr.Textbox(
            label="JSON Schema (empty: any JSON)",
            placeholder='{"type": "object", "required": ["name"]}',
            lines=5,
            visible=False,
            elem_id="check-schema",
            elem_classes="kept",
        )
        self.pattern = gr.Textbox(
            label="Pattern (a regular expression)",
            lines=1,
            visible=False,
            elem_id="check-pattern",
            elem_classes="kept",
        )
        with gr.Row(visible=False) as self.containing:
            self.words = gr.Textbox(
                label="Words, one entry a line (empty: the whole correction)",
                lines=3,
                scale=3,
                min_width=280,
                elem_id="check-words",
                elem_classes="kept",
            )
            choices = [(name, how) for how, name in HOW.items()]
            self.how = gr.Radio(choices, value="all", label="Of these")
        self.fault = fault_place()
        self.add = gr.Button("Add the check", variant="primary", size="md", scale=0)

    def _wire(self, app: "App", workspace: gr.Dropdown) -> None:
        typed = [self.database, self.schema, self.pattern, self.words, self.match]
        boxes = {*typed, self.containing}
        bind = binder(
            app, may_administer, workspace, {self.listed, self.removing, self.chosen, *boxes}
        )
        handler = at_desk(app, may_administer, self.show, silent=True)
        self.refresh = Refresh(handler, [], {self.listed, self.removing, self.chosen})
        bind(self.kind.input, self.choose, self.kind)
        bind(self.add.click, self.add_it, self.kind, *typed, self.how, fault=self.fault)
        bind(self.remove.click, self.remove_it, self.chosen, fault=self.remove_fault)

    def show(self, desk: Desk) -> Updates:
        """The checks in their order."""
        checks = workspace_by_id(desk.db, desk.workspace.id).settings.checks
        rows = [
            (number, check["type"], asks(check)) for number, check in enumerate(checks, start=1)
        ]
        labels = [_short(f"{number}. {kind}: {what}") for number, kind, what in rows]
        values = [_key(check) for check in checks]
        return {
            self.listed: table(
                ("Order", "Type", "What it asks"),
                rows,
                empty="No checks: an answer is right when it is the approved one, word by word.",
            ),
            self.removing: gr.update(visible=bool(checks)),
            self.chosen: gr.update(choices=list(zip(labels, values, strict=True)), value=None),
        }

    def choose(self, desk: Desk, kind: str) -> Updates:
        """The fields of one type."""
        return {
            self.database: gr.update(visible=kind == "sql"),
            self.schema: gr.update(visible=kind == "json"),
            self.pattern: gr.update(visible=kind == "regex"),
            self.containing: gr.update(visible=kind == "contains"),
        }

    def add_it(
        self,
        desk: Desk,
        kind: str,
        database: str | None,
        schema: str | None,
        pattern: str | None,
        words: str | None,
        match: str | None,
        how: str | None,
    ) -> Updates:
        """Declare one more, as `workspaces set NAME checks=...` does; it comes last."""
        made = self._typed(kind, database, schema, pattern, words, how)
        if clean(match or "").strip():
            made["match"] = clean(match or "").strip()
        (check,) = self._declared(made)
        with write_transaction(desk.db):
            known = workspace_by_id(desk.db, desk.workspace.id).settings.checks
            if check in known:
                raise BadInput("This check is declared already: nothing was added.")
            self._save(desk, [*known, check])
        empty = dict.fromkeys(
            (self.database, self.schema, self.pattern, self.words, self.match), ""
        )
        return {**self.show(desk), **empty}

    def remove_it(self, desk: Desk, chosen: str | None) -> Updates:
        """Judge by it no more; the copy of its database goes with it."""
        with write_transaction(desk.db):
            known = workspace_by_id(desk.db, desk.workspace.id).settings.checks
            left = [check for check in known if _key(check) != chosen]
            if len(left) == len(known):
                raise NotFound("Choose the check to remove.")
            self._save(desk, left)
        forget_unused_copies(self._app)
        return self.show(desk)

    def _typed(
        self,
        kind: str,
        database: str | None,
        schema: str | None,
        pattern: str | None,
        words: str | None,
        how: str | None,
    ) -> Check:
        if kind not in TYPES:
            raise BadInput("Choose a type of the list.")
        if kind == "sql":
            return {"type": kind, "database": str(self._place(database))}
        if kind == "json":
            return {"type": kind, **_schema(schema)}
        if kind == "regex":
            return {"type": kind, "pattern": clean(pattern or "").strip() or None}
        texts = [line.strip() for line in clean(words or "").splitlines() if line.strip()]
        return {"type": kind, **({how if how in HOW else "all": texts} if texts else {})}

    def _declared(self, check: Check) -> list[Check]:
        try:
            made: list[Check] = json.loads(checks_as_declared(self._app, json.dumps([check])))
            return made
        except OSError as error:
            said = (error.strerror or str(error)).lower()
            raise BadInput(f"The check's file cannot be read ({said}): name another.") from None

    def _place(self, typed: str | None) -> Path:
        """A full path, and not to a database of our own: its rows would reach bundles."""
        text = clean(typed or "").strip()
        path = Path(text).expanduser()
        if not path.is_absolute():
            raise BadInput(f"{text!r} is no full path: name the SQLite file on the server.")
        root, real = self._app.datadir.root.resolve(), path.resolve()
        ours = self._app.datadir.database.name
        if root in real.parents and (real.parent != root or real.name.startswith(ours)):
            raise Refused(f"{path} is the assistant's own: name a database of yours.")
        return path

    def _save(self, desk: Desk, checks: list[Check]) -> None:
        text = json.dumps(checks)
        made = set_workspace(desk.db, desk.workspace.name, "checks", text, actor=desk.person.owner)
        with_usable_format(made.settings)


def asks(check: Check) -> str:
    """What a check asks, in words for the list."""
    kind = check["type"]
    said = {
        "sql": f"a query that runs on {check.get('database')}",
        "json": f"JSON by the schema {json.dumps(check.get('schema'), ensure_ascii=False)}"
        if "schema" in check
        else "JSON",
        "regex": f"the pattern {check.get('pattern')} is found",
        "contains": _contained(check),
    }.get(kind, "the same words")
    if check.get("keys"):
        said += ", the keys only"
    where = f"; only where {str(check['match'])!r} stands" if check.get("match") else ""
    return _short(said) + where


def _contained(check: Check) -> str:
    named = [
        f"{name} of: {', '.join(check[how])}"
        for how, name in (("all", "all"), ("any", "one"))
        if how in check
    ]
    return "; ".join(named) or "the whole correction stands in the answer"


def _schema(typed: str | None) -> dict[str, Any]:
    if not (typed or "").strip():
        return {}
    try:
        schema = json.loads(typed or "")
    except (ValueError, RecursionError) as error:
        raise BadInput(f"The schema is no JSON ({error}): correct it.") from None
    if not isinstance(schema, dict):
        raise BadInput('The schema is no JSON object: give one such as {"type": "object"}.')
    return {"schema": schema}


def _key(check: Check) -> str:
    return json.dumps(check, sort_keys=True)


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
