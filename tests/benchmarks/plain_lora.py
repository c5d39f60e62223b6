"""Plain TRL on the same pairs, as its documentation has it: the opponent of `bench_learning`.

    python -m tests.benchmarks.plain_lora DATA OUT WORK

Trains on WORK/pairs.jsonl over the base model of the data directory DATA, answers the questions of
WORK/wanted.jsonl, and writes OUT/answers.json. Of three learning rates the one is kept whose loss
at the end is the lowest.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from assistant.settings import read_settings
from assistant.tokens import ChatTokenizer
from storage.models import resolve_base
from storage.records import ChatMessage
from tests.benchmarks.bench_learning import INSTRUCTIONS, MAX_TOKENS
from tests.benchmarks.plain_trl import Recipe, plain_trainer

EPOCHS = 10
RATES = (2e-4, 5e-4, 1e-3)
TOGETHER = 8


def main() -> int:
    """Trains thrice, answers once."""
    data, out, work = map(Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    folder = resolve_base(read_settings().base_model, data / "models").folder
    pairs = [json.loads(line) for line in (work / "pairs.jsonl").read_text().splitlines()]
    wanted = [json.loads(line) for line in (work / "wanted.jsonl").read_text().splitlines()]
    trained = [_train(folder, ChatTokenizer(folder), pairs, rate) for rate in RATES]
    best = min(trained, key=lambda one: one[0])[1]
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    answers = _answers(best, tokenizer, [one["question"] for one in wanted])
    (out / "answers.json").write_text(json.dumps(answers, ensure_ascii=False))
    return 0


def _prompt(question: str) -> list[ChatMessage]:
    return [
        {"role": "system", "content": INSTRUCTIONS},
        {"role": "user", "content": question},
    ]


def _train(
    folder: Path, tokenizer: ChatTokenizer, pairs: list[dict[str, str]], rate: float
) -> tuple[float, Any]:
    """(loss of the last epoch, the trained model)."""
    rows = [
        (tokenizer.render(_prompt(one["question"])), tokenizer.completion_ids(one["sql"]))
        for one in pairs
    ]
    trainer = plain_trainer(folder, rows, Recipe(rate=rate, epochs=EPOCHS, nf4=False))
    trainer.train()
    losses = [said["loss"] for said in trainer.state.log_history if "loss" in said]
    print(rate, losses, flush=True)
    return losses[-1], trainer.model


@torch.inference_mode()
def _answers(model: Any, tokenizer: Any, questions: list[str]) -> list[str]:
    model.eval()
    answers: list[str] = []
    for start in range(0, len(questions), TOGETHER):
        prompts = tokenizer.apply_chat_template(
            [_prompt(question) for question in questions[start : start + TOGETHER]],
            add_generation_prompt=True,
            return_dict=True,
            padding=True,
            return_tensors="pt",
        )
        said = model.generate(**prompts, max_new_tokens=MAX_TOKENS, do_sample=False)
        new = said[:, prompts["input_ids"].shape[1] :]
        answers += [text.strip() for text in tokenizer.batch_decode(new, skip_special_tokens=True)]
    return answers


if __name__ == "__main__":
    sys.exit(main())
