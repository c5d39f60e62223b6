"""Why an answer was no good: what is ticked under a thumb down, and in the review queue."""

from collections.abc import Collection
from typing import Any

from assistant.chat_words import ENGLISH
from storage.errors import BadInput

REASONS = ("wrong", "incomplete", "not_in_documents", "wrong_format", "wrong_tone")
"""As `chat_words` calls them; their English text is what is stored."""


def known_reasons(given: Collection[Any]) -> list[str]:
    """Those of REASONS that are given, as a reviewer reads them: in English."""
    return [one for one in map(ENGLISH, REASONS) if one in given]


def named_reason(name: str) -> str:
    """The English text of a reason that was typed, by that text or as REASONS has it.

    BadInput for anything else.
    """
    for reason in REASONS:
        if name.strip().casefold() in (reason, ENGLISH(reason).casefold()):
            return ENGLISH(reason)
    raise BadInput(f"{name[:100]!r} is no reason: use one of {', '.join(REASONS)}.")
