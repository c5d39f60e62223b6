"""An answer in the shapes of OpenAI's chat completions, whole or as the chunks of a stream."""

import time
from dataclasses import dataclass, field
from typing import Any

from assistant.app import App
from assistant.commands.ask import result
from assistant.reply import Done
from storage.records import Message

ID = "chatcmpl-"
_ALSO = ("sources", "override", "adapter", "engine", "declined", "relevance", "notices")
"""What `ask --json` says of an answer that OpenAI has no field for."""


@dataclass(frozen=True)
class Answers:
    """What is the same in every chunk of one answer."""

    app: App
    model: str
    message_id: str
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, done: Done) -> dict[str, Any]:
        """The answer as one JSON document."""
        message = {"role": "assistant", "content": done.message.content, "refusal": None}
        choice = {"message": message, "finish_reason": _reason(done.message)}
        return {**self._shape("chat.completion", choice), **self._end(done), **_usage(done.message)}

    def piece(self, **delta: str) -> dict[str, Any]:
        """A chunk with a piece of the answer."""
        return self._shape("chat.completion.chunk", {"delta": delta, "finish_reason": None})

    def last(self, done: Done) -> dict[str, Any]:
        """The chunk that says how it ended."""
        choice = {"delta": {}, "finish_reason": _reason(done.message)}
        return {**self._shape("chat.completion.chunk", choice), **self._end(done)}

    def usage(self, done: Done) -> dict[str, Any]:
        """The chunk after it, for who asked for the tokens used."""
        shape = self._shape("chat.completion.chunk", {})
        return {**shape, "choices": [], **_usage(done.message)}

    def _shape(self, kind: str, choice: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": ID + self.message_id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": [{"index": 0, "logprobs": None, **choice}],
        }

    def _end(self, done: Done) -> dict[str, Any]:
        said = result(self.app, done)
        more = {name: said[name] for name in (*_ALSO, "latency_ms", "ttft_ms")}
        return {
            "system_fingerprint": _fingerprint(done.message),
            "apprentice": {**more, "conversation_id": done.message.conversation_id},
        }


def _fingerprint(message: Message) -> str | None:
    """Base and adapter; None for an answer that no model made."""
    if message.base_fingerprint is None:
        return None
    return f"{message.base_fingerprint[:12]}-{message.adapter_id or 'base'}"


def _reason(message: Message) -> str:
    return "length" if message.finish_reason == "length" else "stop"


def _usage(message: Message) -> dict[str, Any]:
    prompt, completion = message.prompt_tokens or 0, message.completion_tokens or 0
    return {
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
    }
