"""The state of a training as plain tensors and plain values, to save and to go on from.

Import late: this file brings torch. Nothing here is pickled or unpickled.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from tuning.checkpoint import Checkpoint, save_checkpoint
from tuning.course import TrainingFailed


def save_state(trainer: Any, out: Path, bundle: str) -> Checkpoint:
    """A checkpoint of a `PackedTrainer` between two steps. Raises OSError when it cannot be."""
    tensors = {**_weights(trainer), **_adam(trainer), **_torch_random()}
    tensors |= {f"known.{row}": states for row, states in trainer.known.items()}
    # clones, because safetensors refuses views of one another, which the known states are
    kept = {
        name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()
    }
    return save_checkpoint(
        out,
        trainer.course.step,
        bundle=bundle,
        facts={
            "course": trainer.course.state(),
            "scheduler": trainer.lr_scheduler.state_dict(),
            "random": _plain_random(),
        },
        write_tensors=lambda path: save_file(kept, path),
    )


def restore_state(trainer: Any, checkpoint: Checkpoint) -> Callable[[], None]:
    """Puts the trainer where the checkpoint was taken; what is returned does so for chance.

    Call that right before the first step: a data loader draws a number when it starts. Raises
    TrainingFailed when the checkpoint is of another shape than the trainer.
    """
    # clones, because a file's tensors lie where no allocator would put them, and how products are
    # rounded depends on that: the adapter ended 1e-5 elsewhere
    tensors = {name: value.clone() for name, value in load_file(checkpoint.tensors).items()}
    facts = checkpoint.facts()
    device = trainer.model.device
    try:
        with torch.no_grad():
            for name, weights in _weights(trainer).items():
                weights.copy_(tensors[name])
        _restore_adam(trainer.optimizer, tensors)
        trainer.course.restore(facts["course"])
    except (KeyError, RuntimeError, StopIteration) as error:
        raise TrainingFailed(
            f"The checkpoint in {checkpoint.folder} does not fit this round ({error}): "
            "start a new round."
        ) from error
    trainer.lr_scheduler.load_state_dict(facts["scheduler"])
    for group, rate in zip(
        trainer.optimizer.param_groups, trainer.lr_scheduler.get_last_lr(), strict=True
    ):
        group["lr"] = rate
    trainer.known = {
        name.removeprefix("known."): value.to(device)
        for name, value in tensors.items()
        if name.startswith("known.")
    }
    return lambda: _restore_random(tensors, facts["random"])


def _weights(trainer: Any) -> dict[str, torch.Tensor]:
    """What is trained, by name: whatever the method adds to the base."""
    named = trainer.model.named_parameters()
    return {f"weights.{name}": weights for name, weights in named if weights.requires_grad}


def _adam(trainer: Any) -> dict[str, torch.Tensor]:
    states = trainer.optimizer.state_dict()["state"]
    return {
        f"adam.{place}.{name}": torch.as_tensor(value)
        for place, values in states.items()
        for name, value in values.items()
    }


def _restore_adam(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    states: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        kind, _, rest = key.partition(".")
        if kind == "adam":
            place, _, name = rest.partition(".")
            states.setdefault(int(place), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": states})


def _torch_random() -> dict[str, torch.Tensor]:
    found = {"random.cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        found["random.cuda"] = torch.cuda.get_rng_state()
    return found


def _plain_random() -> dict[str, Any]:
    kind, words, *rest = np.random.get_state(legacy=True)
    return {"python": random.getstate(), "numpy": [kind, np.asarray(words).tolist(), *rest]}


def _restore_random(tensors: dict[str, torch.Tensor], plain: dict[str, Any]) -> None:
    version, words, gauss = plain["python"]
    random.setstate((version, tuple(words), gauss))
    kind, words, *rest = plain["numpy"]
    np.random.set_state((kind, np.array(words, dtype=np.uint32), *rest))
    torch.set_rng_state(tensors["random.cpu"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])
