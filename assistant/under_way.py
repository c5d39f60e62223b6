"""The replies that are being made now, whoever asked: counted, and ended when the server stops."""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from storage.errors import ApprenticeError
from storage.records import Message

if TYPE_CHECKING:
    from assistant.reply import ReplyEvent

SAVING_S = 1.0
"""How long replies that were cut off get to be saved."""
LOOK_S = 0.02
AT_ONCE = 32
"""Replies that the engine is asked for at once: it has fewer slots, and is never far from full."""
PREPARED_AT_ONCE = 3
"""Questions that are saved and looked up at once: more take the interpreter from the loop."""
LEFT_S = 0.5
"""How long one who waits in line and was told to stop may stand there still."""

Heard = Callable[[str, Message | None], None]
"""Told how a reply ended: its finish reason with the saved reply, `refused`, `failed`, or
`interrupted` without it where the reader left."""


class Stopping(ApprenticeError):
    """The server is being stopped and begins nothing more."""


class UnderWay:
    """All replies of one app; threads may share it."""

    def __init__(self) -> None:
        self.stopping = False
        self.preparing = threading.BoundedSemaphore(PREPARED_AT_ONCE)
        """Held while a question is saved and what belongs to it is looked up."""
        self._heard: list[Heard] = []
        self._speaking: dict[threading.Event, bool] = {}
        self._where: dict[threading.Event, int] = {}
        self._lock = threading.Lock()
        self._made = 0
        self._line: deque[threading.Event] = deque()

    def on_end(self, heard: Heard) -> None:
        """Have `heard` called whenever a reply ends."""
        self._heard.append(heard)

    def count(self, *, speaking: bool) -> int:
        """Replies that have begun to say something, or that still wait for their first word."""
        with self._lock:
            return sum(one == speaking for one in self._speaking.values())

    def in_line(self, asked: int) -> int:
        """How many have no word of an answer, of all questions or the `asked` that somebody counted
        before they came here; 0 while there is room for all."""
        asked = max(asked, len(self._speaking))
        return 0 if asked < AT_ONCE else max(0, asked - self.count(speaking=True))

    def before(self, cancel: threading.Event) -> int:
        """How many were asked for before this reply and have not said a word either; 0 while there
        is room for all."""
        with self._lock:
            if len(self._speaking) <= AT_ONCE:
                return 0
            waiting = [one for one, speaks in self._speaking.items() if not speaks]
        return waiting.index(cancel) if cancel in waiting else 0

    @contextmanager
    def asked(self, cancel: threading.Event) -> Iterator[None]:
        """A question from its first moment on, before anything is looked up for it."""
        with self._lock:
            self._speaking[cancel] = False
        try:
            yield
        finally:
            with self._lock:
                self._speaking.pop(cancel, None)

    @contextmanager
    def turn(self, cancel: threading.Event) -> Iterator[None]:
        """One of AT_ONCE places at the engine, in the order of asking; at once if `cancel` is set.

        What is known without the engine needs none.
        """
        mine = threading.Event()
        with self._lock:
            if self._made < AT_ONCE:
                self._made += 1
                mine.set()
            else:
                self._line.append(mine)
        while not (mine.wait(LEFT_S) or cancel.is_set()):
            pass
        try:
            yield
        finally:
            self._give_on(mine)

    def _give_on(self, mine: threading.Event) -> None:
        """The place to the next in line; who left the line had none."""
        with self._lock:
            if not mine.is_set():
                self._line.remove(mine)
            elif self._line:
                self._line.popleft().set()
            else:
                self._made -= 1

    def follow(
        self, events: Iterator["ReplyEvent"], cancel: threading.Event, workspace_id: int = 0
    ) -> Generator["ReplyEvent", None, None]:
        """What `events` gives. Stopping, before the first, once the server is being stopped."""
        with self._lock:
            if self.stopping:
                raise Stopping("The server is being stopped: ask again in a minute.")
            self._speaking[cancel] = False
            self._where[cancel] = workspace_id
        how, saved = "interrupted", None
        try:
            with closing(events):  # type: ignore[type-var]
                for event in events:
                    saved = getattr(event, "message", None)
                    self._speaking[cancel] = True
                    how = (saved and saved.finish_reason) or how
                    yield event
        except ApprenticeError:
            how = "refused"
            raise
        except Exception:
            how = "failed"
            raise
        finally:
            with self._lock:
                self._speaking.pop(cancel, None)
                self._where.pop(cancel, None)
            for heard in self._heard:
                heard(how, saved)

    def drain(self, seconds: float) -> int:
        """Begin no more replies, give those there are `seconds`, then cut the rest off.

        Returns how many were cut off; what they had said is saved as interrupted.
        """
        with self._lock:
            self.stopping = True
        self._wait(seconds)
        with self._lock:
            left = list(self._speaking)
        for cancel in left:
            cancel.set()
        self._wait(SAVING_S)
        return len(left)

    def end_in(self, workspace_id: int, seconds: float, *, cut: bool) -> int:
        """Give a workspace's replies `seconds`, then `cut` the rest off, which is saved.

        Returns how many there still were after the seconds. Others may begin meanwhile.
        """
        self._wait_in(workspace_id, seconds)
        left = self._of(workspace_id)
        if cut and left:
            for cancel in left:
                cancel.set()
            self._wait_in(workspace_id, SAVING_S)
        return len(left)

    def _of(self, workspace_id: int) -> list[threading.Event]:
        with self._lock:
            return [cancel for cancel, where in self._where.items() if where == workspace_id]

    def _wait_in(self, workspace_id: int, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self._of(workspace_id) and time.monotonic() < end:
            time.sleep(LOOK_S)

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self._speaking and time.monotonic() < end:
            time.sleep(LOOK_S)
