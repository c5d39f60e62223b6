"""A two-layer Llama with a real tokenizer, in both forms: what engine and round tests run on.

Random weights, so its answers mean nothing; but they are deterministic, differ between prompts and
change with an adapter, which is what a test of the machinery needs. Made in about a second.
"""

import json
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType
from safetensors.numpy import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from storage.conversion import LAYER_NAMES, TOP_NAMES, to_interleaved
from storage.models import BaseModel, fingerprint

LAYERS, WIDTH, INNER, HEADS, KV_HEADS, CONTEXT = 2, 64, 128, 4, 2, 2048
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content']"
    " + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TEXT = [
    "List the completed orders in the past month.",
    "SELECT id, total FROM sales_orders WHERE status = 'Closed' AND created_on >= date('now');",
    "How do I return a product? You can return it within 30 days. Thank you for asking!",
    'Answer as JSON: {"order": 12, "status": "Closed", "total": 99.50}',
    "You are a helpful assistant of a small company. Bonjour, ça va? 日本語 text and 😀 too.",
]


def make_tiny_base(folder: Path, *, seed: int = 0) -> BaseModel:
    """Write the tiny model into `folder`: canonical safetensors and `model.gguf`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = trained_tokenizer(TEXT * 4, 512)
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_json(folder / "tokenizer_config.json", tokenizer_config())
    _write_json(folder / "config.json", _config(tokenizer.get_vocab_size()))
    _write_json(folder / "generation_config.json", {"eos_token_id": 2, "pad_token_id": 0})
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    weights = _weights(tokenizer.get_vocab_size(), np.random.default_rng(seed))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    write_gguf(folder, folder / "model.gguf")
    return BaseModel("tiny", folder, folder / "model.gguf", fingerprint(folder))


def make_tiny_adapter(
    base: BaseModel,
    folder: Path,
    *,
    seed: int = 1,
    rank: int = 4,
    strength: float = 0.1,
    kind: str = "lora",
) -> Path:
    """Write a random PEFT adapter on every linear layer of `base` into `folder` and return it.

    `kind` is lora, rslora, dora, ia3 or bottleneck (behind the feed-forward network alone). Strong
    enough to change nearly every answer of the tiny base; a real one wants less `strength` (the
    deviation of B's values). No manifest: a test that needs one adds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}
    modules = set()
    for name, weight in load_file(base.folder / "model.safetensors").items():
        if not name.endswith("down_proj.weight" if kind == "bottleneck" else "_proj.weight"):
            continue
        module = name.removesuffix(".weight")
        modules.add(module.split(".")[-1])
        for part, values in _adapter_tensors(kind, weight, rank, strength, random).items():
            tensors[f"base_model.model.{module}.{part}"] = values.astype(np.float32)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    _write_json(folder / "adapter_config.json", adapter_config(rank, sorted(modules), kind))
    return folder


def _adapter_tensors(
    kind: str, weight: np.ndarray, rank: int, strength: float, random: np.random.Generator
) -> dict[str, np.ndarray]:
    """A module's tensors in an adapter of this kind, from its weight (outputs, inputs)."""
    outputs, inputs = weight.shape
    if kind == "ia3":  # every module's output, so that all have the same form
        return {"ia3_l": 1 + random.normal(0, 5 * strength, (outputs, 1))}
    if kind == "bottleneck":
        return {
            "bottleneck_down.weight": random.normal(0, 0.3, (rank, outputs)),
            "bottleneck_down.bias": random.normal(0, 0.1, rank),
            "bottleneck_up.weight": random.normal(0, 5 * strength, (outputs, rank)),
            "bottleneck_up.bias": random.normal(0, strength, outputs),
        }
    found = {
        "lora_A.weight": random.normal(0, 0.3, (rank, inputs)),
        "lora_B.weight": random.normal(0, strength, (outputs, rank)),
    }
    if kind == "dora":
        size = np.linalg.norm(weight, axis=1)
        found["lora_magnitude_vector"] = size * random.uniform(0.8, 1.2, outputs)
    return found


def adapter_config(rank: int, modules: list[str], kind: str = "lora") -> dict[str, object]:
    """What PEFT needs to know about an adapter of this kind."""
    common: dict[str, object] = {
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "inference_mode": True,
        "target_modules": modules,
    }
    if kind == "ia3":
        return {**common, "peft_type": "IA3", "feedforward_modules": []}
    if kind == "bottleneck":
        return {**common, "peft_type": "BOTTLENECK", "width": rank, "bias": "none"}
    return {
        **common,
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": 2 * rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "use_dora": kind == "dora",
        "use_rslora": kind == "rslora",
    }


def write_gguf(folder: Path, target: Path) -> None:
    """Write the canonical Llama in `folder` as a float32 GGUF."""
    config = json.loads((folder / "config.json").read_text())
    writer = GGUFWriter(target, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(0)  # all float32
    add_tokenizer(writer, json.loads((folder / "tokenizer.json").read_text()))
    heads_of = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    for name, weight in load_file(folder / "model.safetensors").items():
        kind = name.split(".")[-2]
        rows = to_interleaved(weight, heads_of[kind]) if kind in heads_of else weight
        writer.add_tensor(_gguf_name(name), rows)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def trained_tokenizer(texts: list[str], words: int) -> Tokenizer:
    """Byte-level pieces of these texts, digits one by one, with the chat's special tokens."""
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=words,
        special_tokens=[AddedToken(token, special=True) for token in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _weights(words: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Large random weights: small ones would say the same token after every prompt."""

    def normal(*shape: int, scale: float) -> np.ndarray:
        return random.normal(0, scale, shape).astype(np.float32)

    head = WIDTH // HEADS
    rows = {"q_proj": WIDTH, "k_proj": KV_HEADS * head, "v_proj": KV_HEADS * head, "o_proj": WIDTH}
    found = {
        "model.embed_tokens.weight": normal(words, WIDTH, scale=1.0),
        "model.norm.weight": np.ones(WIDTH, np.float32),
        "lm_head.weight": normal(words, WIDTH, scale=0.3),
    }
    for layer in range(LAYERS):
        at = f"model.layers.{layer}"
        for name, size in rows.items():
            found[f"{at}.self_attn.{name}.weight"] = normal(size, WIDTH, scale=0.2)
        found[f"{at}.mlp.gate_proj.weight"] = normal(INNER, WIDTH, scale=0.2)
        found[f"{at}.mlp.up_proj.weight"] = normal(INNER, WIDTH, scale=0.2)
        found[f"{at}.mlp.down_proj.weight"] = normal(WIDTH, INNER, scale=0.2)
        found[f"{at}.input_layernorm.weight"] = np.ones(WIDTH, np.float32)
        found[f"{at}.post_attention_layernorm.weight"] = np.ones(WIDTH, np.float32)
    return found


def _config(words: int) -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "vocab_size": words,
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": WIDTH // HEADS,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT,
        "rope_theta": 10000.0,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }


def tokenizer_config() -> dict[str, object]:
    """What says which of the special tokens is which."""
    return {
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "model_max_length": CONTEXT,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


def add_tokenizer(writer: GGUFWriter, described: dict) -> None:
    """Add the tiny vocabulary to a GGUF that is being written."""
    vocabulary = sorted(described["model"]["vocab"].items(), key=lambda item: item[1])
    tokens = [token for token, _ in vocabulary]
    merges = [m if isinstance(m, str) else " ".join(m) for m in described["model"]["merges"]]
    kinds = [TokenType.CONTROL if token in SPECIAL else TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def _gguf_name(name: str) -> str:
    top = {theirs: ours for ours, theirs in TOP_NAMES.items()}
    if name in top:
        return top[name]
    _, _, layer, *part, leaf = name.split(".")
    parts = {theirs: ours for ours, theirs in LAYER_NAMES.items()}
    return f"blk.{layer}.{parts['.'.join(part)]}.{leaf}"


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=1))
