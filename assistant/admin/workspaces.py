"""The workspace that is shown: its instructions, access and settings; and another one made."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import gradio as gr

from assistant.admin.avatar import AvatarForm
from assistant.admin.deletion import DeletionForm
from assistant.admin.desk import Desk, Refresh, Updates, alert, at_desk, binder, fault_place
from assistant.admin.setting_fields import SettingField, setting_fields
from assistant.chat_view import one_line
from assistant.security import may_administer
from assistant.workspace_values import Faulty, put_values
from storage.errors import BadInput
from storage.records import Access, Workspace
from storage.workspaces import create_workspace, list_workspaces, workspace_by_id

if TYPE_CHECKING:
    from assistant.app import App


class WorkspacesTab:
    """Every key of `workspaces set`, each with its fault beside it."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        self._app = app
        self._lay_out_new()
        self.before = gr.State({})  # what the form showed, and of which workspace
        self.inputs: dict[str, Any] = {}
        self.faults: dict[str, gr.Markdown] = {}
        with gr.Column(elem_id="settings"):
            for field in setting_fields():
                with gr.Column(elem_classes="wide" if field.lines > 3 else ""):
                    self.inputs[field.key] = _component(field)
                    self.faults[field.key] = fault_place()
        with gr.Row(elem_id="settings-save"):
            self.save = gr.Button("Save", variant="primary", size="md", scale=0, min_width=140)
            self.undo = gr.Button("Undo my changes", size="md", scale=0, min_width=190)
        self.said = gr.Markdown(elem_id="settings-said")
        self.avatar = AvatarForm(app, workspace)
        self.deletion = DeletionForm(app, workspace)
        self._wire(app, workspace)

    def _lay_out_new(self) -> None:
        with gr.Accordion("Another workspace", open=False):
            with gr.Row(elem_id="workspace-new-row"):
                self.name = gr.Textbox(
                    label="Name",
                    info="Small letters, digits, - and _",
                    elem_id="workspace-name",
                    elem_classes="kept",
                    max_lines=1,
                    min_width=200,
                )
                self.access = gr.Dropdown(
                    list(get_args(Access)),
                    value="members",
                    label="Who may use it",
                    info="public: everybody; embed: only websites",
                    min_width=200,
                )
                self.make = gr.Button("Make it", size="md", scale=0, min_width=120)
            self.name_fault = fault_place()

    def _wire(self, app: "App", workspace: gr.Dropdown) -> None:
        self.workspace = workspace
        form = {self.before, self.said, *self.inputs.values(), *self.faults.values()}
        form |= self.deletion.outputs | self.avatar.outputs
        bind = binder(app, may_administer, workspace, {*form, workspace, self.name})
        typed = [self.before, *self.inputs.values()]
        handler = at_desk(app, may_administer, self.open, silent=True)
        self.refresh = Refresh(handler, typed, form)
        bind(self.save.click, self.save_it, *typed)
        bind(self.undo.click, self.show)
        bind(self.make.click, self.make_it, self.name, self.access, fault=self.name_fault)
        deletion = self.deletion
        bind(deletion.yes.click, self.delete_it, deletion.typed, fault=deletion.fault)

    def open(self, desk: Desk, before: dict[str, Any], *typed: Any) -> Updates:
        """The form, anew; but what somebody typed in it and has not saved is left alone."""
        same = before.get("workspace") == desk.workspace.id
        return {} if same and _changed(before, typed) else self.show(desk)

    def show(self, desk: Desk) -> Updates:
        """Everything as it is set."""
        typed = {field.key: field.typed(desk.workspace) for field in setting_fields()}
        return {
            self.before: {**typed, "workspace": desk.workspace.id},
            **{self.inputs[key]: value for key, value in typed.items()},
            **self._told({}),
            **self.avatar.show(desk),
            **self.deletion.closed(desk),
            self.said: "",
        }

    def save_it(self, desk: Desk, before: dict[str, Any], *typed: Any) -> Updates:
        """What was changed, all of it or nothing; a fault leaves everything as it was typed."""
        if before.get("workspace") != desk.workspace.id:
            raise BadInput("Another workspace was chosen meanwhile: open this tab again.")
        changed = _changed(before, typed)
        name, actor = desk.workspace.name, desk.person.owner
        try:
            put_values(self._app, desk.db, name, changed, actor=actor)
        except Faulty as fault:
            none = '<p role="alert">Nothing was saved: see the fields marked above.</p>'
            return {**self._told(fault.faults), self.said: none}
        said = f"Saved: {', '.join(changed)}." if changed else "Nothing was changed."
        shown = self.show(replace(desk, workspace=workspace_by_id(desk.db, desk.workspace.id)))
        return {**shown, self.said: f'<p class="note">{one_line(said)}</p>'}

    def make_it(self, desk: Desk, name: str | None, access: str | None) -> Updates:
        """Another workspace, which is the one shown from then on."""
        made = create_workspace(
            desk.db, (name or "").strip(), access=access or "", actor=desk.person.owner
        )
        return {**self._turned_to(desk, made), self.name: ""}

    def delete_it(self, desk: Desk, typed: str | None) -> Updates:
        """The one that is shown goes, if its name was typed."""
        return self._turned_to(desk, self.deletion.delete_it(desk, typed))

    def _turned_to(self, desk: Desk, shown: Workspace) -> Updates:
        choices = [(item.name, item.id) for item in list_workspaces(desk.db)]
        return {
            **self.show(replace(desk, workspace=shown)),
            self.workspace: gr.update(choices=choices, value=shown.id),
        }

    def _told(self, faults: dict[str, str]) -> Updates:
        return {place: alert(faults.get(key, "")) for key, place in self.faults.items()}


def _component(field: SettingField) -> Any:
    about = {"label": field.label, "info": field.says, "elem_id": f"setting-{field.key}"}
    if field.kind is bool:
        return gr.Checkbox(**about)
    if field.choices:
        return gr.Dropdown(list(field.choices), **about)
    return gr.Textbox(lines=field.lines, max_lines=max(20, field.lines), **about)


def _changed(before: dict[str, Any], typed: tuple[Any, ...]) -> dict[str, str]:
    """By key, what was typed over what the form showed."""
    both = zip(setting_fields(), typed, strict=True)
    return {field.key: field.text(value) for field, value in both if value != before.get(field.key)}
