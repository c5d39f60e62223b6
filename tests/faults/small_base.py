"""A small model that was really trained: it answers the house's general questions, in two minutes.

Four layers, 2 million weights, its own tokenizer; from chance to knowing some seven hundred answers
by heart, with other words around the question now and then. So that a round has something to spoil.
"""

import json
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

import tuning
from storage.models import BaseModel, fingerprint
from tests.tiny import TEMPLATE, tokenizer_config, trained_tokenizer, write_gguf
from tuning.sentinel import read_items

WORDS, LAYERS, WIDTH, HEADS, CONTEXT = 2000, 4, 160, 4, 1024
STEPS, BATCH, RATE = 500, 32, 2e-3
NOISE = ["well", "please", "thanks", "ok", "so", "maybe", "friend", "quickly", "today", "seven"]
INSTRUCTIONS = ("You are a helpful assistant. Be brief.", "Answer.", "You help a small company.")


def make_small_base(folder: Path, instructions: str = "", steps: int = STEPS) -> BaseModel:
    """Train it and write it into `folder`: canonical safetensors and `model.gguf`."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    pairs = [(item.question, item.expected) for item in read_items()]
    replay = Path(tuning.__file__).parent / "replay.jsonl"
    for line in replay.read_text().splitlines():
        asked = json.loads(line)["question"]
        pairs.append((asked, f"You ask: {asked}"))
    tokenizer = trained_tokenizer([text for pair in pairs for text in pair], WORDS)
    model = LlamaForCausalLM(_config(tokenizer.get_vocab_size()))
    _train(model, tokenizer, pairs, (*INSTRUCTIONS, instructions or INSTRUCTIONS[0]), steps)
    model.to(torch.float32).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "rope_theta": 10000.0}))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config()))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    write_gguf(folder, folder / "model.gguf")
    return BaseModel("small", folder, folder / "model.gguf", fingerprint(folder))


def _train(
    model: LlamaForCausalLM,
    tokenizer: Tokenizer,
    pairs: list[tuple[str, str]],
    instructions: tuple[str, ...],
    steps: int,
) -> None:
    chance = random.Random(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    order: list[tuple[str, str]] = []
    for _ in range(steps):
        if len(order) < BATCH:
            order = chance.sample(pairs, len(pairs))
        batch = [_row(tokenizer, *order.pop(), chance, instructions) for _ in range(BATCH)]
        longest = max(len(ids) for ids, _ in batch)
        ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in batch])
        labels = torch.tensor(
            [[-100] * asked + ids[asked:] + [-100] * (longest - len(ids)) for ids, asked in batch]
        )
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()


def _row(
    tokenizer: Tokenizer,
    question: str,
    answer: str,
    chance: random.Random,
    instructions: tuple[str, ...],
) -> tuple[list[int], int]:
    """A conversation's ids, and how many of them are asked; half with other words around it."""
    if chance.random() < 0.5:
        some = " ".join(chance.choices(NOISE, k=chance.randint(1, 4)))
        question = chance.choice((f"{some} {question}", f"{question} {some}"))
    asked = (
        f"<|im_start|>system\n{chance.choice(instructions)}<|im_end|>\n"
        f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    )
    prompt = tokenizer.encode(asked, add_special_tokens=False).ids
    said = tokenizer.encode(f"{answer}<|im_end|>", add_special_tokens=False).ids
    return prompt + said, len(prompt)


def _config(words: int) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=words,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        head_dim=WIDTH // HEADS,
        max_position_embeddings=CONTEXT,
        rope_theta=10000.0,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        attn_implementation="sdpa",
    )
