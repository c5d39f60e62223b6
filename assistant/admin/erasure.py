"""Erasure: who asks to be forgotten, what an admin erases, and the certificates."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.admin.backups import BackupsForm
from assistant.admin.desk import Desk, Refresh, Updates, at_desk, binder, fault_place
from assistant.admin.feedback_view import day_and_time
from assistant.admin.tables import table
from assistant.certificate import as_markdown, certificate
from assistant.chat_view import one_line
from assistant.plain_markdown import plain_markdown
from assistant.security import may_administer
from storage.erasure import Erasure, list_erasures
from storage.erasure_requests import (
    ErasureRequest,
    erasure_request,
    list_requests,
    refuse_request,
)
from storage.erasure_scope import scope_of
from storage.errors import BadInput, NotFound
from storage.workspaces import workspace_by_id

if TYPE_CHECKING:
    from assistant.app import App

KINDS = [
    ("One judgement (its number)", "feedback"),
    ("A conversation (its id)", "conversation"),
    ("A person (contributor)", "contributor"),
]


class ErasureTab:
    """Requests with yes and no, erasing by hand asked twice, and what was certified."""

    def __init__(self, app: "App", workspace: gr.Dropdown, tab: gr.Tab) -> None:
        self._app = app
        self.tab = tab
        self.waiting = gr.Markdown(elem_id="erasure-requests")
        with gr.Row(elem_id="erasure-request-row", visible=False) as self.asked:
            self.request = gr.Dropdown([], label="Request", elem_id="erasure-request")
            self.approve = gr.Button("Erase it…", size="md", scale=0, min_width=120)
            self.refuse = gr.Button("Refuse", size="md", scale=0, min_width=120)
        self.request_fault = fault_place()
        with gr.Row(elem_id="erase-row"):
            self.kind = gr.Dropdown(
                KINDS, value="feedback", label="Erase", min_width=300, elem_id="erase-kind"
            )
            self.subject = gr.Textbox(
                label="Which", lines=1, min_width=300, elem_id="erase-subject", elem_classes="kept"
            )
            self.erase = gr.Button("Erase…", size="md", scale=0, min_width=120)
        self.fault = fault_place()
        with gr.Column(visible=False, elem_id="erase-sure") as self.sure:
            self.question = gr.Markdown()
            self.retrain = gr.Checkbox(label="Then teach what remains, where it was learned")
            with gr.Row():
                self.yes_request = gr.Button("Yes, erase it", variant="stop", size="md")
                self.yes = gr.Button("Yes, erase it", variant="stop", size="md")
                self.no = gr.Button("Leave it as it is", size="md")
        self.listed = gr.Markdown(elem_id="certificates")
        self.chosen = gr.Dropdown([], label="Open a certificate", elem_id="certificate-chosen")
        self.certificate = gr.Markdown(elem_id="certificate")
        self.backups = BackupsForm(app, workspace)
        self._wire(app, workspace)

    def _wire(self, app: "App", workspace: gr.Dropdown) -> None:
        outputs = {
            *(
                self.tab,
                self.waiting,
                self.asked,
                self.request,
                self.subject,
                self.sure,
                self.question,
                self.retrain,
            ),
            *(self.yes_request, self.yes, self.chosen, self.certificate, self.listed),
            *self.backups.outputs,
        }

        bind = binder(app, may_administer, workspace, outputs)
        handler = at_desk(app, may_administer, self.show, silent=True)
        self.refresh = Refresh(handler, [self.chosen], outputs)
        fault = self.request_fault
        bind(self.approve.click, self.ask_request, self.request, fault=fault)
        bind(self.refuse.click, self.refuse_it, self.request, fault=fault)
        bind(self.erase.click, self.ask, self.kind, self.subject, fault=self.fault)
        bind(self.no.click, self.show, self.chosen)
        bind(self.chosen.input, self.show, self.chosen)
        # what was purged is struck from the certificate that is open
        bind(self.backups.done.change, self.open_it, self.chosen, silent=True)
        bind(self.yes_request.click, self.approve_it, self.request, self.retrain, fault=fault)
        typed = (self.kind, self.subject, self.retrain)
        bind(self.yes.click, self.erase_it, *typed, fault=self.fault)

    def show(self, desk: Desk, chosen: int | None = None) -> Updates:
        """Requests that wait in this workspace, and all certificates, the chosen one in full."""
        from assistant.erasure import settle

        settle(self._app, desk.db)
        everywhere = list_requests(desk.db)
        waiting = [item for item in everywhere if item.workspace_id == desk.workspace.id]
        return {
            self.tab: gr.update(label=f"Erasure ({len(everywhere)})" if everywhere else "Erasure"),
            self.waiting: table(
                ("Request", "What", "Which", "Judgements", "Learned by adapters", "Asked (UTC)"),
                [_waiting(desk, item) for item in waiting],
                empty="Nobody asks to be erased.",
            )
            + _elsewhere(desk, everywhere),
            self.asked: gr.update(visible=bool(waiting)),
            self.request: gr.update(choices=[item.id for item in waiting], value=None),
            self.sure: gr.update(visible=False),
            **self._certificates(desk, chosen),
            **self.backups.show(desk),
        }

    def _certificates(self, desk: Desk, chosen: int | None) -> Updates:
        """The list, and one as it reads now: a round on what remains may have ended since."""
        found = list_erasures(desk.db)
        over = {item.id: item for item in found if item.state == "done"}
        opened = over.get(chosen) if isinstance(chosen, int) else None
        facts = certificate(desk.db, self._app.datadir, opened) if opened else None
        return {
            self.listed: table(
                ("Certificate", "What", "Erased (UTC)", "Tainted adapters", "Verified"),
                [_done(item) for item in found],
                empty="Nothing was erased yet.",
            ),
            self.chosen: gr.update(
                choices=[(_label(item), item.id) for item in over.values()],
                value=opened.id if opened else None,
                visible=bool(over),
            ),
            self.certificate: plain_markdown(as_markdown(facts)) if facts else "",
        }

    def open_it(self, desk: Desk, chosen: int | None) -> Updates:
        """The chosen certificate as it reads now."""
        return self._certificates(desk, chosen)

    def ask_request(self, desk: Desk, chosen: int | None) -> Updates:
        """Is it this one?"""
        kind, subject = _what(self._asked(desk, chosen))
        return self._asking(kind, subject, of_request=True)

    def ask(self, desk: Desk, kind: str, subject: str | None) -> Updates:
        """Is it this one? Nothing is looked up yet."""
        if not (subject or "").strip():
            raise BadInput("Say which: a number, a conversation's id or a contributor.")
        return self._asking(str(kind), str(subject).strip(), of_request=False)

    def approve_it(self, desk: Desk, chosen: int | None, retrain: bool) -> Updates:
        """Yes to a person's request."""
        from assistant.erasure import approve

        item = self._asked(desk, chosen)
        known = approve(self._app, item.id, actor=desk.person.owner)
        return self._finished(desk, known, retrain)

    def erase_it(self, desk: Desk, kind: str, subject: str, retrain: bool) -> Updates:
        """Without a request."""
        from assistant.erasure import erase

        actor = desk.person.owner
        known, _ = erase(self._app, str(kind), (subject or "").strip(), actor=actor)
        return {**self._finished(desk, known, retrain), self.subject: ""}

    def refuse_it(self, desk: Desk, chosen: int | None) -> Updates:
        """No; nothing is erased."""
        refuse_request(desk.db, self._asked(desk, chosen).id, actor=desk.person.owner)
        return self.show(desk)

    def _finished(self, desk: Desk, known: Erasure, retrain: bool) -> Updates:
        """The certificate; the round on what remains goes on by itself, on the rounds tab."""
        from assistant.erasure import affected, begin_retraining, certify

        if retrain:
            actor = desk.person.owner
            for workspace_id in affected(desk.db, known):
                begin_retraining(self._app, known, workspace_id, actor=actor, dials=None)
            known = certify(self._app, desk.db, known.id)
        return self.show(desk, known.id)

    def _asking(self, kind: str, subject: str, *, of_request: bool) -> Updates:
        return {
            self.question: f"<p>Erase {one_line(kind)} <strong>{one_line(subject)}</strong> and "
            "all that was made of it? Adapters that learned from it never serve again. This "
            "cannot be undone.</p>",
            self.sure: gr.update(visible=True),
            self.retrain: False,
            self.yes_request: gr.update(visible=of_request),
            self.yes: gr.update(visible=not of_request),
        }

    def _asked(self, desk: Desk, chosen: int | None) -> ErasureRequest:
        """The request, if it is of the workspace that is shown."""
        if not isinstance(chosen, int):
            raise BadInput("Choose a request first.")
        item = erasure_request(desk.db, chosen)
        if item.workspace_id != desk.workspace.id:
            raise NotFound("There is no such request in this workspace.")
        return item


def _what(item: ErasureRequest) -> tuple[str, str]:
    return item.kind, item.subject


def _waiting(desk: Desk, item: ErasureRequest) -> tuple[Any, ...]:
    """The request, with what hangs on it."""
    scope = scope_of(desk.db, item.kind, item.subject)
    learned = ", ".join(map(str, scope.adapters)) or "none"
    return item.id, *_what(item), len(scope.feedback), learned, day_and_time(item.created_at)


def _elsewhere(desk: Desk, waiting: list[ErasureRequest]) -> str:
    """Where else somebody waits, so that a workspace nobody looks at is not forgotten; as HTML."""
    counts = Counter(
        item.workspace_id for item in waiting if item.workspace_id != desk.workspace.id
    )
    if not counts:
        return ""
    named = [f"{workspace_by_id(desk.db, id).name} ({count})" for id, count in counts.items()]
    return f'<p class="note">Requests wait in other workspaces: {one_line(", ".join(named))}.</p>'


def _label(item: Erasure) -> str:
    return f"{item.id} · {item.kind} · {day_and_time(item.erased_at)} UTC"


def _done(item: Erasure) -> tuple[Any, ...]:
    tainted = ", ".join(map(str, item.detail.get("adapters", ()))) or "none"
    over = item.state == "done"
    verified = ("yes" if item.detail.get("verified") else "no") if over else "not finished"
    return item.id, item.kind, day_and_time(item.erased_at), tainted, verified
