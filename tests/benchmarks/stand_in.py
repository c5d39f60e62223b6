"""A page in a process of its own with a model behind it that answers at once, for `bench_pages`
and `bench_load`.

    python -m tests.benchmarks.stand_in ours|bare FOLDER

`ours` is the whole server, its data in FOLDER; `bare` is `gr.ChatInterface` as its documentation
has it. Both say the same words in the same pieces at the same pace. The address is printed; it
ends when its standard input does.
"""

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from assistant.app import App
from assistant.engines.protocol import Piece
from assistant.serve import keep_for_good
from assistant.settings import read_settings
from assistant.under_way import AT_ONCE
from storage.datadir import open_datadir
from storage.workspaces import set_workspace
from tests.serving import served
from tests.tiny import make_tiny_base

PACE_S = 0.02
"""Seconds a piece: 50 tokens a second, which is what the base model does here."""
LETTERS = 4
"""A piece, as long as a token is on average."""
LONG = "Tell me everything."
"""What is answered at length."""
LITTLE = "Tell me a little about deliveries."
"""What is answered in fifty tokens; every other question is answered by a word."""
_PART = """
### How a delivery is counted, part {number}

A delivery is counted when the *last* of its parcels has arrived, **not** when it was sent. What
came late is told to the supplier within two days:

1. look the order up by its number,
2. compare the dates,
3. write down what is missing.

```python
def late(orders: list[dict], today: date) -> list[dict]:
    # a week is what the contract gives
    return [one for one in orders if (today - one["due"]).days > 7 and not one["closed"]]
```

| order | due | arrived | days late |
|---|---|---|---|
| 10{number}1 | 2026-03-01 | 2026-03-09 | 8 |
| 10{number}2 | 2026-03-04 | 2026-03-04 | 0 |
| 10{number}3 | 2026-03-05 | 2026-03-20 | 15 |
"""
LONG_REPLY = "".join(_PART.format(number=number) for number in range(1, 6))
"""About a thousand tokens, with headings, lists, code and tables."""
LITTLE_REPLY = LONG_REPLY[: 50 * LETTERS].strip()
LAST = "1053"
"""The number of the last order in it."""


def pieces(question: str) -> Iterator[str]:
    """The reply to a question, piece after piece."""
    whole = LONG_REPLY if LONG in question else LITTLE_REPLY if LITTLE in question else ""
    if not whole:
        yield "Yes."
    for at in range(0, len(whole), LETTERS):
        time.sleep(PACE_S)
        yield whole[at : at + LETTERS]


class StandIn:
    """The tiny engine, but for what it says."""

    def __init__(self, engine: Any, read: Any) -> None:
        self._engine = engine
        self._read = read

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def stream(self, prompt_ids: Any, *rest: Any) -> Iterator[Piece]:
        """What `pieces` says to the question at the end of the prompt, until it is cancelled."""
        cancelled = rest[-1]
        for piece in pieces(self._read(list(prompt_ids))):
            if cancelled.is_set():
                yield Piece("", 0, "interrupted")
                return
            yield Piece(piece, 1)
        yield Piece("", 0, "stop")


class StandInApp(App):
    """The app with that engine."""

    def _open_engine(self) -> Any:
        return StandIn(super()._open_engine(), self.tokenizer.decode)


def main() -> int:
    """Serves until standard input ends."""
    serve = {"ours": ours, "bare": bare}[sys.argv[1]]
    serve(Path(sys.argv[2]))
    return 0


def ours(folder: Path) -> None:
    """The house, open to everybody."""
    base = make_tiny_base(folder / "base").folder
    settings = read_settings(data=folder / "data", base_model=str(base), threads=1)
    app = StandInApp(settings, open_datadir(settings.data))
    with closing(app), closing(app.db()) as db, served(app) as url:
        set_workspace(db, "default", "access", "public")
        keep_for_good()  # as `serve` does
        _until_the_end(url)


def bare(folder: Path) -> None:
    """The opponent."""
    import gradio as gr

    def answer(question: str, history: list[Any]) -> Iterator[str]:
        said = ""
        for piece in pieces(question):
            said += piece
            yield said

    # as many at once as the house takes; without the setting it answers one after another
    page = gr.ChatInterface(answer, analytics_enabled=False, concurrency_limit=AT_ONCE)
    where = {"server_name": "127.0.0.1", "server_port": _free_port()}
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **where)
    _until_the_end(url.rstrip("/"))
    page.close()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _until_the_end(url: str) -> None:
    print(url, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    sys.exit(main())
