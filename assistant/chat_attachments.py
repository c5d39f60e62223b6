"""Files in a conversation of the chat page: how they come and go, and what the page shows of them.

They come over addresses of our own, not over Gradio's: there anybody could fill the disk before
being asked who they are. `ui/attachments.js` sends them.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

import gradio as gr
from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from assistant.attaching import ATTACHMENT_BYTES, Unfit, attach, check_fit, shown_name
from assistant.chat_layout import Parts
from assistant.chat_view import one_line
from assistant.chat_visit import View, Visit, own_conversation, view_of, visit
from assistant.chat_words import Words, words_for
from assistant.guards import ATTACHMENT_PATH
from assistant.security import Person, identify, may_read, usable_workspace
from storage.attachments import attachment, attachments_of, remove_attachment
from storage.conversations import conversation
from storage.errors import ApprenticeError, NotFound
from storage.records import Workspace

if TYPE_CHECKING:
    from assistant.app import App

READ_AT_ONCE = 2
"""Files that are read at the same time; the others wait."""

Updates = dict[Any, Any]


def may_attach(workspace: Workspace, person: Person) -> bool:
    """Members alone: what the public sends stays out of the house."""
    return person.kind == "user" and workspace.settings.attachment_tokens > 0


class AttachmentEvents:
    """The line with the conversation's files; `opened` draws what names the open conversation."""

    def __init__(self, app: "App", parts: Parts, opened: Callable[[Visit, View], Updates]) -> None:
        self._app = app
        self._parts = parts
        self._opened = opened

    def wire(self, quiet: dict[str, Any]) -> None:
        """`ui/attachments.js` presses the hidden button once a file has come or gone."""
        talk, side, view = self._parts.talk, self._parts.side, self._parts.view
        changed = {view, talk.address, talk.files, talk.attach, *side.drawn()}
        talk.look.click(self.changed, [talk.attached, view], changed, **quiet)

    def changed(self, conversation_id: str, view: View, request: gr.Request) -> Updates:
        """The files of the conversation, which may be a new one."""
        view = view_of(view, request)
        with visit(self._app, request, view.workspace) as caller:
            known = own_conversation(caller, conversation_id or "")
            if view.conversation not in ("", known.id):  # another one was opened meanwhile
                return {}
            drawn = self._opened(caller, replace(view, conversation=known.id))
            if not view.conversation:
                drawn[self._parts.side.erase] = gr.update(visible=True)
            return {**drawn, **files_line(self._parts, caller, known.id)}


def files_line(parts: Parts, caller: Visit, conversation_id: str) -> Updates:
    """The conversation's files, and for `ui/attachments.js` what may be sent."""
    allowed = may_attach(caller.workspace, caller.person)
    given = attachments_of(caller.db, conversation_id) if conversation_id else []
    words = caller.words
    shown = f'<p class="note">{one_line(words("file_scope"))}</p>' if given else ""
    for file in given:
        name, remove = one_line(file.name), one_line(words("file_remove", name=file.name))
        shown += (
            f'<span class="file"><span class="file-name">{name}</span>'
            f'<button class="file-remove" value="{file.id}" aria-label="{remove}">×</button></span>'
        )
    if allowed:
        lost = one_line(words("file_lost"))
        shown += (
            f'<span class="unseen" id="file-most">{ATTACHMENT_BYTES}</span>'
            f'<span class="unseen" id="file-lost">{lost}</span>'
        )
    return {
        parts.talk.files: f'<div class="files">{shown}</div>',
        parts.talk.attach: gr.update(visible=allowed),
    }


# ---- the addresses


@dataclass(frozen=True)
class _Given:
    """A file that is on its way, from somebody who may give it here."""

    workspace: Workspace
    owner: str
    conversation: str | None
    name: str


def attachment_routes(app: "App") -> list[Route]:
    """The routes, to stand before the chat page's own."""
    readers = CapacityLimiter(READ_AT_ONCE)

    async def give(request: Request) -> Response:
        words = words_for(request)
        try:
            given = await run_in_threadpool(_announced, app, request)
            with NamedTemporaryFile(prefix="attached-") as file:
                await _receive(request, file, given.name)
                read = partial(attach, app, given.workspace, given.owner, given.conversation)
                path = Path(file.name)
                taken = await to_thread.run_sync(read, path, given.name, limiter=readers)
        except ClientDisconnect:
            return Response(status_code=400)
        except ApprenticeError as error:
            return _refusal(error, words)
        return JSONResponse({"conversation": taken.conversation_id, "name": taken.name})

    async def remove(request: Request) -> Response:
        try:
            return await run_in_threadpool(_remove, app, request)
        except ApprenticeError as error:
            return _refusal(error, words_for(request))

    return [
        Route(ATTACHMENT_PATH, give, methods=["POST"]),
        Route(ATTACHMENT_PATH + "/{id:int}", remove, methods=["DELETE"]),
    ]


def _announced(app: "App", request: Request) -> _Given:
    """What the address says of the file, before its bytes come; Unfit for what is refused."""
    asked = request.query_params
    person, name = identify(request, app), shown_name(asked.get("name", ""))
    with closing(app.db()) as db:
        found = usable_workspace(db, asked.get("workspace") or None, person)
        if found is None or not may_attach(found, person):
            raise Unfit("file_not_here")
        caller = Visit(db, person, found)
        known = asked.get("conversation") or None
        if known:
            own_conversation(caller, known)
        size = asked.get("size", "")
        check_fit(db, found, known, name, int(size) if size.isdecimal() else 1)
    return _Given(found, person.owner, known, name)


async def _receive(request: Request, file: Any, name: str) -> None:
    """The body into the file; its announced size is not believed."""
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > ATTACHMENT_BYTES:
            most = f"{ATTACHMENT_BYTES / 1e6:.0f}"
            raise Unfit("file_too_large", name=name, size=f"{size / 1e6:.0f}", most=most)
        file.write(piece)
    file.flush()


def _remove(app: "App", request: Request) -> Response:
    """Its owner takes a file away; anybody else is told that there is none."""
    person = identify(request, app)
    with closing(app.db()) as db:
        known = attachment(db, request.path_params["id"])
        if not may_read(conversation(db, known.conversation_id), person):
            raise NotFound(f"There is no attached file {known.id}: it may be removed.")
        remove_attachment(db, known.id)
    return JSONResponse({"conversation": known.conversation_id})


def _refusal(error: ApprenticeError, words: Words) -> Response:
    said = words(error.key, **error.values) if isinstance(error, Unfit) else words.of(str(error))
    status = 404 if isinstance(error, NotFound) else 400
    return JSONResponse({"error": said}, status)
