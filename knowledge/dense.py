"""The dense index: vectors in Chroma, found by cosine similarity.

It is a cache of what SQLite knows and is made anew when its folder is missing or damaged.
Measured with Chroma 1.5.9: a truncated `data_level0.bin` or a missing `index_metadata.pickle` gives
wrong neighbours without an error, an overwritten one kills the process with SIGSEGV. So the files
of vectors are compared with their recorded hashes before Chroma may open them.
"""

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import chromadb
import numpy as np
from chromadb.api import ClientAPI
from chromadb.api.shared_system_client import SharedSystemClient
from chromadb.config import Settings
from chromadb.errors import InternalError, NotFoundError

from knowledge.dense_files import (
    aside_of,
    identity,
    is_sound,
    move_aside,
    states,
    write_seals,
)

_Result = TypeVar("_Result")

GRAPH = {"space": "cosine", "ef_search": 200, "ef_construction": 200}
"""Wider than Chroma's own 100 of each: among 1,200 chunks that are nearly the same, one question of
20 once found others after the index was made again."""

_COPIED = 1000
"""Vectors read at once when the index is rewritten."""


class DenseIndex:
    """Collections of (id, vector, hash) in one folder that only this process uses.

    Thread-safe: one call at a time (a query takes 2 ms at 20 000 vectors). A folder that cannot be
    read is moved aside to `<folder>.unreadable` and an empty one takes its place; `rebuilt` says
    so, and `sync_index` and the next `nearest_examples` fill it again from SQLite. So is one whose
    files were deleted while it was open: Chroma would find nothing in it, without an error.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the folder `path`. Raises BadInput when it cannot be written."""
        self.rebuilt = False
        """It was lost and begun anew; whoever fills it again takes this back first."""
        self._path = path
        self._lock = threading.RLock()
        self.reached: dict[str, int] = {}
        """By collection, up to which change its owner has brought it; another one after a loss."""
        self._filling: list[str] = []
        self._seen: dict[str, tuple[int, int]] = {}
        self._client = self._open()

    @contextmanager
    def filling(self, collection: str) -> Iterator[None]:
        """While the block runs, `is_filling` says that vectors of the collection are missing."""
        self._filling.append(collection)
        try:
            yield
        finally:
            self._filling.remove(collection)

    def is_filling(self, collection: str) -> bool:
        """Whether it is being made anew, so that not everything can be found in it."""
        return collection in self._filling

    def upsert(
        self, collection: str, ids: Sequence[int], embeddings: np.ndarray, hashes: Sequence[str]
    ) -> None:
        """Add or replace vectors (len(ids), dimension); a hash says what text each one is of."""
        names, notes = [str(id) for id in ids], [{"hash": hash} for hash in hashes]

        def write() -> None:
            target, most = self._made(collection), self._client.get_max_batch_size()
            for start in range(0, len(names), most):
                part = slice(start, start + most)
                target.upsert(ids=names[part], embeddings=embeddings[part], metadatas=notes[part])

        self._call(write)

    def delete(self, collection: str, ids: Sequence[int]) -> None:
        """Remove vectors; unknown ids are left out."""
        names = [str(id) for id in ids]

        def write() -> None:
            target, most = self._known(collection), self._client.get_max_batch_size()
            for start in range(0, len(names) if target else 0, most):
                target.delete(ids=names[start : start + most])

        if names:
            self._call(write)

    def query(
        self,
        collection: str,
        embedding: np.ndarray,
        k: int,
        *,
        among: Sequence[int] | None = None,
    ) -> list[tuple[int, float]]:
        """(id, cosine similarity) of the `k` nearest to a vector (dimension,), nearest first.

        `among` allows only these ids.
        """
        allowed = None if among is None else [str(id) for id in among]

        def read() -> list[tuple[int, float]]:
            target = self._known(collection)
            # Chroma fails over an id that it does not know
            ids = target.get(ids=allowed, include=[])["ids"] if target and allowed else allowed
            if target is None or k < 1 or ids == []:
                return []
            found = target.query(
                query_embeddings=[embedding], n_results=k, ids=ids, include=["distances"]
            )
            pairs = zip(found["ids"][0], found["distances"][0], strict=True)
            return [(int(name), 1.0 - float(distance)) for name, distance in pairs]

        return self._call(read)

    def similarities(
        self, collection: str, embedding: np.ndarray, ids: Sequence[int]
    ) -> dict[int, float]:
        """Cosine similarity of a vector (dimension,) of length 1, by those of `ids` it knows.

        Their vectors are read: `query` among 30 ids of 60,000 took Chroma 77 ms, this 4.
        """
        known, vectors = self.vectors(collection, ids)
        cosines = vectors @ embedding / np.linalg.norm(vectors, axis=1) if known else ()
        return {id: float(one) for id, one in zip(known, cosines, strict=True)}

    def vectors(self, collection: str, ids: Sequence[int]) -> tuple[list[int], np.ndarray]:
        """Those of `ids` that it knows, and their vectors as float32 (ids, dimension)."""
        names = [str(id) for id in ids]

        def read() -> tuple[list[int], np.ndarray]:
            target = self._known(collection)
            found = target.get(ids=names, include=["embeddings"]) if target and names else None
            if not found or not found["ids"]:
                return [], np.empty((0, 0), np.float32)
            known = [int(name) for name in found["ids"]]
            return known, np.asarray(found["embeddings"], np.float32)

        return self._call(read)

    def hashes(self, collection: str, *, among: Sequence[int] | None = None) -> dict[int, str]:
        """Hash by id of all vectors, or of those of `among`; none for an unknown collection."""
        wanted = None if among is None else [str(id) for id in among]

        def read() -> dict[int, str]:
            target, most = self._known(collection), self._client.get_max_batch_size()
            if target is None:
                return {}
            # in parts: Chroma names each vector to SQLite, which takes 32,766 names
            starts = range(0, target.count() if wanted is None else len(wanted), most)
            pages = (
                {"limit": most, "offset": start}
                if wanted is None
                else {"ids": wanted[start : start + most]}
                for start in starts
            )
            parts = [target.get(include=["metadatas"], **page) for page in pages]
            return {
                int(name): str(note["hash"])
                for found in parts
                for name, note in zip(found["ids"], found["metadatas"], strict=True)
            }

        return self._call(read)

    def collections(self) -> list[str]:
        """The names of all collections."""
        return self._call(lambda: sorted(found.name for found in self._client.list_collections()))

    def drop(self, collection: str) -> None:
        """Remove a collection with all its vectors; an unknown one is no error."""

        def write() -> None:
            self.reached = {}
            if self._known(collection):
                self._client.delete_collection(collection)

        self._call(write)

    def rewrite(self) -> None:
        """Move what is in the index into a new folder, so that nothing deleted is left in a file.

        Chroma only marks a deleted vector, and keeps each one in its log too. A crash meanwhile
        leaves the old folder, or none; the index is then filled again from SQLite.
        """
        new = self._path.with_name(f"{self._path.name}.new")

        def move() -> None:
            shutil.rmtree(new, ignore_errors=True)
            fresh = DenseIndex(new)
            for found in self._client.list_collections():
                _copy(found, fresh)
            fresh.close()
            self._client.close()
            shutil.rmtree(self._path)
            new.rename(self._path)
            shutil.rmtree(aside_of(self._path), ignore_errors=True)
            self._client = self._open()

        with self._lock:
            self._call(move)

    def close(self) -> None:
        """Let the folder go; another process may open it then."""
        with self._lock:
            self._seal()
            self._client.close()

    def _made(self, collection: str) -> Any:
        return self._client.get_or_create_collection(
            collection, embedding_function=None, configuration={"hnsw": GRAPH}
        )

    def _known(self, collection: str) -> Any:
        try:
            return self._client.get_collection(collection, embedding_function=None)
        except NotFoundError:
            return None

    def _call(self, work: Callable[[], _Result]) -> _Result:
        """Do it; if Chroma fails, once more on a folder that was checked and opened anew."""
        with self._lock:
            if identity(self._path) != self._file:
                self._client.close()
                self._client = self._open(lost=True)
            try:
                return work()
            except BaseException as error:
                if not _is_breakdown(error):
                    raise
                self._client.close()
                self._client = self._open()
                return work()
            finally:
                self._seal()

    def _open(self, *, lost: bool = False) -> ClientAPI:
        client = None if lost else self._opened()
        if client is None:
            move_aside(self._path)
            self.rebuilt = True
            self._seen = {}
            client = _start(self._path)
        self.reached = {}
        self._file = identity(self._path)
        return client

    def _opened(self) -> ClientAPI | None:
        """Chroma on the folder as it is; None for one that is damaged."""
        try:
            if is_sound(self._path):
                client = _start(self._path)
                # loading writes length.bin anew, with whatever was in memory behind its numbers
                write_seals(self._path)
                self._seen = states(self._path)
                return client
        # a damaged folder makes Chroma raise many things, and Rust's panics are no Exception
        except BaseException as error:
            if not isinstance(error, Exception) and not _is_breakdown(error):
                raise
        return None

    def _seal(self) -> None:
        """Record the hashes of the files of vectors if Chroma has written them (every 1000)."""
        if states(self._path) != self._seen:
            write_seals(self._path)
            self._seen = states(self._path)


def _copy(source: Any, index: DenseIndex) -> None:
    """Every vector of a collection of Chroma's into another index."""
    for start in range(0, source.count(), _COPIED):
        part = source.get(limit=_COPIED, offset=start, include=["embeddings", "metadatas"])
        hashes = [str(note["hash"]) for note in part["metadatas"]]
        index.upsert(source.name, [int(name) for name in part["ids"]], part["embeddings"], hashes)


def _start(path: Path) -> ClientAPI:
    settings = Settings(anonymized_telemetry=False)
    try:
        client = chromadb.PersistentClient(str(path), settings=settings)
    except BaseException:
        # it keeps what failed to start, and would give it out at the next try
        SharedSystemClient.clear_system_cache()
        raise
    try:
        _read_all(client)
    except BaseException:
        client.close()  # Chroma would give the same one again for this path
        raise
    return client


def _read_all(client: ClientAPI) -> None:
    """Let every collection load its vectors, so that what cannot be read fails now."""
    for collection in client.list_collections():
        first = collection.get(limit=1, include=["embeddings"])["embeddings"]
        if first is not None and len(first):
            collection.query(query_embeddings=[first[0]], n_results=1, include=[])


def _is_breakdown(error: BaseException) -> bool:
    """Whether Chroma itself failed, not what it was asked for."""
    return isinstance(error, InternalError) or type(error).__name__ == "PanicException"
