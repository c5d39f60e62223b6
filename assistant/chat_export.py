"""One's own conversation as a file: Markdown to read, JSON for programs.

The addresses are of our own, because Gradio's address for files is closed (`gradio_door`).
"""

import json
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from assistant.avatar import NAME, assistant_name
from assistant.chat_words import Words, words_for
from assistant.plain_pages import nothing_here_page
from assistant.security import identify, may_read, may_use
from storage.attachments import attached_text, attachments_of
from storage.conversations import conversation, feedback_of, open_thread
from storage.errors import NotFound
from storage.records import Conversation, Feedback, Message
from storage.workspaces import workspace_by_id

if TYPE_CHECKING:
    from assistant.app import App

_TYPES = {"md": "text/markdown; charset=utf-8", "json": "application/json"}


def export_address(conversation_id: str, form: str) -> str:
    """Where its owner fetches a conversation; `form` is md or json."""
    return f"/conversations/{conversation_id}.{form}"


def export_routes(app: "App") -> list[Route]:
    """The routes, to stand before the chat page's own."""

    async def export(request: Request) -> Response:
        return await run_in_threadpool(_export, app, request)

    return [
        Route(f"/conversations/{{id}}.{form}", export, methods=["GET"], name=form)
        for form in _TYPES
    ]


def _export(app: "App", request: Request) -> Response:
    """The file; to anybody but the owner the same answer as for one that never was."""
    person = identify(request, app)
    form = request.url.path.rpartition(".")[2]
    with closing(app.db()) as db:
        try:
            known = conversation(db, request.path_params["id"])
        except NotFound:
            return nothing_here_page(person.name)
        workspace = workspace_by_id(db, known.workspace_id)
        if not (may_read(known, person) and may_use(db, workspace, person)):
            return nothing_here_page(person.name)
        thread, feedback = open_thread(db, known.id), feedback_of(db, known.id)
        files = [(file, attached_text(db, file.id)) for file in attachments_of(db, known.id)]
    names = [file.name for file, _ in files]
    if form == "md":
        text = as_markdown(known, thread, words_for(request), names, assistant_name(workspace))
    else:
        facts = as_json(known, workspace.name, thread, feedback)
        facts["files"] = [{**asdict(file), "text": read} for file, read in files]
        text = json.dumps(facts, ensure_ascii=False, indent=1) + "\n"
    headers = {
        "Content-Disposition": f'attachment; filename="{_file_name(known)}.{form}"',
        "Cache-Control": "no-store",
    }
    return Response(text, media_type=_TYPES[form], headers=headers)


def as_markdown(
    known: Conversation,
    thread: list[Message],
    words: Words,
    files: Sequence[str] = (),
    name: str = NAME,
) -> str:
    """What was said, in order, with the names of the files and of the sources; `name` replies."""
    parts = [f"# {known.title or words('untitled')}", known.created_at[:10]]
    parts += [f"{words('files')}: {' · '.join(files)}"] if files else []
    for message in thread:
        if message.role == "system":
            continue
        who = words("you") if message.role == "user" else name
        parts += [f"**{who}**", message.content]
        names = [source["document"] for source in _sources(message)]
        if names:
            listed = " · ".join(f"[{nth}] {name}" for nth, name in enumerate(names, start=1))
            parts.append(f"{words('sources')}: {listed}")
    return "\n\n".join(parts) + "\n"


def as_json(
    known: Conversation, workspace: str, thread: list[Message], feedback: list[Feedback]
) -> dict[str, Any]:
    """The shown branch with the sources of each reply and the owner's corrections of it."""
    corrected = {item.message_id: item.correction for item in feedback if item.correction}
    return {
        "id": known.id,
        "title": known.title,
        "workspace": workspace,
        "created_at": known.created_at,
        "messages": [_message(item, corrected.get(item.id)) for item in thread],
    }


def _message(message: Message, correction: str | None) -> dict[str, Any]:
    said: dict[str, Any] = {
        "id": message.id,
        "role": message.role,
        "content": message.content,
        "created_at": message.created_at,
    }
    if message.role == "assistant":
        said |= {
            "sources": _sources(message),
            "adapter": message.adapter_id,
            "override": message.override_id,
            "finish_reason": message.finish_reason,
            "correction": correction,
        }
    return said


def _sources(message: Message) -> list[dict[str, str]]:
    passages = message.inputs.passages if message.inputs and message.override_id is None else ()
    return [{"document": one.document, "text": one.text} for one in passages]


def _file_name(known: Conversation) -> str:
    plain = re.sub("[^A-Za-z0-9]+", "-", known.title).strip("-")
    return plain[:60] or "conversation"
