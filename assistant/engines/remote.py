"""A model server on this or another machine: the engine past one machine.

Adapters are loaded there under a name that only one version ever has, so a server that remembers
what it computed under a name never mixes two. Prompts go as token ids, as to every engine.
"""

import logging
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from assistant.engines.choose import PLAIN
from assistant.engines.protocol import (
    MAX_ADAPTERS,
    EngineFailed,
    NotSupported,
    Piece,
    Sampling,
    adapter_missing,
    room_for_reply,
)
from assistant.engines.remote_dialects import Asked, Version, recognise, same_tokens, version_of
from assistant.engines.remote_place import RemotePlace
from assistant.engines.remote_replica import Replica
from assistant.engines.remote_replicas import LOOK_S, Counts, Replicas
from assistant.engines.remote_resumption import Resumption
from assistant.engines.remote_server import AdapterGone, BrokeOff, RemoteServer, Unreachable
from assistant.tokens import ChatTokenizer
from storage.errors import BadInput
from storage.models import BaseModel
from tuning.adapter_files import AdapterRefused, adapter_kind

log = logging.getLogger(__name__)

MAY_BREAK = 2
"""Servers that may go away in one reply; a question that brings them down is not sent to all."""


class Remote:
    """See `protocol.Engine`."""

    name = "remote"

    def __init__(self, base: BaseModel, *, threads: int, context: int, place: RemotePlace) -> None:
        """Ask the server what it is; `threads` is its own matter.

        Raises BadInput for an address that is none or a server with other tokens than `base`,
        EngineFailed when it is away, refuses the key or is no model server.
        """
        self._server = RemoteServer(place)
        self._replicas: Replicas | None = None
        try:
            tokenizer = ChatTokenizer(base.folder)
            probe = tokenizer.encode("List the orders of May.")
            if place.replicas.strip():
                # The balancer itself is asked for replies only: it may lead to one that is away.
                self._replicas = Replicas(place, base, tokenizer, probe)
                self.same_tokens = self._replicas.same_tokens
                dialect = self._replicas.having(None)[0].dialect.at(self._server)
            else:
                dialect = recognise(self._server, place, base, tokenizer)
                self.same_tokens = same_tokens(self._server, place, tokenizer)
            """None where the server has no way to tell."""
            if self.same_tokens is False:
                raise BadInput(
                    f"The model server {self._server.shown} cuts text into other tokens than the "
                    f"base model {base.name}: serve that model there, or set APPRENTICE_BASE_MODEL."
                )
            self._one = Replica(self._server, dialect, probe)
        except BaseException:
            if self._replicas:
                self._replicas.close()
            self._server.close()
            raise
        self.kind = f"{dialect.kind} at {self._server.shown}"
        self.takes_adapters = (self._replicas or dialect).takes_adapters
        self.context_length = min(context, dialect.context or context)
        self._known: dict[int, Version] = {}  # the one unused for longest first
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
        return self._pieces(self.asked(prompt_ids, adapter_id, sampling, stop, cancel))

    def asked(
        self,
        prompt_ids: Sequence[int],
        adapter_id: int | None,
        sampling: Sampling,
        stop: Sequence[str],
        cancel: threading.Event,
    ) -> Asked:
        """What `stream` asks a server for; raises what it raises before anything is sent."""
        room = room_for_reply(len(prompt_ids), sampling.max_tokens, self.context_length)
        version = None if adapter_id is None else self._use(adapter_id)
        return Asked(prompt_ids, version, sampling, room, stop, cancel)

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
            version = version_of(adapter_id, folder)
            (self._replicas or self._one).hold(version)
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
            self._known.clear()
        if self._replicas:
            self._replicas.close()
        self._one.close()

    def replicas_with(self, adapter_id: int | None) -> Counts | None:
        """How many servers have an adapter; None where there is one server only."""
        with self._lock:
            version = self._known.get(adapter_id) if adapter_id is not None else None
        if self._replicas is None:
            return None
        found = self._replicas.counts(version)
        return found if version or adapter_id is None else replace(found, have=0)

    def survey(self) -> list[tuple[str, set[str] | Exception]]:
        """Where there are several servers: the balancer before them, then each of them, with the
        adapters' names there or what is wrong."""
        return [self._balancer(), *self._replicas.survey()] if self._replicas else []

    def _balancer(self) -> tuple[str, set[str] | Exception]:
        """What it leads to; asked again where it leads to one that is away."""
        assert self._replicas is not None
        wrong: EngineFailed | None = None
        for _ in range(self._replicas.counts(None).known):
            try:
                return self._one.shown, self._one.dialect.names(LOOK_S)
            except EngineFailed as error:
                wrong = error
                if not isinstance(error, BrokeOff):
                    break
        return self._one.shown, wrong or set()

    def each(self) -> "list[OneServer]":
        """The servers that answer by all that is loaded, to be asked one by one."""
        them = self._replicas.having(None) if self._replicas else [self._one]
        return [OneServer(self, one) for one in them]

    def _use(self, adapter_id: int) -> Version:
        with self._lock:
            if adapter_id not in self._known:
                raise adapter_missing(adapter_id, set(self._known))
            self._known[adapter_id] = self._known.pop(adapter_id)
            return self._known[adapter_id]

    def _pieces(self, asked: Asked) -> Iterator[Piece]:
        version = asked.version
        if version is not None:
            with self._lock:
                self._answering[version] += 1
        try:
            yield from self._by_several(asked) if self._replicas else self._by_one(asked)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise self._server.rubbish(error) from error
        finally:
            if version is not None:
                with self._lock:
                    self._answering[version] -= 1
                self._let_go(version)

    def _by_one(self, asked: Asked) -> Iterator[Piece]:
        try:
            yield from self._one.pieces(asked)
        except AdapterGone:
            if asked.version is None:
                raise
            log.info("%s is loaded again: the model server has lost it", asked.version.name)
            self._one.hold(asked.version)
            yield from self._one.pieces(asked)

    def _by_several(self, asked: Asked) -> Iterator[Piece]:
        """The balancer's reply; where the server that it chose has lost the adapter or goes away,
        one that is known to have it is asked by itself."""
        assert self._replicas is not None
        reply = Resumption(asked)
        tries = [self._one]
        broken = 0
        for number in count():
            try:
                yield from reply.told(tries[number].pieces(asked))
                return
            except (AdapterGone, Unreachable, BrokeOff) as error:
                broken += isinstance(error, BrokeOff)
                if number == 0:
                    if isinstance(error, AdapterGone):
                        self._replicas.restore()
                    tries += self._replicas.having(asked.version)
                last = number + 1 == len(tries) or broken > MAY_BREAK
                if last or asked.cancel.is_set() or not reply.may_go_on():
                    raise
                log.info("%s; %s is asked instead", error, tries[number + 1].shown)

    def _let_go(self, version: Version) -> None:
        """Unload what nobody may ask for any more and no reply uses."""
        with self._lock:
            if version in self._known.values() or self._answering[version] > 0:
                return
        (self._replicas or self._one).let_go(version)


class OneServer:
    """One of several servers, asked as an engine is: for proofs."""

    def __init__(self, engine: Remote, server: Replica) -> None:
        self.name = engine.name
        self._engine, self._server = engine, server

    def stream(self, *request: Any) -> Iterator[Piece]:
        """See `protocol.Engine`."""
        return self._server.pieces(self._engine.asked(*request))
