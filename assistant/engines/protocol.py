"""What every engine does: token ids in, pieces of text out, an adapter chosen per request."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from storage.errors import ApprenticeError, BadInput, NotFound

EngineFinish = Literal["stop", "length", "interrupted"]

RUNNERS_UP = 8
"""Tokens that are told beside the one that was taken: an approved answer's next word is among the
first eight, or it is as good as impossible."""
REPEAT_LAST = 64
"""Tokens that `Sampling.repeat_penalty` looks back."""
MAX_ADAPTERS = 16
"""Adapters kept loaded; past it the one unused for longest goes. One costs 10 to 20 MB at 135M."""


class NotSupported(ApprenticeError):
    """This engine cannot do what was asked."""


class EngineFailed(ApprenticeError):
    """The engine stopped in the middle of a reply or could not start."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. Temperature 0 takes the likeliest one, always."""

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    repeat_penalty: float = 1.0
    """By this a token's logit is divided (multiplied below 0) that is among the last REPEAT_LAST
    tokens of prompt and reply (Keskar et al. 2019, arXiv:1909.05858); 1 is none."""
    schema: str | None = None
    """A JSON Schema, as text, to which the reply is held: no other token is taken. It may still end
    early, with `length`. An engine that cannot do this raises NotSupported."""
    runners_up: bool = False
    """Whether pieces tell how near the next likeliest tokens were; at temperature 0 only."""


@dataclass(frozen=True)
class Chosen:
    """A token that was taken and those that came behind, with natural-log probabilities."""

    token: int
    log_prob: float
    others: tuple[tuple[int, float], ...]
    """RUNNERS_UP of them, the likeliest first."""


@dataclass(frozen=True)
class Piece:
    """A stretch of a reply: whole characters, and how many tokens were read since the last piece.

    The last piece of a stream, and only it, has a finish reason: `stop` (the model ended its turn
    or a stop text came), `length` (max_tokens or the context is used up), `interrupted`.
    """

    text: str
    tokens: int
    finish_reason: EngineFinish | None = None
    chosen: tuple[Chosen, ...] = ()
    """With `Sampling.runners_up`: the tokens themselves, the one that ended the turn too."""


class Engine(Protocol):
    """Answers by one base model and any of the loaded adapters. Safe for many threads."""

    name: str
    context_length: int
    """Tokens of prompt and reply together, at most."""

    def stream(
        self,
        prompt_ids: Sequence[int],
        adapter_id: int | None,
        sampling: Sampling,
        stop: Sequence[str],
        cancel: threading.Event,
    ) -> Iterator[Piece]:
        """The reply to `prompt_ids`, by the pure base when `adapter_id` is None.

        Setting `cancel` ends it with `interrupted`; closing the iterator ends it at once; both
        free what it held. A reply that would pass the context ends there with `length`. Raises,
        before anything is sent, BadInput when the prompt leaves no room and NotFound for an
        adapter that is not loaded; EngineFailed when the engine breaks.
        """
        ...

    def load(self, adapter_id: int, folder: Path) -> None:
        """Make the verified adapter in `folder` answer as `adapter_id`; idempotent.

        No running stream is disturbed. Raises BadInput for files that cannot be used here.
        """
        ...

    def unload(self, adapter_id: int) -> None:
        """Forget an adapter; streams that use it end undisturbed. Unknown ids are ignored."""
        ...

    def adapters(self) -> set[int]:
        """Ids of the loaded adapters."""
        ...

    def score(
        self, prompt_ids: Sequence[int], completion_ids: Sequence[int], adapter_id: int | None
    ) -> list[float]:
        """Natural-log probability of each completion token after what is before it.

        Raises NotSupported where the engine cannot, and what `stream` raises.
        """
        ...

    def close(self) -> None:
        """Stop answering and free the model. Streams still running end with `interrupted`."""
        ...


def room_for_reply(prompt_tokens: int, max_tokens: int, context_length: int) -> int:
    """Tokens that a reply may have: `max_tokens`, or what the context leaves.

    Raises BadInput for an empty prompt, one that leaves no room, or a max_tokens below 1.
    """
    if not prompt_tokens:
        raise BadInput("The prompt is empty: ask something.")
    if max_tokens < 1:
        raise BadInput(f"max_tokens is {max_tokens}: ask for at least 1 token.")
    if prompt_tokens >= context_length:
        raise BadInput(
            f"The question with its passages and history is {prompt_tokens} tokens long, and the "
            f"model reads at most {context_length}, reply included: shorten the question or start "
            "a new conversation."
        )
    return min(max_tokens, context_length - prompt_tokens)


def adapter_missing(adapter_id: int, loaded: set[int]) -> NotFound:
    """The error for an adapter that is not loaded."""
    known = ", ".join(map(str, sorted(loaded))) or "none"
    return NotFound(
        f"Adapter {adapter_id} is not loaded (loaded: {known}): load it first, or ask the base."
    )
