"""The dense index in a folder of the data directory, by Chroma within this process.

It is a cache of what SQLite knows and is made anew when its folder is missing or damaged.
Measured with Chroma 1.5.9: a truncated `data_level0.bin` or a missing `index_metadata.pickle` gives
wrong neighbours without an error, an overwritten one kills the process with SIGSEGV. So the files
of vectors are compared with their recorded hashes before Chroma may open them.
"""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import chromadb
from chromadb.api import ClientAPI
from chromadb.api.shared_system_client import SharedSystemClient
from chromadb.config import Settings
from chromadb.errors import InternalError, NotFoundError

from knowledge.dense import GRAPH, DenseIndex, copy_vectors
from knowledge.dense_files import (
    aside_of,
    identity,
    is_sound,
    move_aside,
    states,
    write_seals,
)

_Result = TypeVar("_Result")


class FolderIndex(DenseIndex):
    """An index in one folder that only this process uses.

    One call at a time (a query takes 2 ms at 20 000 vectors). A folder that cannot be read is moved
    aside to `<folder>.unreadable` and an empty one takes its place; `rebuilt` says so. So is one
    whose files were deleted while it was open: Chroma would find nothing in it, without an error.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the folder `path`. Raises BadInput when it cannot be written."""
        super().__init__()
        self._path = path
        self._seen: dict[str, tuple[int, int]] = {}
        self._client = self._open()

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
            fresh = FolderIndex(new)
            for found in self._client.list_collections():
                copy_vectors(found, partial(fresh.upsert, found.name))
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

    def _most(self) -> int:
        return int(self._client.get_max_batch_size())

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
