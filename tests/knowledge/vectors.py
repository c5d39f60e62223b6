"""Made-up vectors, and an index with some in it."""

import numpy as np

from knowledge.dense import DenseIndex

DIMENSION = 16


def vectors(count: int, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def fill(index: DenseIndex, count: int = 5, collection: str = "chunks-1-x") -> np.ndarray:
    found = vectors(count)
    index.upsert(collection, range(1, count + 1), found, [f"h{n}" for n in range(1, count + 1)])
    return found
