"""A reply that is asked for again where the server that gave it went away in its middle."""

from collections.abc import Iterator

from assistant.engines.protocol import Piece
from assistant.engines.remote_dialects import Asked
from assistant.engines.remote_server import BrokeOff


class Resumption:
    """One reply over several servers: what was told of it is not told again, nor contradicted."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self._text = ""
        self._tokens = 0
        self._chosen: list[int] = []

    def may_go_on(self) -> bool:
        """Whether another server would say the same from the beginning, or nothing was told yet."""
        sampling = self.asked.sampling
        begun = self._text or self._tokens
        return not begun or sampling.temperature <= 0 or sampling.seed is not None

    def told(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """What of `pieces`, the whole reply by one server, was not told before.

        Raises BrokeOff when it is another reply than the one that was begun: two are never mixed.
        """
        text, tokens, read = "", 0, 0
        for piece in pieces:
            text, tokens = text + piece.text, tokens + piece.tokens
            again = [one.token for one in piece.chosen]
            told = max(0, len(self._chosen) - read)  # of this piece's
            if not self._begun_so(text, piece) or again[:told] != self._chosen[read:][: len(again)]:
                raise BrokeOff(
                    "The model server broke off in the middle of the reply, and another one goes "
                    "on otherwise; what it had said is kept. Ask again."
                )
            new = Piece(
                text[len(self._text) :],
                max(0, tokens - self._tokens),
                piece.finish_reason,
                piece.chosen[told:],
            )
            read += len(again)
            self._chosen += again[told:]
            self._text, self._tokens = self._text + new.text, self._tokens + new.tokens
            if new.text or new.tokens or new.finish_reason:
                yield new

    def _begun_so(self, text: str, piece: Piece) -> bool:
        """Whether what was told and `text`, which ends with `piece`, can be one reply."""
        shorter = min(len(text), len(self._text))
        whole = piece.finish_reason is None or len(text) >= len(self._text)
        return whole and text[:shorter] == self._text[:shorter]
