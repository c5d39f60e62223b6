"""The dense index on a Chroma server: its Rust server, or Chroma Cloud.

What it holds is made again from SQLite, so a server that is away costs nothing but time: documents
are found by their words until it answers. Collections are named by the install that owns them.
"""

import logging
import re
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from json import JSONDecodeError
from typing import Any, TypeVar

import chromadb
import httpx
from chromadb.api import ClientAPI
from chromadb.config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings
from chromadb.errors import ChromaError, NotFoundError, UniqueConstraintError

from knowledge.chroma_place import ChromaPlace, IndexAway
from knowledge.dense import GRAPH, DenseIndex, copy_vectors

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

AT_ONCE = 300
"""Vectors in one call: what Chroma Cloud takes and gives at most."""
CONNECT_S, ANSWER_S = 3.0, 15.0
"""Seconds for a connection, and of silence, until the server counts as away."""
REST_S = 10.0
"""So long after that nobody else waits for it; longer than between two looks of the server's."""
PATIENCE_S = 12.0
"""So long a write is tried again: a server that is started anew is back in a second or two."""
_MAY_PASS = (
    *(httpx.NetworkError, httpx.RemoteProtocolError),
    *(NotFoundError, UniqueConstraintError),
)
"""A connection of before a restart, a collection that is another by now, two who made one."""


class _NotOpened(Exception):
    """Chroma's client refused to open, with its reason."""


class ServerIndex(DenseIndex):
    """Our collections on a Chroma server. It is asked at the first call, not before.

    Many calls at once. Lost collections and a time away set `rebuilt`.
    """

    def __init__(self, place: ChromaPlace) -> None:
        super().__init__()
        self.place = place
        self._client: ClientAPI | None = None
        self._handles: dict[str, Any] = {}
        """Chroma's collections by our name: asking for each before each call doubled its time."""
        self._away: IndexAway | None = None
        self._rests_until = 0.0

    @property
    def away(self) -> bool:
        """Whether it did not answer when it was last asked."""
        return self._away is not None

    def answers(self) -> bool:
        """Whether it answers now; asks it, and tells nobody."""
        try:
            self._tried(lambda: self._opened().heartbeat())
        except IndexAway:
            return False
        return True

    def version(self) -> str:
        """What the server says it is; raises IndexAway."""
        return self._tried(lambda: str(self._opened().get_version()))

    def collections(self) -> list[str]:
        """The names of all our collections, without the prefix."""
        return self._call(lambda: sorted(self._named(found.name) for found in self._listed()))

    def drop(self, collection: str) -> None:
        """Remove a collection with all its vectors; an unknown one is no error."""

        def write() -> None:
            self.reached = {}
            self._handles.pop(collection, None)
            self._remove(self._full(collection))

        self._write(write)

    def rewrite(self) -> None:
        """Copy each collection and delete the old one: Chroma only marks a deleted vector.

        What is lost by a crash meanwhile, or was written to the old one, is filled again.
        """

        def move() -> None:
            client = self._opened()
            for found in self._listed():
                draft = f"{found.name}.new"
                self._remove(draft)
                fresh = self._created(draft)
                copy_vectors(found, partial(_put, fresh))
                client.delete_collection(found.name)
                fresh.modify(name=found.name)
            self._handles = {}

        self.rebuilt = True
        self._write(move)

    def close(self) -> None:
        """Let the connections go."""
        with self._lock:
            client, self._client = self._client, None
            self._handles = {}
        if client is not None:
            client.close()

    def _listed(self) -> list[Any]:
        """Our collections; of drafts that a crash left, nothing is said."""
        found: list[Any] = []
        client = self._opened()
        while page := client.list_collections(limit=AT_ONCE, offset=len(found)):
            found += page
            if len(page) < AT_ONCE:
                break
        ours = f"{self.place.prefix}."
        return [one for one in found if one.name.startswith(ours) and not one.name.endswith(".new")]

    def _full(self, collection: str) -> str:
        return f"{self.place.prefix}.{collection}"

    def _named(self, full: str) -> str:
        return full.removeprefix(f"{self.place.prefix}.")

    def _remove(self, full: str) -> None:
        with suppress(NotFoundError):
            self._opened().delete_collection(full)

    def _created(self, full: str) -> Any:
        return self._opened().get_or_create_collection(
            full, embedding_function=None, configuration={"hnsw": GRAPH}
        )

    def _most(self) -> int:
        return min(AT_ONCE, int(self._opened().get_max_batch_size()))

    def _made(self, collection: str) -> Any:
        found = self._handles.get(collection)
        if found is None:
            found = self._handles[collection] = self._created(self._full(collection))
        return found

    def _known(self, collection: str) -> Any:
        found = self._handles.get(collection)
        if found is None:
            full = self._full(collection)
            try:
                found = self._opened().get_collection(full, embedding_function=None)
            except NotFoundError:
                return None
            self._handles[collection] = found
        return found

    def _call(self, work: Callable[[], _Result]) -> _Result:
        """Do it. Raises IndexAway, at once while nobody is to wait for the server."""
        if self._away and time.monotonic() < self._rests_until:
            raise IndexAway(str(self._away))
        return self._tried(work)

    def _write(self, work: Callable[[], _Result]) -> _Result:
        """Do it, again and again for some seconds: whoever writes can wait for a restart."""
        give_up, pause = time.monotonic() + PATIENCE_S, 0.2
        while True:
            try:
                return self._tried(work)
            except IndexAway:
                if time.monotonic() + pause > give_up:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, 2.0)

    def _tried(self, work: Callable[[], _Result]) -> _Result:
        """Do it; once more where that may help."""
        try:
            try:
                result = work()
            except _MAY_PASS:
                self.rebuilt = True
                self._forget()
                result = work()
        except (httpx.HTTPError, ChromaError, JSONDecodeError, _NotOpened) as error:
            raise self._gone(error) from error
        except Exception as error:
            # what a balancer or a proxy answers instead is an Exception of no other class
            if type(error) is not Exception:
                raise
            raise self._gone(error) from error
        if self._away:
            self._away = None
            log.info("the Chroma server at %s answers again", self.place.shown)
        return result

    def _forget(self) -> None:
        """Look anew for collections, and compare all that is in them."""
        self._handles = {}
        self.reached = {}

    def _gone(self, error: Exception) -> IndexAway:
        """What people are told; vectors that were to be written meanwhile are looked for."""
        self.rebuilt = True
        self._forget()
        away = IndexAway(f"The Chroma server at {self.place.shown} {_why(error)}.")
        if self._away is None:
            log.warning("%s Documents are found by words until it answers.", away)
        self._away, self._rests_until = away, time.monotonic() + REST_S
        return away

    def _opened(self) -> ClientAPI:
        asked = time.monotonic()
        with self._lock:
            if self._client is None:
                if self._away and self._rests_until - REST_S > asked:
                    raise IndexAway(str(self._away))  # somebody else waited for it meanwhile
                self._client = _connect(self.place)
            return self._client


def _connect(place: ChromaPlace) -> ClientAPI:
    host, port, tls = place.address
    headers = {}
    if place.token:  # the first is Chroma Cloud's, the other what a proxy before a server asks for
        headers = {"x-chroma-token": place.token, "Authorization": f"Bearer {place.token}"}
    httpx.get(f"{place.shown}/api/v2/heartbeat", headers=headers, timeout=CONNECT_S)
    try:
        client = chromadb.HttpClient(
            host=f"[{host}]" if ":" in host else host,
            port=port,
            ssl=tls,
            headers=headers,
            settings=Settings(anonymized_telemetry=False),
            tenant=place.tenant or DEFAULT_TENANT,
            database=place.database or DEFAULT_DATABASE,
        )
    except ValueError as error:
        raise _NotOpened(str(error)) from error
    # it would wait for ever for a server that has stopped answering, and has no setting for that
    client._server._session.timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
    return client


def _put(target: Any, ids: list[int], embeddings: Any, hashes: list[str]) -> None:
    notes = [{"hash": hash} for hash in hashes]
    target.upsert(ids=[str(id) for id in ids], embeddings=embeddings, metadatas=notes)


def _why(error: Exception) -> str:
    """What is wrong, in the server's own words where it has some, and what to do."""
    if isinstance(error, httpx.TimeoutException):
        return "does not answer in time: look at it, or at APPRENTICE_CHROMA_URL"
    if isinstance(error, httpx.HTTPError):
        said = str(error) or type(error).__name__
        return f"does not answer ({said}): start it, or correct APPRENTICE_CHROMA_URL"
    code = error.code() if isinstance(error, ChromaError) else 0
    said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    if code in (401, 403) or re.search("tenant|database", said, re.IGNORECASE):
        return (
            f"refuses us ({said}): look at APPRENTICE_CHROMA_TOKEN, APPRENTICE_CHROMA_TENANT and "
            "APPRENTICE_CHROMA_DATABASE"
        )
    return f"gives an error ({said}): look at its log"
