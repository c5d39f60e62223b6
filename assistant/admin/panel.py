"""The admin page at `/admin`: a workspace on top, a tab for each thing that is decided."""

from contextlib import closing
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.admin.adapters import AdaptersTab
from assistant.admin.checks import ChecksTab
from assistant.admin.desk import QUIET, Refresh
from assistant.admin.documents import DocumentsTab
from assistant.admin.erasure import ErasureTab
from assistant.admin.feedback import FeedbackTab
from assistant.admin.gaps import GapsTab
from assistant.admin.rounds import RoundsTab
from assistant.security import identify, may_administer, may_review
from storage.workspaces import DEFAULT, list_workspaces

if TYPE_CHECKING:
    from assistant.app import App

UPLOADS_KEPT_S = 3600


def build_admin(app: "App") -> gr.Blocks:
    """The page, to be mounted behind a login."""
    with gr.Blocks(
        title="Apprentice · Admin",
        analytics_enabled=False,
        delete_cache=(UPLOADS_KEPT_S, UPLOADS_KEPT_S),
    ) as page:
        with gr.Row(elem_id="top"):
            gr.Markdown("Apprentice", elem_id="brand")
            workspace = gr.Dropdown([], label="Workspace", elem_id="workspace", min_width=180)
            gr.Button("Chat", link="/", size="sm", elem_id="to-chat")
            gr.Button("Log out", link="/logout", size="sm", elem_id="to-logout")
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Feedback") as feedback_tab:
                feedback = FeedbackTab(app, workspace)
            with gr.Tab("Gaps") as gaps_tab:
                gaps = GapsTab(app, workspace)
            with gr.Tab("Documents", visible=False) as documents_tab:
                documents = DocumentsTab(app, workspace)
            with gr.Tab("Checks", visible=False) as checks_tab:
                checks = ChecksTab(app, workspace)
            with gr.Tab("Rounds", visible=False) as rounds_tab:
                rounds = RoundsTab(app, workspace)
            with gr.Tab("Adapters", visible=False) as adapters_tab:
                adapters = AdaptersTab(app, workspace)
            with gr.Tab("Erasure", visible=False) as erasure_tab:
                erasure = ErasureTab(app, workspace, erasure_tab)
        tabs = {
            feedback_tab: feedback.refresh,
            gaps_tab: gaps.refresh,
            documents_tab: documents.refresh,
            checks_tab: checks.refresh,
            rounds_tab: rounds.refresh,
            adapters_tab: adapters.refresh,
            erasure_tab: erasure.refresh,
        }
        _wire(app, page, workspace, tabs)
    page.queue(default_concurrency_limit=8, max_size=128)
    return page


def _wire(app: "App", page: gr.Blocks, workspace: gr.Dropdown, tabs: dict[gr.Tab, Refresh]) -> None:
    """What is shown is fetched when a tab is opened and when the workspace changes.

    The first tab at once, and the last, whose label says how many people wait.
    """
    first, _, *admins_only = tabs  # reviewers see the first two

    def load(request: gr.Request) -> dict[Any, Any]:
        person = identify(request, app)
        if not may_review(person):
            raise gr.Error("Log in as a reviewer or an admin.", print_exception=False)
        asked = request.query_params.get("workspace") or DEFAULT
        with closing(app.db()) as db:
            choices = [(item.name, item.id) for item in list_workspaces(db)]
        chosen = dict(choices).get(asked, choices[0][1])
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
        if tab in (first, admins_only[-1]):
            loaded.success(refresh.handler, inputs, refresh.outputs, **QUIET)
