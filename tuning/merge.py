"""A base and its adapter as one model that other programs load: safetensors, or GGUF.

Runs as a process of its own (`python -m tuning.merge`), so that the server never holds torch for
it. Computed in float32 on the CPU, whatever the base is kept in, and stored in the base's dtype.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from storage.errors import ApprenticeError, BadInput, Refused
from tuning.adapter_files import CONFIG
from tuning.child import Said, become_child, in_child

LARGEST_SHARD = "5GB"
PROGRAM = ["-m", "tuning.merge"]
_OF_THE_TOKENIZER = ("*.jinja", "*.model", "*.txt", "tokenizer*.json", "*token*.json", "vocab.json")
"""What of a base's folder goes along as it is; weights and config are written anew."""


def merge_in_child(
    base: Path,
    adapter: Path,
    out: Path,
    *,
    log: Path,
    gguf: Path | None = None,
    quantization: str | None = None,
    on_progress: Callable[[float, str], None] = lambda share, note: None,
) -> None:
    """Fills the folder `out` with base and adapter as one model, in a process at nice 19.

    Safetensors with config and tokenizer; with a `quantization` one `model.gguf` instead, its
    vocabulary from `gguf` where the base has one. The adapter must have been verified; `log` takes
    what libraries print. Raises Refused for a kind that no merge can express, BadInput for a base
    that cannot be written as GGUF, RoundFailed when the process dies.
    """
    check_can_merge(adapter)
    command = [*PROGRAM, str(base), str(adapter), str(out), "--parent", str(os.getpid())]
    if quantization:
        from storage.gguf_model import check_can_be_gguf  # late: gguf takes 0.1 s to import

        check_can_be_gguf(base, gguf)
        command += ["--quantization", quantization, *(["--gguf", str(gguf)] if gguf else [])]

    def said(line: Said) -> None:
        if "done" in line:
            on_progress(line["done"], line["note"])

    in_child(command, log, on_said=said)


def check_can_merge(adapter: Path) -> None:
    """Raises Refused for an adapter that is more than another value of the base's weights."""
    config = json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
    if config.get("peft_type") not in ("LORA", "IA3"):
        kind = str(config.get("peft_type")).lower()
        raise Refused(
            f"A {kind} adapter adds layers of its own, which no merged model can hold: export it "
            "with --format peft, or teach the same corrections with --method lora."
        )


def merge(
    base: Path,
    adapter: Path,
    out: Path,
    *,
    gguf: Path | None = None,
    quantization: str | None = None,
    say: Callable[[Said], None] = lambda said: None,
) -> None:
    """The work of the child; see `merge_in_child`. Brings torch, transformers and PEFT."""
    say({"done": 0.0, "note": "reading the base model"})
    model, stored = _merged(base, adapter)
    say({"done": 0.4, "note": "writing the merged model"})
    if quantization is None:
        model.to(stored).save_pretrained(out, max_shard_size=LARGEST_SHARD)
        for pattern in _OF_THE_TOKENIZER:
            for path in base.glob(pattern):
                shutil.copyfile(path, out / path.name)
        return
    from storage.gguf_model import write_model_gguf

    write_model_gguf(
        out / "model.gguf",
        _weights(model),
        base,
        gguf=gguf,
        quantization=quantization,
        on_tensor=lambda done, total: say(
            {"done": 0.4 + 0.6 * done / total, "note": f"writing tensor {done} of {total}"}
        ),
    )


def _merged(base: Path, adapter: Path) -> tuple[Any, Any]:
    """The model in float32 with the adapter in its weights, and the dtype that the base has."""
    import torch
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(base, local_files_only=True)
    stored = getattr(config.get_text_config(), "dtype", None) or torch.float32
    model = AutoModelForCausalLM.from_pretrained(
        base,
        dtype=torch.float32,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
    )
    try:
        merged = PeftModel.from_pretrained(model, adapter).merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise BadInput(f"The adapter cannot be merged ({error}): export it as peft.") from None
    return merged.eval(), stored


def _weights(model: Any) -> Iterator[Any]:
    from storage.gguf_model import Weight

    tied = model.config.get_text_config().tie_word_embeddings
    for name, tensor in model.state_dict().items():
        if not (tied and name == "lm_head.weight"):
            yield Weight(name, tuple(tensor.shape), tensor.detach().numpy)


def main(arguments: list[str] | None = None) -> int:
    """The child: JSON lines on standard output; 0, or 2 and why."""
    parser = argparse.ArgumentParser(prog="python -m tuning.merge", description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("adapter", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--quantization")
    parser.add_argument("--parent", type=int, required=True)
    given = parser.parse_args(arguments)
    say = become_child(given.parent)
    try:
        merge(
            given.base,
            given.adapter,
            given.out,
            gguf=given.gguf,
            quantization=given.quantization,
            say=say,
        )
    except ApprenticeError as error:
        say({"error": str(error)})
        return 2
    except MemoryError:
        say({"error": "Memory ran out while merging: end other programs and export again."})
        return 1
    say({"result": {}})
    return 0


if __name__ == "__main__":
    sys.exit(main())
