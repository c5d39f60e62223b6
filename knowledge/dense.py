"""The dense index: vectors in Chroma, found by cosine similarity. A cache of what SQLite knows.

What both kinds share: `dense_folder.py` is a folder of this process, `dense_server.py` a server.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

_Result = TypeVar("_Result")

GRAPH = {"space": "cosine", "ef_search": 200, "ef_construction": 200}
"""Wider than Chroma's own 100 of each: among 1,200 chunks that are nearly the same, one question of
20 once found others after the index was made again."""


class DenseIndex(ABC):
    """Collections of (id, vector, hash). Thread-safe. Vectors that get lost are made anew from
    SQLite by `sync_index` and the next `nearest_examples`.

    With a server that does not answer every method raises IndexAway.
    """

    def __init__(self) -> None:
        self.rebuilt = False
        """Vectors may be missing: it was lost, or away; whoever fills it takes this back first."""
        self.reached: dict[str, int] = {}
        """By collection, up to which change its owner has brought it; another one after a loss."""
        self._filling: list[str] = []
        self._lock = threading.RLock()

    @property
    def away(self) -> bool:
        """Whether it did not answer when it was last asked."""
        return False

    def answers(self) -> bool:
        """Whether it answers now; asks it, and tells nobody."""
        return True

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
            target = self._made(collection)
            for part in self._parts(len(names)):
                target.upsert(ids=names[part], embeddings=embeddings[part], metadatas=notes[part])

        if names:
            self._write(write)

    def delete(self, collection: str, ids: Sequence[int]) -> None:
        """Remove vectors; unknown ids are left out."""
        names = [str(id) for id in ids]

        def write() -> None:
            target = self._known(collection)
            for part in self._parts(len(names)) if target else ():
                target.delete(ids=names[part])

        if names:
            self._write(write)

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

        def read() -> list[tuple[int, float]]:
            target = self._known(collection)
            allowed = None if among is None else [str(id) for id in among]
            if target is not None and allowed:  # Chroma fails over an id that it does not know
                parts = [allowed[part] for part in self._parts(len(allowed))]
                allowed = [id for part in parts for id in target.get(ids=part, include=[])["ids"]]
            if target is None or k < 1 or allowed == []:
                return []
            found = target.query(
                query_embeddings=[embedding], n_results=k, ids=allowed, include=["distances"]
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
            parts = self._parts(len(names)) if target else ()
            found = [target.get(ids=names[part], include=["embeddings"]) for part in parts]
            known = [int(name) for one in found for name in one["ids"]]
            if not known:
                return [], np.empty((0, 0), np.float32)
            rows = [np.asarray(one["embeddings"], np.float32) for one in found if one["ids"]]
            return known, np.concatenate(rows)

        return self._call(read)

    def hashes(self, collection: str, *, among: Sequence[int] | None = None) -> dict[int, str]:
        """Hash by id of all vectors, or of those of `among`; none for an unknown collection."""
        wanted = None if among is None else [str(id) for id in among]

        def read() -> dict[int, str]:
            target = self._known(collection)
            if target is None:
                return {}
            # in parts: Chroma names each vector to SQLite, which takes 32,766 names
            parts = self._parts(target.count() if wanted is None else len(wanted))
            found = [
                target.get(
                    include=["metadatas"],
                    **(
                        {"limit": part.stop - part.start, "offset": part.start}
                        if wanted is None
                        else {"ids": wanted[part]}
                    ),
                )
                for part in parts
            ]
            return {
                int(name): str(note["hash"])
                for one in found
                for name, note in zip(one["ids"], one["metadatas"], strict=True)
            }

        return self._call(read)

    @abstractmethod
    def collections(self) -> list[str]:
        """The names of all collections."""

    @abstractmethod
    def drop(self, collection: str) -> None:
        """Remove a collection with all its vectors; an unknown one is no error."""

    @abstractmethod
    def rewrite(self) -> None:
        """Move what is in the index to a new place, so that nothing deleted is left in the old."""

    @abstractmethod
    def close(self) -> None:
        """Let it go."""

    @abstractmethod
    def _most(self) -> int:
        """Vectors in one call to Chroma at most."""

    @abstractmethod
    def _made(self, collection: str) -> Any:
        """Chroma's collection, made when it is not there."""

    @abstractmethod
    def _known(self, collection: str) -> Any:
        """Chroma's collection; None for an unknown one."""

    @abstractmethod
    def _call(self, work: Callable[[], _Result]) -> _Result:
        """Do it, with whatever is to be done when Chroma fails."""

    def _write(self, work: Callable[[], _Result]) -> _Result:
        """The same of something that changes the index and may be done twice."""
        return self._call(work)

    def _parts(self, count: int) -> Iterator[slice]:
        most = self._most() if count else 1
        return (slice(start, min(start + most, count)) for start in range(0, count, most))


def copy_vectors(source: Any, write: Callable[[list[int], np.ndarray, list[str]], None]) -> None:
    """Every vector of a collection of Chroma's to `write`, which takes ids, vectors, hashes."""
    for start in range(0, source.count(), COPIED):
        part = source.get(limit=COPIED, offset=start, include=["embeddings", "metadatas"])
        hashes = [str(note["hash"]) for note in part["metadatas"]]
        write([int(name) for name in part["ids"]], np.asarray(part["embeddings"]), hashes)


COPIED = 300
"""Vectors read at once when an index is copied: as many as Chroma Cloud gives."""
