"""`POST /v1/feedback`: a judgement on an answer, into the same review queue as any other."""

from contextlib import closing
from typing import Annotated, Any

from fastapi import APIRouter, Header
from sqlite_utils import Database
from starlette.requests import Request

from assistant.api.answers import ID
from assistant.api.door import key_for, owner_of
from assistant.api.errors import ApiError
from assistant.api.models import usable
from assistant.api.requests import FeedbackRequest
from assistant.app import App
from storage.conversations import conversation, message
from storage.errors import NotFound
from storage.feedback import add_feedback
from storage.keys import Key


def feedback_routes(app: App) -> APIRouter:
    """The route, to be included."""
    routes = APIRouter()

    @routes.post("/feedback", summary="Judge an answer")
    def create(
        request: Request,
        given: FeedbackRequest,
        idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
    ) -> dict[str, Any]:
        """Saves a rating, reasons, a comment or a correction; a reviewer decides what is taught."""
        key = key_for(request, "feedback")
        sent = {one for one in (idempotency_key, given.idempotency_key) if one}
        if len(sent) > 1:
            raise ApiError(400, "Two idempotency keys are given: send one.")
        owner = owner_of(key, given.user)
        with closing(app.db()) as db:
            saved = add_feedback(
                db,
                message_id=_judged(db, key, given.message_id),
                origin="api",
                contributor=owner,
                rating=given.rating,
                reasons=given.reasons,
                comment=given.comment,
                correction=given.correction,
                idempotency_key="".join(f"api:{key.id}:{one}" for one in sent) or None,
            )
        return {
            "id": saved.id,
            "object": "feedback",
            "message_id": ID + saved.message_id,
            "status": saved.status,
        }

    return routes


def _judged(db: Database, key: Key, sent: str) -> str:
    """The message's own id; ApiError 404, alike for one that is missing and one not the key's."""
    try:
        found = message(db, sent.removeprefix(ID))
        where = conversation(db, found.conversation_id).workspace_id
    except NotFound:
        where = None
    if where is None or where not in {item.id for item in usable(db, key)}:
        raise ApiError(
            404, f"There is no answer {sent!r} for this key.", param="message_id"
        ) from None
    return found.id
