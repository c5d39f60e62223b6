"""What the server writes down of itself: lines for people, or one JSON object per line.

No line quotes what somebody wrote. The text of an unforeseen error may, so of one only its kind and
where it happened are written, unless `APPRENTICE_LOG_DETAILS` asks for all of it.
"""

import json
import logging
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from traceback import extract_tb
from types import TracebackType
from typing import IO, Any

from assistant.settings import Settings
from storage.errors import ApprenticeError

REQUESTS = "assistant.requests"
"""The logger with a line for each request and reply; lines for people leave out what went well."""
TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being answered; "" elsewhere."""


def set_up_logs(settings: Settings, stream: IO[str] | None = None) -> logging.Handler:
    """Write what is logged to `stream` (stderr) as the settings say; returns what does."""
    handler = logging.StreamHandler(stream or sys.stderr)
    kind = _JsonLine if settings.log == "json" else _TextLine
    handler.setFormatter(kind(settings.log_details))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("assistant").setLevel(logging.INFO)
    usual = logging.INFO if settings.log == "json" else logging.WARNING
    logging.getLogger(REQUESTS).setLevel(usual)
    return handler


class _TextLine(logging.Formatter):
    def __init__(self, details: bool) -> None:
        super().__init__(TEXT)
        self._details = details

    def format(self, record: logging.LogRecord) -> str:
        copy = logging.makeLogRecord({**vars(record), "msg": self.said(record), "args": None})
        copy.exc_text = None  # another handler's, with the error's text in it
        fields = "".join(f" {key}={value}" for key, value in _fields(record).items())
        copy.msg += fields
        return super().format(copy)

    def said(self, record: logging.LogRecord) -> str:
        """The line's text, errors in it by their kind unless we wrote their sentence."""
        args = record.args
        if self._details or not args:
            return _one_line(record.getMessage())
        if isinstance(args, tuple):
            args = tuple(_harmless(one) for one in args)
        return _one_line(str(record.msg) % args)

    def formatException(self, ei: Any) -> str:
        return super().formatException(ei) if self._details else "\n".join(_where(ei[1]))


class _JsonLine(_TextLine):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "at": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "said": self.said(record),
            **({"request": request_id.get()} if request_id.get() else {}),
            **_fields(record),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = type(record.exc_info[1]).__name__
            line["where"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return getattr(record, "fields", {})


def _one_line(text: str) -> str:
    """The text with breaks and control characters as escapes: a name must not make a second line,
    move a terminal's cursor, or be half a character, which no stream can write."""
    escaped = (one if one.isprintable() else ascii(one)[1:-1] for one in text)
    return text if text.isprintable() else "".join(escaped)


def _harmless(value: object) -> object:
    """An error that is not one of our sentences by its kind alone; anything else as it is."""
    known = not isinstance(value, BaseException) or isinstance(value, ApprenticeError)
    return value if known else type(value).__name__


def _where(error: BaseException | None) -> Iterator[str]:
    """The error's kind and the places it came through, then the same of what led to it."""
    while error is not None:
        yield f"{type(error).__name__} (its text is left out), innermost last:"
        yield from _places(error.__traceback__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _places(trace: TracebackType | None) -> Iterator[str]:
    for frame in extract_tb(trace):
        yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
