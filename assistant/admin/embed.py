"""The chat on somebody's website: keys for it, the line to paste, and how it looks."""

import re
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import gradio as gr

from assistant.admin.desk import Desk, Refresh, Updates, at_desk, binder, fault_place
from assistant.admin.feedback_view import day_and_time
from assistant.admin.tables import table
from assistant.chat_view import one_line
from assistant.embed_visit import REACHABLE, websites
from assistant.security import may_administer
from storage.errors import BadInput, NotFound, Refused
from storage.keys import Key, create_key, list_keys, revoke_key
from storage.workspaces import set_workspace

if TYPE_CHECKING:
    from assistant.app import App

ACCENT = "#0f766e"
LANGUAGES = [("The page's own", "auto"), *((name, name) for name in ("en", "de", "es", "fr"))]
THEMES = [("The visitor's own", "auto"), ("Light", "light"), ("Dark", "dark")]
CORNERS = ["bottom-right", "bottom-left", "top-right", "top-left"]
CLOSED = '<p class="note">No preview: no website may show this workspace.</p>'


class EmbedTab:
    """Keys of the workspace that is shown, and the line of the chosen one."""

    def __init__(self, app: "App", workspace: gr.Dropdown) -> None:
        self._lay_out_keys()
        self._lay_out_line()
        dress = [self.title, self.accent, self.theme, self.language, self.corner]
        self.outputs = {
            self.said,
            self.list,
            self.chosen,
            self.name,
            self.origins,
            self.sources,
            self.line,
            self.preview,
            self.below,
        }
        bind = binder(app, may_administer, workspace, self.outputs)
        typed = [self.name, self.origins, self.per_day, self.per_visitor]
        bind(self.make.click, self.make_it, *typed, fault=self.fault)
        bind(self.revoke.click, self.revoke_it, self.chosen, fault=self.revoke_fault)
        bind(self.sources.input, self.set_sources, self.sources, self.chosen, *dress)
        for part in (self.chosen, *dress):
            bind(part.change, self.show_line, self.chosen, *dress, silent=True)
        self.refresh = Refresh(
            at_desk(app, may_administer, self.show, silent=True), [], self.outputs
        )

    def _lay_out_keys(self) -> None:
        with gr.Row(elem_id="embed-row"):
            self.name = gr.Textbox(
                label="Name",
                placeholder="Shop",
                max_lines=1,
                min_width=160,
                elem_id="embed-name",
                elem_classes="kept",
            )
            self.origins = gr.Textbox(
                label="Websites that may show it",
                info="Apart by spaces",
                placeholder="https://www.example.com",
                min_width=260,
                elem_id="embed-origins",
                elem_classes="kept",
            )
            self.per_day = gr.Number(
                label="Answers a day", info="0: any number", precision=0, min_width=140
            )
            self.per_visitor = gr.Number(
                label="Of one visitor", info="0: any number", precision=0, min_width=140
            )
            self.make = gr.Button(
                "Make a key", variant="primary", size="md", scale=0, min_width=130
            )
        self.fault = fault_place()
        self.said = gr.Markdown(elem_id="embed-said")
        self.list = gr.Markdown(sanitize_html=False, elem_id="embed-keys")
        self.sources = gr.Checkbox(label="Visitors may see the passages that an answer rests on")

    def _lay_out_line(self) -> None:
        with gr.Column(visible=False, elem_id="embed-below") as self.below:
            with gr.Row(elem_id="embed-chosen"):
                self.chosen = gr.Dropdown([], label="Key", min_width=200)
                self.revoke = gr.Button("Revoke it", size="md", scale=0, min_width=130)
            self.revoke_fault = fault_place()
            with gr.Row(elem_id="embed-look"):
                self.title = gr.Textbox(
                    label="Title", placeholder="Chat", max_lines=1, min_width=160
                )
                self.accent = gr.ColorPicker(label="Colour", value=ACCENT, min_width=100)
                self.theme = gr.Dropdown(THEMES, label="Light or dark", value="auto", min_width=180)
                self.language = gr.Dropdown(
                    LANGUAGES, label="Language", value="auto", min_width=200
                )
                self.corner = gr.Dropdown(CORNERS, label="Corner", value=CORNERS[0], min_width=200)
            self.line = gr.Code(
                label="Put this line into every page of the website",
                language="html",
                interactive=False,
                lines=1,
                wrap_lines=True,
                elem_id="embed-line",
            )
            self.preview = gr.Markdown(sanitize_html=False, elem_id="embed-preview")

    def show(self, desk: Desk) -> Updates:
        """The keys of the workspace, the newest first."""
        keys = _keys(desk)
        rows = [
            (
                key.name,
                ", ".join(websites(key, desk.workspace)),
                key.per_day or "any",
                key.per_visitor or "any",
                day_and_time(key.last_used_at) if key.last_used_at else "never",
            )
            for key in keys
        ]
        head = ("Name", "Websites", "Answers a day", "Of one visitor", "Last used (UTC)")
        names = [key.name for key in keys]
        return {
            self.said: _barred(desk),
            self.list: table(head, rows, empty="No website shows this workspace yet."),
            self.chosen: gr.update(choices=names, value=names[0] if names else None),
            self.sources: desk.workspace.settings.embed_sources,
            self.below: gr.update(visible=bool(names)),
        }

    def make_it(
        self,
        desk: Desk,
        name: str | None,
        origins: str | None,
        per_day: float | None,
        per_visitor: float | None,
    ) -> Updates:
        """A new key; its line is shown at once."""
        if said := _barred(desk):
            raise Refused(said)
        create_key(
            desk.db,
            name or "",
            kind="embed",
            workspace_id=desk.workspace.id,
            per_day=_limit(per_day),
            per_visitor=_limit(per_visitor),
            origins=(origins or "").split(),
            actor=desk.person.owner,
        )
        return {**self.show(desk), self.name: "", self.origins: ""}

    def revoke_it(self, desk: Desk, name: str | None) -> Updates:
        """The chat is gone from the websites of this key."""
        key = _key(desk, name)
        revoke_key(desk.db, key.name, actor=desk.person.owner)
        return {**self.show(desk), self.said: one_line(f"{key.name} is revoked: its button goes.")}

    def set_sources(self, desk: Desk, wanted: bool, *chosen: Any) -> Updates:
        """Whether passages leave the house at all; `data-sources` then shows them."""
        value = "true" if wanted else "false"
        name, actor = desk.workspace.name, desk.person.owner
        workspace = set_workspace(desk.db, name, "embed_sources", value, actor=actor)
        return self.show_line(replace(desk, workspace=workspace), *chosen)

    def show_line(
        self,
        desk: Desk,
        name: str | None,
        title: str | None,
        accent: str | None,
        theme: str | None,
        language: str | None,
        corner: str | None,
    ) -> Updates:
        """The line of the chosen key, and the chat as it will look."""
        if not name:
            return {self.line: "", self.preview: ""}
        key = _key(desk, name)
        chosen = {
            "title": (title or "").strip(),
            "accent": "" if accent == ACCENT else _hex(accent or ""),
            "theme": "" if theme == "auto" else theme or "",
            "lang": "" if language == "auto" else language or "",
            "position": "" if corner == CORNERS[0] else corner or "",
            "sources": "on" if desk.workspace.settings.embed_sources else "",
        }
        return {
            self.line: line_of(desk.server, key, chosen),
            self.preview: CLOSED if _barred(desk) else _framed(key, chosen),
        }


def line_of(server: str, key: Key, chosen: dict[str, str]) -> str:
    """The line for a website's pages; an option that is left empty is left out."""
    options = {"key": key.shown, **{name: value for name, value in chosen.items() if value}}
    said = "".join(f' data-{name}="{escape(value)}"' for name, value in options.items())
    return f'<script async src="{server}/widget.js"{said}></script>'


def _framed(key: Key, chosen: dict[str, str]) -> str:
    """The panel itself. It is live: what is asked there counts as any visitor's question."""
    told = escape(f"/embed/{key.shown}#{urlencode({**chosen, 'inline': 1})}")
    return f'<iframe class="chat-preview" title="Preview" src="{told}"></iframe>'


def _hex(colour: str) -> str:
    """`#rrggbb`, also of the `rgba(...)` that the colour picker sends."""
    parts = re.findall(r"\d+(?:\.\d+)?", colour)[:3] if colour.startswith("rgb") else []
    return "#" + "".join(f"{round(float(part)):02x}" for part in parts) if parts else colour


def _keys(desk: Desk) -> list[Key]:
    return [
        key
        for key in list_keys(desk.db)
        if key.kind == "embed" and key.workspace_id == desk.workspace.id and not key.revoked_at
    ]


def _key(desk: Desk, name: str | None) -> Key:
    for key in _keys(desk):
        if key.name == name:
            return key
    raise NotFound("Choose a key of this workspace first.")


def _barred(desk: Desk) -> str:
    """Why no website may show this workspace, if so."""
    workspace = desk.workspace
    if workspace.access in REACHABLE:
        return ""
    return (
        f"Only {workspace.access} may use {workspace.name}: "
        f"`apprentice workspaces set {workspace.name} access=embed` opens it to websites, "
        "and access=public to the chat page as well."
    )


def _limit(number: float | None) -> int | None:
    if number is not None and number < 0:
        raise BadInput(f"A limit cannot be {number:g}: give 1 or more, or 0 for none.")
    return int(number) if number else None
