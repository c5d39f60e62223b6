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
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from assistant.settings import read_settings
from storage.models import resolve_base
from tests.benchmarks.bench_learning import INSTRUCTIONS, MAX_TOKENS

EPOCHS = 10
RATES = (2e-4, 5e-4, 1e-3)
BATCH = 8
TOGETHER = 8


def main() -> int:
    """Trains thrice, answers once."""
    data, out, work = map(Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    folder = resolve_base(read_settings().base_model, data / "models").folder
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    pairs = [json.loads(line) for line in (work / "pairs.jsonl").read_text().splitlines()]
    wanted = [json.loads(line) for line in (work / "wanted.jsonl").read_text().splitlines()]
    trained = [_train(folder, tokenizer, pairs, rate, out) for rate in RATES]
    best = min(trained, key=lambda one: one[0])[1]
    answers = _answers(best, tokenizer, [one["question"] for one in wanted])
    (out / "answers.json").write_text(json.dumps(answers, ensure_ascii=False))
    return 0


def _prompt(question: str) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": INSTRUCTIONS},
        {"role": "user", "content": question},
    ]


def _train(
    folder: Path, tokenizer: Any, pairs: list[dict[str, str]], rate: float, out: Path
) -> tuple[float, Any]:
    """(loss of the last epoch, the trained model)."""
    rows = [
        {
            "prompt": _prompt(one["question"]),
            "completion": [{"role": "assistant", "content": one["sql"]}],
        }
        for one in pairs
    ]
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        args=SFTConfig(
            output_dir=str(out / f"rate-{rate}"),
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=BATCH,
            learning_rate=rate,
            use_cpu=not torch.cuda.is_available(),
            bf16=False,
            gradient_checkpointing=False,
            logging_strategy="epoch",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=7,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear"
        ),
    )
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
