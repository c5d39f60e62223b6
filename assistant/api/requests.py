"""What a client may send, as the OpenAPI page shows it.

Fields that OpenAI knows and that would change the answer, but cannot be done here, are refused by
name; others are let through unread, as they change nothing.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from assistant.api.errors import ApiError
from assistant.commands.rows import Turns, turns_of
from storage.errors import BadInput

MOST_MESSAGES = 1000
MOST_STOPS = 4
_OFF: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "tools": ([],),
    "functions": ([],),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "web_search_options": (),
}
"""Fields that may be sent only with a value that asks for nothing; null never does."""


class TextPart(BaseModel):
    """A part of a message; only text is read."""

    type: Literal["text"]
    text: str


class SentMessage(BaseModel):
    """One message. `developer` counts as `system`."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]


class StreamOptions(BaseModel):
    """What a stream ends with."""

    include_usage: bool | None = Field(None, description="One more chunk with the tokens used.")


class ChatRequest(BaseModel):
    """A question with what was said before it."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(description="A workspace, or `workspace@adapter`.", examples=["default"])
    messages: list[SentMessage] = Field(
        min_length=1,
        max_length=MOST_MESSAGES,
        description="Ending with the question. System messages are added to the workspace's own "
        "instructions.",
        examples=[[{"role": "user", "content": "How long may goods be returned?"}]],
    )
    stream: bool | None = Field(None, description="Send the answer as it is made, as SSE.")
    stream_options: StreamOptions | None = None
    max_completion_tokens: int | None = Field(
        None, ge=1, description="Tokens of the answer; the workspace's `max_tokens` at most."
    )
    max_tokens: int | None = Field(None, ge=1, description="The same, by its former name.")
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    seed: int | None = None
    stop: str | list[str] | None = Field(None, description=f"At most {MOST_STOPS} texts.")
    metadata: dict[str, Any] | None = Field(
        None,
        description="`conversation_id` goes on with a conversation of this key: what was said in "
        "it counts, and of `messages` only the question and the system messages.",
    )
    user: str | None = Field(
        None,
        max_length=200,
        description="Who asks, by an id of yours: conversations and judgements are then theirs, "
        "and can be erased by it.",
    )

    @property
    def most_tokens(self) -> int | None:
        """Tokens wanted at most."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop texts as a list. ApiError for too many."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        if len(stops) > MOST_STOPS:
            raise ApiError(400, f"There are {len(stops)} stop texts: give {MOST_STOPS} at most.")
        return tuple(stops)

    @property
    def turns(self) -> Turns:
        """The conversation that ends with the question. ApiError where it does not."""
        said = [{"role": _role(one), "content": _text(one)} for one in self.messages]
        try:
            turns = turns_of({"messages": said})
        except BadInput as error:
            raise ApiError(
                400, f"The request cannot be answered: {error}", param="messages"
            ) from error
        if turns.answer is not None:
            raise ApiError(
                400,
                "The last message is an answer: end with the user's question.",
                param="messages",
            )
        return turns

    def refuse_unsupported(self) -> None:
        """ApiError for a field that would change the answer and cannot be done."""
        for name, harmless in _OFF.items():
            value = (self.model_extra or {}).get(name)
            if value is not None and value not in harmless:
                raise ApiError(
                    400,
                    f"{name} is not supported here: leave it out.",
                    code="unsupported_parameter",
                    param=name,
                )


class FeedbackRequest(BaseModel):
    """A judgement on one answer: a rating, reasons, a comment, a correction, or several of them."""

    model_config = ConfigDict(extra="forbid")

    message_id: str = Field(
        description="The `id` of the completion.", examples=["chatcmpl-3f2a..."], max_length=100
    )
    rating: Literal[1, -1] | None = None
    correction: str | None = Field(None, description="The answer that was wanted.")
    reasons: list[str] = Field(default_factory=list, max_length=20)
    comment: str = ""
    user: str | None = Field(None, max_length=200, description="Who judges, by an id of yours.")
    idempotency_key: str | None = Field(
        None,
        max_length=200,
        description="Sent again with the same content it changes nothing; with another, 409. The "
        "header `Idempotency-Key` does the same.",
    )


def _role(message: SentMessage) -> str:
    return "system" if message.role == "developer" else message.role


def _text(message: SentMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part.text for part in message.content)
