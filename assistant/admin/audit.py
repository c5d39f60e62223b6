"""The audit log: who did what, the newest first, by person, act and subject."""

from typing import TYPE_CHECKING, Any

import gradio as gr
from sqlite_utils import Database

from assistant.admin.desk import Desk, Refresh, Updates, at_desk, binder
from assistant.admin.feedback_view import day_and_time
from assistant.admin.names import contributor_name
from assistant.admin.tables import table
from assistant.security import may_administer
from storage.audit import AuditEntry, audit_chain, audited, list_audit

if TYPE_CHECKING:
    from assistant.app import App

PAGE = 50
EVERY = ""
HEAD = ("No.", "When (UTC)", "Who", "Did what", "To what", "More")


class AuditTab:
    """The whole house's: acts on users and keys belong to no workspace."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        with gr.Row(elem_id="audit-row"):
            self.actor = gr.Dropdown([], label="Who", min_width=180)
            self.action = gr.Dropdown([], label="Did what", min_width=180)
            self.subject = gr.Textbox(
                label="To what", placeholder="adapter:3", max_lines=1, min_width=160
            )
        self.before = gr.State(None)
        self.listed = gr.Markdown(elem_id="audit")
        with gr.Row():
            self.verify = gr.Button("Was anything changed?", size="sm")
            self.newest = gr.Button("Newest", size="sm", visible=False)
            self.older = gr.Button("Older", size="sm", visible=False)
        self.chain = gr.Markdown(elem_id="audit-chain")
        outputs = {
            self.chain,
            self.actor,
            self.action,
            self.before,
            self.listed,
            self.newest,
            self.older,
        }
        bind = binder(app, may_administer, workspace, outputs)
        chosen = [self.actor, self.action, self.subject]
        handler = at_desk(app, may_administer, self.show, silent=True)
        self.refresh = Refresh(handler, chosen, outputs)
        bind(self.actor.input, self.show, *chosen)
        bind(self.action.input, self.show, *chosen)
        bind(self.subject.submit, self.show, *chosen)
        bind(self.verify.click, self.follow)
        bind(self.newest.click, self.show, *chosen)
        bind(self.older.click, self.show, *chosen, self.before)

    def show(
        self,
        desk: Desk,
        actor: str | None,
        action: str | None,
        subject: str | None,
        before: int | None = None,
    ) -> Updates:
        """A page of the acts that fit, those before the id `before` or the newest."""
        given: dict[str, Any] = {
            "actor": actor,
            "action": action,
            "subject": (subject or "").strip(),
            "before": before,
        }
        found = list_audit(desk.db, PAGE + 1, **given)
        page = found[:PAGE]
        actors = [(_who(desk.db, name), name) for name in audited(desk.db, "actor")]
        actions = audited(desk.db, "action")
        return {
            self.actor: gr.update(choices=[("Everybody", EVERY), *actors], value=actor or EVERY),
            self.action: gr.update(choices=[("Anything", EVERY), *actions], value=action or EVERY),
            self.listed: table(HEAD, [_row(desk.db, one) for one in page], empty="No such act."),
            self.before: page[-1].id if page else None,
            self.newest: gr.update(visible=before is not None),
            self.older: gr.update(visible=len(found) > PAGE),
        }

    def follow(self, desk: Desk) -> Updates:
        """Whether every row is as it was written; reads them all."""
        chain = audit_chain(desk.db)
        said = f"{chain.said[0].upper()}{chain.said[1:]}."
        note = "A head noted elsewhere can be compared: `apprentice audit verify --head HASH`."
        return {self.chain: f"{said} {note}"}


def _row(db: Database, entry: AuditEntry) -> tuple[Any, ...]:
    more = ", ".join(f"{name} {_plain(value)}" for name, value in entry.detail.items())
    who = _who(db, entry.actor)
    return entry.id, day_and_time(entry.at), who, entry.action, entry.subject, more


def _plain(value: Any) -> str:
    """A value as a person reads it, not as Python writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " and ".join(map(_plain, value)) or "none"
    return "none" if value is None else str(value)


def _who(db: Database, actor: str) -> str:
    """A user's name; of the command line, whose account it was."""
    kind, _, name = actor.partition(":")
    return f"{name}, at the command line" if kind == "cli" else contributor_name(db, actor)
