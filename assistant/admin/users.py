"""People with a login: who there is, one more, another role, password or workspace, one deleted."""

from typing import TYPE_CHECKING, get_args

import gradio as gr

from assistant.accounts import change_account, create_account, delete_account, usable_names
from assistant.admin.desk import Desk, Refresh, Updates, at_desk, binder, fault_place
from assistant.admin.tables import table
from assistant.chat_view import one_line
from assistant.security import hash_password, may_administer
from storage.errors import BadInput, Refused
from storage.records import UserRole
from storage.users import list_users, user_by_name

if TYPE_CHECKING:
    from assistant.app import App

ROLES = get_args(UserRole)
SAID_OF_ROLES = (
    "An admin does everything, a reviewer decides what is taught, a viewer sees what a reviewer "
    "sees and changes nothing, a member chats."
)


class UsersTab:
    """The house's users; memberships are those of the workspace that is shown."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        gr.Markdown(SAID_OF_ROLES)
        self.listed = gr.Markdown(elem_id="users")
        self._lay_out_chosen()
        self._lay_out_new()
        self._wire(app, workspace)

    def _lay_out_chosen(self) -> None:
        with gr.Row(elem_id="user-row"):
            self.chosen = gr.Dropdown([], label="Change a user", elem_id="user", min_width=180)
            self.role = gr.Dropdown(list(ROLES), label="Role", value=None, min_width=130)
            self.set_role = gr.Button("Set the role", size="md", scale=0, min_width=130)
            self.join = gr.Button("Let in here", size="md", scale=0, min_width=120)
            self.leave = gr.Button("Take out of here", size="md", scale=0, min_width=170)
            self.delete = gr.Button("Delete…", size="md", scale=0, min_width=100)
        self.chosen_fault = fault_place()
        with gr.Row(elem_id="user-password-row"):
            self.password = gr.Textbox(
                label="New password of that user", type="password", max_lines=1, min_width=240
            )
            self.set_password = gr.Button("Set the password", size="md", scale=0, min_width=180)
        self.password_fault = fault_place()
        with gr.Row(visible=False, elem_id="user-sure") as self.sure:
            self.question = gr.Markdown()
            self.yes = gr.Button("Yes, delete", variant="stop", size="md", scale=0)
            self.no = gr.Button("Keep", size="md", scale=0)
        self.said = gr.Markdown(elem_id="user-said")

    def _lay_out_new(self) -> None:
        with gr.Row(elem_id="user-new-row"):
            self.name = gr.Textbox(
                label="New user",
                max_lines=1,
                min_width=160,
                elem_id="user-name",
                elem_classes="kept",
            )
            self.first_password = gr.Textbox(
                label="Password", type="password", max_lines=1, min_width=160
            )
            self.first_role = gr.Dropdown(list(ROLES), label="Role", value="member", min_width=130)
            self.add = gr.Button("Add", variant="primary", size="md", scale=0, min_width=120)
        self.new_fault = fault_place()

    def _wire(self, app: "App", workspace: gr.Dropdown) -> None:
        outputs = {self.listed, self.chosen, self.role, self.sure, self.question, self.said}
        typed = {self.name, self.first_password, self.password}
        bind = binder(app, may_administer, workspace, outputs | typed)
        self.refresh = Refresh(at_desk(app, may_administer, self.show, silent=True), [], outputs)
        new = [self.name, self.first_password, self.first_role]
        bind(self.add.click, self.add_it, *new, fault=self.new_fault)
        typed_over = [self.chosen, self.password]
        bind(self.set_password.click, self.set_the_password, *typed_over, fault=self.password_fault)
        fault = self.chosen_fault
        bind(self.chosen.input, self.read, self.chosen, fault=fault)
        bind(self.set_role.click, self.set_the_role, self.chosen, self.role, fault=fault)
        bind(self.join.click, self.let_in, self.chosen, fault=fault)
        bind(self.leave.click, self.take_out, self.chosen, fault=fault)
        bind(self.delete.click, self.ask, self.chosen, fault=fault)
        bind(self.yes.click, self.delete_it, self.chosen, fault=fault)
        bind(self.no.click, self.show)

    def show(self, desk: Desk, said: str = "") -> Updates:
        """Everybody, by name, with where they may chat."""
        found = list_users(desk.db)
        rows = [
            (user.name, user.role, ", ".join(usable_names(desk.db, user)) or "none")
            for user in found
        ]
        head = ("Name", "Role", "May chat in")
        return {
            self.listed: table(head, rows, empty="Nobody has a login yet."),
            self.chosen: gr.update(choices=[user.name for user in found], value=None),
            self.role: None,
            self.sure: gr.update(visible=False),
            self.said: f'<p class="note">{one_line(said)}</p>' if said else "",
        }

    def read(self, desk: Desk, name: str | None) -> Updates:
        """The role that the chosen one has."""
        found = user_by_name(desk.db, _chosen(name))
        return {self.role: found.role, self.sure: gr.update(visible=False), self.said: ""}

    def add_it(
        self, desk: Desk, name: str | None, password: str | None, role: str | None
    ) -> Updates:
        """A new user; what was typed stays where it cannot be."""
        hashed = hash_password(password or "")
        user = create_account(desk.db, name or "", role or "", hashed, actor=desk.person.owner)
        shown = self.show(desk, f"{user.name} can log in now.")
        return {**shown, self.name: "", self.first_password: ""}

    def set_the_role(self, desk: Desk, name: str | None, role: str | None) -> Updates:
        """It counts from the next request on."""
        user = change_account(desk.db, _chosen(name), role=role or "", actor=desk.person.owner)
        return self.show(desk, f"{user.name}: {role}.")

    def set_the_password(self, desk: Desk, name: str | None, password: str | None) -> Updates:
        """It ends the sessions that began with the old one."""
        hashed = hash_password(password or "")
        user = change_account(desk.db, _chosen(name), password_hash=hashed, actor=desk.person.owner)
        return {**self.show(desk, f"{user.name} has a new password."), self.password: ""}

    def let_in(self, desk: Desk, name: str | None) -> Updates:
        """A member of the workspace that is shown."""
        here = desk.workspace.name
        user = change_account(desk.db, _chosen(name), join=here, actor=desk.person.owner)
        return self.show(desk, f"{user.name} is a member of {here}.")

    def take_out(self, desk: Desk, name: str | None) -> Updates:
        """No member of it any more; admins and reviewers may chat there all the same."""
        here = desk.workspace.name
        user = change_account(desk.db, _chosen(name), leave=here, actor=desk.person.owner)
        return self.show(desk, f"{user.name} is no member of {here}.")

    def ask(self, desk: Desk, name: str | None) -> Updates:
        """This one?"""
        user = user_by_name(desk.db, _chosen(name))
        said = "What was said and reviewed stays."
        return {
            self.question: f"<p>Delete <strong>{one_line(user.name)}</strong>? {said}</p>",
            self.sure: gr.update(visible=True),
        }

    def delete_it(self, desk: Desk, name: str | None) -> Updates:
        """No login any more; nobody deletes themselves by a slip."""
        if user_by_name(desk.db, _chosen(name)).id == desk.person.id:
            raise Refused("This is you: let another admin delete your login.")
        user = delete_account(desk.db, _chosen(name), actor=desk.person.owner)
        return self.show(desk, f"{user.name} is deleted.")


def _chosen(name: str | None) -> str:
    if not isinstance(name, str) or not name:
        raise BadInput("Choose a user first.")
    return name
