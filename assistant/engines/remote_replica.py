"""One model server that holds adapters: loads them, and asks whether it really answers by them."""

import contextlib
import threading
from collections.abc import Iterator, Sequence

from assistant.engines.protocol import Chosen, EngineFailed, Piece, Sampling
from assistant.engines.remote_dialects import Asked, Dialect, Version
from assistant.engines.remote_server import RemoteServer
from assistant.proving import NATS, distance
from storage.errors import BadInput

PROBED = 4
"""Tokens that are asked after each loading."""
BESIDE = 64
"""Tokens at most of the reply beside which the base is asked once more; it is left after that."""
UNLOAD_S = 5.0
"""A server that is silent for longer is asked again later, and holds up no swap and no stop."""


class Replica:
    """A server and the adapters on it. Safe for many threads."""

    def __init__(self, server: RemoteServer, dialect: Dialect, probe: Sequence[int]) -> None:
        """`probe` is a short prompt, as token ids."""
        self.server, self.dialect = server, dialect
        self._probe = probe
        self._ours: set[Version] = set()  # loaded by us, so unloaded by us
        self._said: dict[Version, list[Chosen]] = {}
        self._lock = threading.RLock()

    @property
    def shown(self) -> str:
        """The address without what may be secret in it."""
        return self.server.shown

    def has(self, version: Version) -> bool:
        """Whether it was asked and answered by this adapter."""
        return version in self._said

    def hold(self, version: Version) -> list[Chosen]:
        """Load an adapter if it is not there, and what the server then says by it.

        Empty where it tells no likelihoods. Raises BadInput when it has no way to have the adapter
        or does not use it, EngineFailed when it cannot be asked.
        """
        with self._lock:
            if self.dialect.load(version):
                self._ours.add(version)
            base, own = self.likely(None), self.likely(version)
            if base and base == own:
                self.let_go(version)
                raise BadInput(
                    f"The model server {self.shown} answers by {version.name} exactly as by the "
                    "base model, so it does not use it: look into its log."
                )
            if base and not self._apart(version, base):
                self.let_go(version)
                raise BadInput(
                    f"The model server {self.shown} answers the base model's questions by an "
                    f"adapter while it answers others by {version.name}: start vLLM with a larger "
                    "--max-loras than adapters are loaded at once, such as 24, or on a GPU."
                )
            self._said[version] = own
            return own

    def let_go(self, version: Version) -> None:
        """Unload what we loaded; a server that is away is asked again by `look`."""
        with self._lock, contextlib.suppress(EngineFailed):
            self._said.pop(version, None)
            if version in self._ours:
                self.dialect.unload(version, UNLOAD_S)
                self._ours.discard(version)

    def returned(self, dialect: Dialect) -> None:
        """It was away and may be another server now: nothing that it said counts any more."""
        with self._lock:
            self.dialect = dialect
            self._said.clear()

    def look(self, wanted: set[Version], within: float) -> set[Version]:
        """What of `wanted` it has lost; what we loaded and nobody wants any more is unloaded.

        Raises EngineFailed when it does not say in `within` seconds what it has.
        """
        with self._lock:
            names = self.dialect.names(within)
            for version in {*self._said, *self._ours}:
                if version.name not in names:  # started again
                    self._said.pop(version, None)
                    self._ours.discard(version)
            for version in self._ours - wanted:  # away when it should have been unloaded
                self.let_go(version)
            return {version for version in wanted if not self.has(version)}

    def likely(self, version: Version | None) -> list[Chosen]:
        """Four tokens with their likelihoods; vLLM takes names that it does not know for nothing
        and answers by the base (vllm #34186)."""
        sampling = Sampling(max_tokens=PROBED, runners_up=True)
        asked = Asked(self._probe, version, sampling, PROBED, (), threading.Event())
        return [one for piece in self.pieces(asked) for one in piece.chosen]

    def _apart(self, version: Version, base: Sequence[Chosen]) -> bool:
        """Whether the base says the same amid a reply by the adapter.

        On a processor vLLM 0.32 gives the base's rows of a batch that has others too the weights in
        its last place for adapters, as soon as one is there (vllm #48421).
        """
        cancel = threading.Event()
        sampling = Sampling(max_tokens=BESIDE)
        beside = self.pieces(Asked(self._probe, version, sampling, BESIDE, (), cancel))
        try:
            next(beside, None)
            return alike(base, self.likely(None))
        finally:
            cancel.set()
            for _ in beside:  # so that the server is told
                pass

    def pieces(self, asked: Asked) -> Iterator[Piece]:
        """A reply of this server; see `Dialect`."""
        return self.dialect.pieces(asked)

    def close(self) -> None:
        """Unload what we loaded and leave the server."""
        with contextlib.suppress(EngineFailed):  # one that is away is asked once
            for version in self._ours:
                self.dialect.unload(version, UNLOAD_S)
        self.server.close()


def alike(one: Sequence[Chosen], other: Sequence[Chosen]) -> bool:
    """Whether two servers say the same, up to the first token that differs after an even chance."""
    for left, right in zip(one, other, strict=False):
        told = [
            {"likeliest": [[each.token, each.log_prob], *map(list, each.others)]}
            for each in (left, right)
        ]
        if distance(*told) > NATS:
            return False
        if left.token != right.token:
            break
    return True
