"""An engine of a few words, given as the likelihoods of what follows a beginning."""

import math

from assistant.engines.protocol import Chosen, Piece

END = 0


class Table:
    """A model of a few words, given as the likelihoods of what follows a beginning."""

    def __init__(self, table, usual=((END, 0.9), (9, 0.1))):
        self.table, self.usual, self.asked, self.words = table, usual, [], None
        self.taken = 0

    def text(self, ids):
        """A query, unless other words were given."""
        if self.words is None:
            return "select " + "".join(f"{one} " for one in ids)
        return "".join(self.words.get(one, "") for one in ids)

    def next(self, said):
        return sorted(self.table.get(said, self.usual), key=lambda one: -one[1])

    def stream(self, prompt_ids, adapter_id, sampling, stop, cancel):
        said = tuple(prompt_ids)
        self.asked.append(said)
        for place in range(sampling.max_tokens):
            self.said = place
            (token, first), *others = self.next(said)
            said = (*said, token)
            self.taken += 1
            others = tuple((other, math.log(chance)) for other, chance in others)
            chosen = (Chosen(token, math.log(first), others),)
            if cancel.is_set():
                yield Piece("", 0, "interrupted")
                return
            reason = "stop" if token == END else None
            if place == sampling.max_tokens - 1:
                reason = reason or "length"
            before, now = said[:-1], said if token != END else said[:-1]
            text = self.text(now)[len(self.text(before)) if before else 0 :]
            yield Piece(text, 1, reason, chosen if sampling.runners_up else ())
            if reason:
                return

    def likelihood(self, ids):
        found, said = 1.0, ()
        for token in ids:
            found *= dict(self.next(said)).get(token, 0.0)
            said = (*said, token)
        return found
