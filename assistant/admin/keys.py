"""The keys of programs and websites: all of them, a new one, one ended."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.admin.desk import Desk, Refresh, Updates, at_desk, binder, fault_place
from assistant.admin.feedback_view import day_and_time
from assistant.admin.tables import table
from assistant.security import may_administer
from storage import keys
from storage.errors import NotFound
from storage.workspaces import list_workspaces

if TYPE_CHECKING:
    from assistant.app import App

MAY = {"chat": "ask", "feedback": "give feedback", "metrics": "read figures at /metrics"}
HEAD = ("Name", "For", "Workspace", "May", "Begins with", "Last used", "State")


class KeysTab:
    """What opens the API; the pages want a login instead."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        gr.Markdown(
            "Programs ask with a key, as [the page on the API](/v1/docs) shows. Keys of websites "
            "are made under Embed."
        )
        self.listed = gr.Markdown(elem_id="keys")
        with gr.Row(elem_id="key-revoke-row", visible=False) as self.revoking:
            self.chosen = gr.Dropdown([], label="End a key", elem_id="key-chosen")
            self.revoke = gr.Button("End it", size="md", scale=0, min_width=120)
        self.revoke_fault = fault_place()
        with gr.Row():
            self.name = gr.Textbox(
                label="New key",
                info="What uses it",
                lines=1,
                min_width=240,
                elem_id="key-name",
                elem_classes="kept",
            )
            self.per_minute = gr.Number(
                value=keys.PER_MINUTE, label="Requests a minute", info="At most", minimum=1
            )
        choices = [(may, scope) for scope, may in MAY.items()]
        with gr.Row():
            self.scopes = gr.CheckboxGroup(choices, value=list(keys.USUAL), label="It may")
            self.everywhere = gr.Checkbox(
                label="In every workspace, not only in the one chosen above", min_width=300
            )
        self.fault = fault_place()
        self.make = gr.Button("Make the key", variant="primary", size="md", scale=0)
        self.secret = gr.Textbox(
            label="The key. Copy it now: it is not shown again",
            visible=False,
            interactive=False,
            buttons=["copy"],
            elem_id="key-secret",
        )
        self._wire(app, workspace)

    def _wire(self, app: "App", workspace: gr.Dropdown) -> None:
        shown = {self.listed, self.revoking, self.chosen, self.secret}
        bind = binder(app, may_administer, workspace, {*shown, self.name})
        handler = at_desk(app, may_administer, self.show, silent=True)
        self.refresh = Refresh(handler, [], shown)
        typed = [self.name, self.scopes, self.everywhere, self.per_minute]
        bind(self.make.click, self.make_it, *typed, fault=self.fault)
        bind(self.revoke.click, self.revoke_it, self.chosen, fault=self.revoke_fault)

    def show(self, desk: Desk) -> Updates:
        """All keys of the house, the newest first; no secret."""
        names = {item.id: item.name for item in list_workspaces(desk.db)}
        found = keys.list_keys(desk.db)
        valid = [key.name for key in found if not key.revoked_at]
        return {
            self.listed: table(
                HEAD, [_row(key, names) for key in found], empty="There is no key yet."
            ),
            self.revoking: gr.update(visible=bool(valid)),
            self.chosen: gr.update(choices=valid, value=None),
            self.secret: gr.update(value="", visible=False),
        }

    def make_it(
        self, desk: Desk, name: str | None, scopes: list[str], everywhere: bool, per_minute: Any
    ) -> Updates:
        """Make a key and show it, this once."""
        _, secret = keys.create_key(
            desk.db,
            name or "",
            workspace_id=None if everywhere else desk.workspace.id,
            scopes=scopes or (),
            per_minute=int(per_minute or 0),
            actor=desk.person.owner,
        )
        shown = self.show(desk)
        return {**shown, self.name: "", self.secret: gr.update(value=secret, visible=True)}

    def revoke_it(self, desk: Desk, chosen: Any) -> Updates:
        """End the chosen key: whoever still sends it is refused from now on."""
        if not isinstance(chosen, str) or not chosen:
            raise NotFound("Choose the key to end first.")
        keys.revoke_key(desk.db, chosen, actor=desk.person.owner)
        return self.show(desk)


def _row(key: keys.Key, names: dict[int, str]) -> tuple[str, ...]:
    where = "all" if key.workspace_id is None else names[key.workspace_id]
    return (
        key.name,
        "a website" if key.kind == "embed" else "a program",
        where,
        ", ".join(MAY[scope] for scope in key.scopes) or "chat on its page",
        key.shown,
        day_and_time(key.last_used_at) if key.last_used_at else "never",
        "ended" if key.revoked_at else "valid",
    )
