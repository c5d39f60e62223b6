"""Token ids of one reply to text, up to the end of the turn or a stop text."""

from collections.abc import Iterable, Sequence

from assistant.tokens import BROKEN, ChatTokenizer, PieceDecoder


class ReplyText:
    """Whole characters only; what may be the beginning of a stop text waits until it is not."""

    def __init__(self, tokenizer: ChatTokenizer, stop: Sequence[str]) -> None:
        self._decoder = PieceDecoder(tokenizer)
        self._end_ids = tokenizer.end_ids
        self._stop = tuple(text for text in stop if text)
        self._held = ""
        self.ended = False
        """The model ended its turn or a stop text came; nothing more is to be pushed."""

    def push(self, ids: Iterable[int]) -> str:
        """The text to show for `ids`; the stop text itself and what follows it is never shown."""
        for one in ids:
            if one in self._end_ids:
                self.ended = True
                return self.flush()
            self._held += self._decoder.push([one])
            cut = self._first_stop()
            if cut is not None:
                self.ended = True
                shown, self._held = self._held[:cut], ""
                return shown
        keep = self._beginning_of_a_stop()
        shown, self._held = self._held[: len(self._held) - keep], self._held[-keep:] if keep else ""
        return shown

    def flush(self) -> str:
        """What still waits, when nothing more comes; half a character at the end is dropped."""
        shown, self._held = self._held + self._decoder.flush().rstrip(BROKEN), ""
        cut = [at for text in self._stop if (at := shown.find(text)) >= 0]
        return shown[: min(cut)] if cut else shown

    def _first_stop(self) -> int | None:
        found = [at for text in self._stop if (at := self._held.find(text)) >= 0]
        return min(found) if found else None

    def _beginning_of_a_stop(self) -> int:
        """Length of the longest end of the held text that begins a stop text."""
        longest = min(len(self._held), max(map(len, self._stop), default=1) - 1)
        for size in range(longest, 0, -1):
            if any(text.startswith(self._held[-size:]) for text in self._stop):
                return size
        return 0
