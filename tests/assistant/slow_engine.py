"""An engine that takes its time, for tests that interrupt it: the tiny one is done in 0.1 s."""

from assistant.app import App
from assistant.engines.protocol import Piece


class SlowEngine:
    """The real engine behind it, but for a stream that goes on until it is told to stop."""

    def __init__(self, engine, seconds: float) -> None:
        self._engine = engine
        self._seconds = seconds
        self.running = 0

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def stream(self, prompt_ids, adapter_id, sampling, stop, cancel):
        self.running += 1
        try:
            while not cancel.wait(self._seconds):
                yield Piece("word ", 1)
            yield Piece("", 0, "interrupted")
        finally:
            self.running -= 1


class SlowApp(App):
    """An app that answers by the slow engine."""

    def _open_engine(self):
        return SlowEngine(super()._open_engine(), 0.02)
