"""Several model servers behind one address: an adapter is on every one of them, or does not serve.

Replies are asked for at the one address (a balancer); adapters are loaded, listed, asked and
unloaded at each server by itself. A thread looks at them all again and again: the names may stand
for other servers by now, and one that was started again has lost its adapters.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from assistant.engines.protocol import Chosen, EngineFailed
from assistant.engines.remote_dialects import Dialect, Version, recognise, same_tokens
from assistant.engines.remote_place import RemotePlace, ServerAddress, replica_addresses
from assistant.engines.remote_replica import Replica, alike
from assistant.engines.remote_server import Away, RemoteServer
from assistant.tokens import ChatTokenizer
from storage.errors import ApprenticeError, BadInput
from storage.models import BaseModel

log = logging.getLogger(__name__)
T = TypeVar("T")

LOOK_S = 5.0
"""Seconds in which a server must say what it has, or it counts as away."""
AT_ONCE = 16
"""Servers that are asked at the same time."""


@dataclass(frozen=True)
class Counts:
    """How many servers there are, how many of them answer, and how many have one adapter."""

    known: int
    up: int
    have: int


class Replicas:
    """The servers of one place. Safe for many threads."""

    def __init__(
        self, place: RemotePlace, base: BaseModel, tokenizer: ChatTokenizer, probe: Sequence[int]
    ) -> None:
        """Looks at them once, then every `place.look_every` seconds until `close`.

        Raises BadInput for an address that is none, a server of another model or one of llama.cpp,
        EngineFailed when none of them answers or one refuses the key.
        """
        self._place, self._base, self._tokenizer, self._probe = place, base, tokenizer, probe
        self.same_tokens: bool | None = True
        """None where one of them has no way to tell."""
        self._names: dict[str, list[ServerAddress]] = {}
        self._servers: dict[ServerAddress, RemoteServer] = {}
        self._replicas: dict[ServerAddress, Replica] = {}  # those that ever answered
        self._up: set[ServerAddress] = set()
        self._wanted: dict[Version, list[Chosen]] = {}  # what all of them say by it
        self._refused: dict[tuple[ServerAddress, Version], ApprenticeError] = {}
        self._wrong: dict[ServerAddress, Exception] = {}  # said once
        self._turn = count()
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._looked_at = 0.0
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="remote-replica")
        self._thread = threading.Thread(target=self._watch, name="remote-replicas", daemon=True)
        try:
            self._look(strict=True)
            if not self._up:
                raise self._none()
        except BaseException:
            self.close()
            raise
        self._thread.start()

    @property
    def takes_adapters(self) -> bool:
        """Whether adapters can be loaded into those that answer."""
        return all(one.dialect.takes_adapters for one in self.having(None))

    def counts(self, version: Version | None) -> Counts:
        """Of this moment; `have` counts those that were asked by the adapter, or for the base."""
        return Counts(len(self._servers), len(self._up), len(self.having(version)))

    def survey(self) -> list[tuple[str, set[str] | Exception]]:
        """Each server by its address: the names of the adapters that it has, or what is wrong."""
        with self._lock:
            them = [(one, self._servers[one].shown) for one in self._servers]
            up = {one: self._replicas[one] for one in self._up}
            wrong = dict(self._wrong)
        found: list[tuple[str, set[str] | Exception]] = []
        for one, shown in them:
            try:
                said = up[one].dialect.names(LOOK_S) if one in up else wrong[one]
            except EngineFailed as error:
                said = error
            found.append((shown, said))
        return found

    def having(self, version: Version | None) -> list[Replica]:
        """Those that answer and were asked by this adapter, each time another one first."""
        with self._lock:
            up = [self._replicas[one] for one in sorted(self._up, key=lambda one: one.url)]
        found = [one for one in up if version is None or one.has(version)]
        first = next(self._turn) % max(1, len(found))
        return [*found[first:], *found[:first]]

    def hold(self, version: Version) -> None:
        """Load an adapter everywhere and ask each server; those that are away get it later.

        Where one cannot have it, none keeps it. Raises BadInput when one has no way to have it,
        does not use it or answers otherwise than the others; EngineFailed when none is there.
        """
        with self._lock:
            self._wanted.setdefault(version, [])
        try:
            with self._looking:
                self._look()
            for error in self._against(version):
                raise error
            found = self.counts(version)
            if not found.have:
                raise self._none()
        except BaseException:
            self.let_go(version)
            raise
        if found.have < found.known:
            log.warning(
                "%s is on %d of %d model servers; the others get it when they answer",
                version.name,
                found.have,
                found.known,
            )

    def let_go(self, version: Version) -> None:
        """Unload it everywhere; a server that is away is asked when it is back."""
        with self._lock:
            self._wanted.pop(version, None)
            for key in [one for one in self._refused if one[1] == version]:
                del self._refused[key]
            them = list(self._replicas.values())
        self._each(lambda one: one.let_go(version), them)

    def restore(self) -> None:
        """Look at once, because one said that it lost an adapter; who waits for a look that began
        after that has its result."""
        asked = time.monotonic()
        with self._looking:
            if self._looked_at < asked:
                self._look()

    def close(self) -> None:
        """Unload what we loaded, everywhere."""
        if self._over.is_set():
            return
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(LOOK_S)
        with self._lock:
            self._up.clear()
            them, servers = list(self._replicas.values()), list(self._servers.values())
        self._each(lambda one: one.close(), them)
        self._pool.shutdown()
        for server in servers:
            server.close()

    def _none(self) -> Away:
        why = " ".join(map(str, self._wrong.values())) or "there is none."
        return Away(f"No model server can be asked: {why}")

    def _against(self, version: Version) -> list[Exception]:
        """What is wrong with servers that answer, and may be sent replies by the balancer."""
        with self._lock:
            refused = [error for (_, one), error in self._refused.items() if one == version]
            return [*refused, *(one for one in self._wrong.values() if not isinstance(one, Away))]

    def _watch(self) -> None:
        while not self._over.wait(self._place.look_every):
            try:
                with self._looking:
                    self._look()
            except RuntimeError:
                if not self._over.is_set():  # else closed in the middle of it
                    raise

    def _look(self, *, strict: bool = False) -> None:
        """Every server once. A `strict` look raises what a person must correct."""
        began = time.monotonic()
        self._names = replica_addresses(self._place.replicas, self._names)
        found = list(dict.fromkeys(one for each in self._names.values() for one in each))
        self._change(found)
        for address, fault in zip(found, self._each(self._look_at, found), strict=True):
            if fault is None:
                continue
            if strict and not isinstance(fault, Away):
                raise fault
            with self._lock:
                self._up.discard(address)
            self._tell(address, fault)
        self._looked_at = began

    def _change(self, found: Sequence[ServerAddress]) -> None:
        """Leave the servers that the names do not stand for any more, and know the new ones."""
        with self._lock:
            gone = [one for one in self._servers if one not in found]
            left = [(self._servers.pop(one), self._replicas.pop(one, None)) for one in gone]
            self._up.difference_update(gone)
            for one in gone:
                self._wrong.pop(one, None)
            for one in found:
                if one not in self._servers:
                    self._servers[one] = RemoteServer(self._place, at=one, waits=())
        for server, replica in left:
            log.info("the model server %s is not among the replicas any more", server.shown)
            (replica or server).close()

    def _look_at(self, address: ServerAddress) -> None:
        """Have one server what it should have. Raises what is wrong with it."""
        with self._lock:
            known = self._replicas.get(address)
            wanted = set(self._wanted)
            away = address not in self._up
        if known is None or away:
            dialect = self._recognised(self._servers[address])
            if known is None:
                known = Replica(self._servers[address], dialect, self._probe)
            known.returned(dialect)
        lost = known.look(wanted, LOOK_S)
        with self._lock:
            self._replicas[address] = known
            for version in {*wanted} - lost:
                self._refused.pop((address, version), None)
        for version in lost:
            self._hold(address, known, version)
        with self._lock:
            self._up.add(address)
        if self._wrong.pop(address, None):
            log.info("the model server %s is back", known.shown)

    def _recognised(self, server: RemoteServer) -> Dialect:
        server.ask("GET", "/v1/models", within=LOOK_S)  # one that is silent is left soon
        dialect = recognise(server, self._place, self._base, self._tokenizer)
        if dialect.kind == "llama.cpp":
            raise BadInput(
                f"{server.shown} is a llama.cpp server, which numbers its adapters by itself: "
                "several behind one address could answer by another one's. Leave "
                "APPRENTICE_REMOTE_REPLICAS empty and ask one, or serve by vLLM."
            )
        same = same_tokens(server, self._place, self._tokenizer)
        if same is None:
            self.same_tokens = None
        if same is False:
            raise BadInput(
                f"The model server {server.shown} cuts text into other tokens than the base model "
                f"{self._base.name}: serve that model there."
            )
        return dialect

    def _hold(self, address: ServerAddress, one: Replica, version: Version) -> None:
        """Load it there and compare with what the first that had it said. Raises Away."""
        try:
            said = one.hold(version)
            with self._lock:
                known = self._wanted.get(version)
                if not known and version in self._wanted:
                    known = self._wanted[version] = said
            if known is None:  # let go meanwhile
                one.let_go(version)
            elif not alike(known, said):
                one.let_go(version)
                raise BadInput(
                    f"The model server {one.shown} does not answer by {version.name} as the others "
                    "do: it has another base model, or sees other files at that path."
                )
        except Away:
            raise
        except ApprenticeError as error:
            with self._lock:
                before = self._refused.get((address, version))
                self._refused[address, version] = error
            if str(before) != str(error):
                log.warning("%s is not on %s: %s", version.name, one.shown, error)
            return
        with self._lock:
            self._refused.pop((address, version), None)
        log.info("%s is on %s", version.name, one.shown)

    def _tell(self, address: ServerAddress, fault: Exception) -> None:
        if str(self._wrong.get(address)) != str(fault):
            self._wrong[address] = fault
            log.warning("a model server does not count: %s", fault)

    def _each(self, work: Callable[[T], None], them: Sequence[T]) -> list[Exception | None]:
        """What went wrong with each; None where nothing did."""

        def tried(one: T) -> Exception | None:
            try:
                work(one)
            except (ApprenticeError, OSError) as error:
                return error
            return None

        return list(self._pool.map(tried, them))
