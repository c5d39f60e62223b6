"""Passages weighed again together with the question, by a cross-encoder; a setting, off at first.

It reads question and passage at once and so knows more than two vectors, at the price of one pass
of a model for each passage (Nogueira and Cho 2019, arXiv:1901.04085).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from sentence_transformers import CrossEncoder
from transformers.utils.logging import disable_progress_bar

from knowledge.embedding import model_folder, one_core
from storage.errors import BadInput
from storage.records import Passage
from storage.text import clean

_BATCH = 8


class Reranker:
    """A loaded cross-encoder with one output. All of it may be called from any thread."""

    def __init__(self, name: str, *, device: str = "cpu") -> None:
        """Load a local folder or a Hub id (fetched when not yet here), safetensors only.

        Raises BadInput when there is no such model, or it gives more than one score.
        """
        self._worker = ThreadPoolExecutor(1, "reranker", initializer=one_core)
        try:
            self._model = self._worker.submit(_load, name, device).result()
        except (OSError, ValueError, ImportError) as error:
            self.close()
            raise BadInput(
                f"The reranker {name!r} cannot be loaded ({str(error).splitlines()[0][:200]}): "
                "name a local folder or a Hub id of a cross-encoder, or none."
            ) from error
        if self._model.num_labels != 1:
            self.close()
            raise BadInput(
                f"The reranker {name!r} gives {self._model.num_labels} scores: name one with one."
            )

    def rerank(self, question: str, passages: Sequence[Passage]) -> list[Passage]:
        """The passages, best first; equals stay in their order."""
        pairs = [(clean(question), clean(passage.text)) for passage in passages]
        scores = self._worker.submit(self._scores, pairs).result()
        order = sorted(range(len(passages)), key=lambda place: -scores[place])
        return [passages[place] for place in order]

    def close(self) -> None:
        """Stop the thread; nothing can be weighed afterwards."""
        self._worker.shutdown()

    def _scores(self, pairs: list[tuple[str, str]]) -> list[float]:
        with torch.inference_mode():
            found = self._model.predict(pairs, batch_size=_BATCH, show_progress_bar=False)
        return [float(score) for score in found]


def _load(name: str, device: str) -> CrossEncoder:
    disable_progress_bar()
    return CrossEncoder(
        str(model_folder(name)),
        device=device,
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True},
    )
