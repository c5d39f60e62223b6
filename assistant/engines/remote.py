"""A model server on this or another machine: the engine past one machine.

Adapters are loaded there under a name that only one version ever has, so a server that remembers
what it computed under a name never mixes two. Prompts go as token ids, as to every engine.
"""

import contextlib
import hashlib
import logging
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from assistant.engines.choose import PLAIN
from assistant.engines.protocol import (
    MAX_ADAPTERS,
    Chosen,
    EngineFailed,
    NotSupported,
    Piece,
    Sampling,
    adapter_missing,
    room_for_reply,
)
from assistant.engines.remote_dialects import Asked, Version, recognise, same_tokens
from assistant.engines.remote_place import RemotePlace
from assistant.engines.remote_server import AdapterGone, RemoteServer
from assistant.tokens import ChatTokenizer
from storage.errors import BadInput
from storage.models import BaseModel
from tuning.adapter_files import CONFIG, WEIGHTS, AdapterRefused, adapter_kind

log = logging.getLogger(__name__)


class Remote:
    """See `protocol.Engine`."""

    name = "remote"

    def __init__(self, base: BaseModel, *, threads: int, context: int, place: RemotePlace) -> None:
        """Ask the server what it is; `threads` is its own matter.

        Raises BadInput for an address that is none or a server with other tokens than `base`,
        EngineFailed when it is away, refuses the key or is no model server.
        """
        self._server = RemoteServer(place)
        try:
            tokenizer = ChatTokenizer(base.folder)
            self._probe = tokenizer.encode("List the orders of May.")
            self._dialect = recognise(self._server, place, base, tokenizer)
            self.same_tokens = same_tokens(self._server, place, tokenizer)
            """None where the server has no way to tell."""
            if self.same_tokens is False:
                raise BadInput(
                    f"The model server {self._server.shown} cuts text into other tokens than the "
                    f"base model {base.name}: serve that model there, or set APPRENTICE_BASE_MODEL."
                )
        except BaseException:
            self._server.close()
            raise
        self.kind = f"{self._dialect.kind} at {self._server.shown}"
        self.takes_adapters = self._dialect.takes_adapters
        self.context_length = min(context, self._dialect.context or context)
        self._known: dict[int, Version] = {}  # the one unused for longest first
        self._ours: set[Version] = set()  # loaded by us, so unloaded by us
        self._answering: Counter[Version] = Counter()
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def stream(
        self,
        prompt_ids: Sequence[int],
        adapter_id: int | None,
        sampling: Sampling,
        stop: Sequence[str],
        cancel: threading.Event,
    ) -> Iterator[Piece]:
        """See `protocol.Engine`."""
        room = room_for_reply(len(prompt_ids), sampling.max_tokens, self.context_length)
        version = None if adapter_id is None else self._use(adapter_id)
        return self._pieces(Asked(prompt_ids, version, sampling, room, stop, cancel))

    def load(self, adapter_id: int, folder: Path) -> None:
        """See `protocol.Engine`. Raises BadInput where the server has no way to have it."""
        try:
            kind = adapter_kind(folder)
        except AdapterRefused as error:
            raise BadInput(str(error)) from None
        if kind not in PLAIN:
            raise BadInput(
                f"Adapter {folder} is of the kind {kind}, which model servers cannot serve: use "
                "APPRENTICE_ENGINE=auto, or tune by lora or rslora."
            )
        with self._loading:
            if adapter_id in self.adapters():
                return
            version = Version(_name(adapter_id, folder), folder)
            self._hold(version)
            with self._lock:
                self._known[adapter_id] = version
                oldest = list(self._known)[:-MAX_ADAPTERS]
            for one in oldest:
                self.unload(one)

    def unload(self, adapter_id: int) -> None:
        """See `protocol.Engine`."""
        with self._lock:
            version = self._known.pop(adapter_id, None)
        if version is not None:
            self._let_go(version)

    def adapters(self) -> set[int]:
        """See `protocol.Engine`."""
        with self._lock:
            return set(self._known)

    def score(
        self, prompt_ids: Sequence[int], completion_ids: Sequence[int], adapter_id: int | None
    ) -> list[float]:
        """Always raises NotSupported."""
        raise NotSupported("remote gives no likelihoods: score with the torch_peft engine instead.")

    def close(self) -> None:
        """See `protocol.Engine`. The server goes on; adapters that we loaded are unloaded."""
        with self._lock:
            ours, self._ours = self._ours, set()
            self._known.clear()
        with contextlib.suppress(EngineFailed):  # one that is away is asked once
            for version in ours:
                self._dialect.unload(version)
        self._server.close()

    def _use(self, adapter_id: int) -> Version:
        with self._lock:
            if adapter_id not in self._known:
                raise adapter_missing(adapter_id, set(self._known))
            self._known[adapter_id] = self._known.pop(adapter_id)
            return self._known[adapter_id]

    def _hold(self, version: Version) -> None:
        if self._dialect.load(version):
            with self._lock:
                self._ours.add(version)
        base, own = self._likely(None), self._likely(version)
        if base and base == own:
            self._let_go(version)
            raise BadInput(
                f"The model server {self._server.shown} answers by {version.name} exactly as by "
                "the base model, so it does not use it: look into its log."
            )

    def _likely(self, version: Version | None) -> list[Chosen]:
        """Four tokens with their likelihoods; vLLM takes names that it does not know for nothing
        and answers by the base (vllm #34186)."""
        sampling = Sampling(max_tokens=4, runners_up=True)
        asked = Asked(self._probe, version, sampling, 4, (), threading.Event())
        return [one for piece in self._dialect.pieces(asked) for one in piece.chosen]

    def _pieces(self, asked: Asked) -> Iterator[Piece]:
        version = asked.version
        if version is not None:
            with self._lock:
                self._answering[version] += 1
        try:
            try:
                yield from self._dialect.pieces(asked)
            except AdapterGone:
                if version is None:
                    raise
                log.info("%s is loaded again: the model server has lost it", version.name)
                self._hold(version)
                yield from self._dialect.pieces(asked)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise self._server.rubbish(error) from error
        finally:
            if version is not None:
                with self._lock:
                    self._answering[version] -= 1
                self._let_go(version)

    def _let_go(self, version: Version) -> None:
        """Unload what nobody may ask for any more and no reply uses."""
        with self._lock:
            wanted = version in self._known.values() or self._answering[version] > 0
            if wanted or version not in self._ours:
                return
            self._ours.discard(version)
        with contextlib.suppress(EngineFailed):  # it has gone with a server that is away
            self._dialect.unload(version)


def _name(adapter_id: int, folder: Path) -> str:
    """A name that no other version has: what is computed under a name stays true."""
    content = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        content.update(hashlib.sha256((folder / name).read_bytes()).digest())
    return f"apprentice-{adapter_id}-{content.hexdigest()[:16]}"
