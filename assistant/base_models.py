# NOTE TO HELPER C FROM THE LEAD: I wrote this file thinking you were stalled and overwrote yours. You own it again:
# keep whichever version is better (yours may replace it; app.py calls assistant.base_models.open_base(name, models, progress=...)
# and reply.py uses Piece.tokens (count), not ids), delete this note, and go straight on to llamacpp + tests/tiny.py (urgent).
# /tmp/w/models is ready. DIVISION: the LEAD now writes engines/llamacpp.py, engines/lora_gguf.py, engines/choose.py (leave them, review them later); YOU write tests/tiny.py (urgent), torch_peft.py, all tests, benchmarks, and merge wheel.py/conversion.py with models.py.
"""The torch side of base models: a GGUF made canonical, a Hub id made local.

`python -m assistant.base_models GGUF FOLDER` converts in a process of its own, because the half
gigabyte that it takes should not stay with the server.
"""

import subprocess
import sys
from pathlib import Path

from storage.errors import BadInput
from storage.models import BaseModel, ModelUnavailable, Progress, resolve_base


def open_base(name: str, models: Path, *, progress: Progress | None = None) -> BaseModel:
    """The base `name` on this disk, fetched and converted if need be. See `resolve_base`."""
    return resolve_base(name, models, convert=convert, download=download, progress=progress)


def convert(gguf: Path, folder: Path) -> None:
    """Write the canonical form of a GGUF (safetensors, tokenizer, chat template) into `folder`.

    Raises BadInput with the converter's last line when the file cannot be read.
    """
    command = [sys.executable, "-m", "assistant.base_models", str(gguf), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BadInput(f"The model file {gguf} cannot be converted: {last}")


def download(name: str, folder: Path) -> None:
    """Fetch a Hub model's safetensors and tokenizer into `folder`; nothing that could run."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        snapshot_download(
            name,
            local_dir=folder,
            allow_patterns=["*.safetensors", "*.json", "*.jinja", "tokenizer.model"],
        )
    except HFValidationError as error:
        raise BadInput(f"{name!r} is no Hub id: {error}") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelUnavailable(
            f"The base model {name!r} cannot be fetched from the Hub ({type(error).__name__}); "
            "check the name and the network, or give a local folder."
        ) from error


def main(gguf: Path, folder: Path) -> None:
    """Convert here and now; reads the GGUF by transformers."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    read = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    config = read.config
    # transformers marks a model read from GGUF as quantised and then refuses to save it.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = type(read)(config)
    plain.load_state_dict(read.state_dict())
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
