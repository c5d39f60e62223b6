"""The same for `gradio_client`: one named endpoint of the chat page, behind the same keys."""

import threading
from collections.abc import Iterator
from typing import Any

import gradio as gr

from assistant.api.answers import ID
from assistant.api.chat import reply_events
from assistant.api.door import KeyRing, allowed
from assistant.api.errors import ApiError
from assistant.api.requests import ChatRequest
from assistant.app import App
from assistant.reply import Delta
from assistant.streams import Streams
from storage.conversations import new_id
from storage.errors import ApprenticeError

AT_ONCE = 8
"""Of the page's workers, the most that programs may take."""


def add_endpoint(app: App, ring: KeyRing, page: gr.Blocks) -> None:
    """Put `/chat` on the page; without a key in the `Authorization` header it answers nobody."""

    def ask(
        question: str, workspace: str, conversation: str, request: gr.Request
    ) -> Iterator[dict[str, Any]]:
        """The answer so far with its id and conversation, as often as there is more of it."""
        try:
            key = allowed(ring.admit(request.headers.get("authorization", "")), "chat")
            asked = ChatRequest.model_validate(
                {
                    "model": workspace,
                    "messages": [{"role": "user", "content": question}],
                    "metadata": {"conversation_id": conversation},
                }
            )
            reply_id, said = new_id(), ""
            for event in Streams().run(
                lambda left: reply_events(app, key, asked, reply_id, left), threading.Event()
            ):
                if isinstance(event, Delta):
                    said += event.text
                    yield {"answer": said, "id": ID + reply_id}
                else:
                    answer = event.message
                    yield {
                        "answer": answer.content,
                        "id": ID + answer.id,
                        "conversation": answer.conversation_id,
                    }
        except (ApiError, ApprenticeError) as error:
            raise gr.Error(str(error), print_exception=False) from None

    with page:
        gr.api(ask, api_name="chat", concurrency_limit=AT_ONCE)
