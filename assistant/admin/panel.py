"""The admin page at `/admin`: a workspace on top, a tab for each thing that is decided."""

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.admin.adapters import AdaptersTab
from assistant.admin.audit import AuditTab
from assistant.admin.checks import ChecksTab
from assistant.admin.desk import QUIET, Refresh, asked_workspace
from assistant.admin.documents import DocumentsTab
from assistant.admin.embed import EmbedTab
from assistant.admin.erasure import ErasureTab
from assistant.admin.feedback import FeedbackTab
from assistant.admin.gaps import GapsTab
from assistant.admin.keys import KeysTab
from assistant.admin.overrides import OverridesTab
from assistant.admin.overview import OverviewTab
from assistant.admin.rounds import RoundsTab
from assistant.admin.users import UsersTab
from assistant.admin.workspaces import WorkspacesTab
from assistant.lean_blocks import LeanBlocks
from assistant.security import identify, may_administer, may_see
from storage.workspaces import list_workspaces

if TYPE_CHECKING:
    from assistant.app import App

UPLOADS_KEPT_S = 3600
_EVERYBODY: Sequence[tuple[str, Callable[..., Any]]] = (
    ("Overview", OverviewTab),
    ("Feedback", FeedbackTab),
    ("Gaps", GapsTab),
    ("Overrides", OverridesTab),
)
"""What reviewers and viewers see; admins see the others too."""
_ADMINS: Sequence[tuple[str, Callable[..., Any]]] = (
    ("Documents", DocumentsTab),
    ("Checks", ChecksTab),
    ("Rounds", RoundsTab),
    ("Adapters", AdaptersTab),
    ("Embed", EmbedTab),
    ("Keys", KeysTab),
    ("Settings", WorkspacesTab),
    ("Users", UsersTab),
    ("Audit", AuditTab),
)


def build_admin(app: "App") -> gr.Blocks:
    """The page, to be mounted behind a login."""
    with LeanBlocks(
        title="Apprentice · Admin",
        analytics_enabled=False,
        delete_cache=(UPLOADS_KEPT_S, UPLOADS_KEPT_S),
    ) as page:
        with gr.Row(elem_id="top"):
            gr.Markdown("# Apprentice", elem_id="brand")
            workspace = gr.Dropdown([], label="Workspace", elem_id="workspace", min_width=180)
            gr.Button("Chat", link="/", size="sm", elem_id="to-chat")
            gr.Button("Log out", link="/logout", size="sm", elem_id="to-logout")
        with gr.Tabs(elem_id="tabs"):
            tabs = {}
            for title, make in (*_EVERYBODY, *_ADMINS):
                with gr.Tab(title, visible=(title, make) in _EVERYBODY) as tab:
                    tabs[tab] = make(app, workspace).refresh
            with gr.Tab("Erasure", visible=False) as tab:
                tabs[tab] = ErasureTab(app, workspace, tab).refresh
        _wire(app, page, workspace, tabs)
    page.queue(default_concurrency_limit=8, max_size=128)
    return page


def _wire(app: "App", page: gr.Blocks, workspace: gr.Dropdown, tabs: dict[gr.Tab, Refresh]) -> None:
    """What is shown is fetched when a tab is opened and when the workspace changes.

    The first two at once, since somebody who comes to review is faster than the page, and the
    last, whose label says how many people wait.
    """
    overview, feedback, *_ = tabs
    admins_only = list(tabs)[len(_EVERYBODY) :]

    def load(request: gr.Request) -> dict[Any, Any]:
        person = identify(request, app)
        if not may_see(person):
            raise gr.Error("Log in as an admin, a reviewer or a viewer.", print_exception=False)
        with closing(app.db()) as db:
            choices = [(item.name, item.id) for item in list_workspaces(db)]
            chosen = asked_workspace(db, request).id
        shown = gr.update(visible=may_administer(person))
        return {
            workspace: gr.update(choices=choices, value=chosen),
            **dict.fromkeys(admins_only, shown),
        }

    loaded = page.load(load, None, {workspace, *admins_only}, **QUIET)
    for tab, refresh in tabs.items():
        inputs = [workspace, *refresh.inputs]
        tab.select(refresh.handler, inputs, refresh.outputs, **QUIET)
        workspace.input(refresh.handler, inputs, refresh.outputs, **QUIET)
        if tab in (overview, feedback, admins_only[-1]):
            loaded.success(refresh.handler, inputs, refresh.outputs, **QUIET)
