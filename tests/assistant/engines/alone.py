"""What transformers alone answers, one prompt at a time: the truth for every engine."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from assistant.tokens import ChatTokenizer
from storage.models import BaseModel
from tests.assistant.engines.asking import TOKENS

TIE = 0.003
"""Logits nearer than this are a tie: engines hold keys, values and adapters in float16."""


class Alone:
    """`transformers.generate` over `base`, by any of its `adapters` (id -> folder) or by none."""

    def __init__(self, base: BaseModel, adapters: Mapping[int, Path]) -> None:
        self._base, self._adapters = base, adapters
        self._tokenizer = ChatTokenizer(base.folder)
        self.model = cache(self._read)
        self._made = cache(self._generated)

    def say(
        self, prompt: Sequence[int], adapter_id: int | None = None, tokens: int = TOKENS
    ) -> str:
        """The likeliest answer, half a character at its end left out."""
        ids, leads = self._made(tuple(prompt), adapter_id, tokens)
        assert min(leads) > TIE, "nearly a tie: choose another question"
        return self._text(ids)

    def sure(
        self, prompt: Sequence[int], adapter_id: int | None, tokens: int, tie: float
    ) -> tuple[str, int]:
        """The same up to the first near tie, and how many tokens that is."""
        ids, leads = self._made(tuple(prompt), adapter_id, tokens)
        count = next((at for at, lead in enumerate(leads) if lead <= tie), len(ids))
        return self._text(ids[:count]), count

    def _text(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids).rstrip("\ufffd")

    def _read(self, adapter_id: int | None) -> torch.nn.Module:
        base = AutoModelForCausalLM.from_pretrained(self._base.folder, dtype=torch.float32)
        if adapter_id is None:
            return base.eval()
        return PeftModel.from_pretrained(base, self._adapters[adapter_id]).eval()

    def _generated(
        self, prompt: tuple[int, ...], adapter_id: int | None, tokens: int
    ) -> tuple[list[int], list[float]]:
        """The ids, and by how much each was likelier than the next one."""
        with torch.inference_mode():
            made = self.model(adapter_id).generate(
                input_ids=torch.tensor([prompt]),
                max_new_tokens=tokens,
                do_sample=False,
                eos_token_id=[0, 2],
                output_scores=True,
                return_dict_in_generate=True,
            )
        two = torch.cat(made.scores).topk(2).values
        return made.sequences[0, len(prompt) :].tolist(), (two[:, 0] - two[:, 1]).tolist()
