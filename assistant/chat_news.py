"""What the chat page tells a person of their own corrections: that one is live, and in which
version."""

from datetime import UTC, datetime, timedelta

from assistant.chat_visit import Visit
from storage.contributions import learned_now, newest_live_correction
from storage.records import Feedback

TOLD = timedelta(days=7)
"""How long the empty page says so; under the corrected answer it always stands."""
_LENGTH = 80
"""Characters of the question that name the correction."""


def news(caller: Visit) -> str:
    """The caller's correction that came into service last, if that was lately; '' otherwise."""
    live = newest_live_correction(caller.db, caller.workspace.id, caller.person.owner)
    if live is None or datetime.now(UTC) - _time(live.live_at) > TOLD:
        return ""
    question = shortened(live.question)
    if live.adapter_id is None:
        return caller.words("news_approved", question=question)
    return caller.words("news_learned", question=question, version=live.adapter_id)


def learned_of(caller: Visit, feedback: list[Feedback]) -> dict[int, int]:
    """Which of these corrections the serving adapter has been taught: feedback id -> adapter id."""
    if not any(item.correction and item.status == "approved" for item in feedback):
        return {}
    return learned_now(caller.db, caller.workspace.id)


def shortened(text: str) -> str:
    """Text on one line, of at most 80 characters."""
    line = " ".join(text.split())
    return line if len(line) <= _LENGTH else line[: _LENGTH - 1].rstrip() + "…"


def _time(stored: str) -> datetime:
    return datetime.fromisoformat(stored.replace("Z", "+00:00"))
