"""A bundle becomes an adapter: the only file that imports TRL.

TRL's SFTTrainer trains; two things are ours. Rows are packed with their common beginning held once
(`batches.py`), and the output layer is computed only where a token is learned: on a CPU TRL
computes every word of the vocabulary for every token of the prompts too.
"""

import resource
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    AutoTokenizer,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from trl import SFTConfig, SFTTrainer

from storage.errors import BadInput
from tuning.adapter_files import save_adapter
from tuning.batches import Part
from tuning.bundle import Bundle, bundle_hash, read_bundle
from tuning.config import RoundConfig
from tuning.course import Course, TrainResult
from tuning.losses import drifts, token_losses
from tuning.methods import load_base, peft_config

OnProgress = Callable[[dict[str, Any]], None]

HOLD = 6.0
"""What a nat of drift on ordinary text counts, where a nat of a taught token counts 1."""


def train(
    bundle_folder: Path,
    model_folder: Path,
    out_folder: Path,
    *,
    on_progress: OnProgress = lambda said: None,
) -> TrainResult:
    """Teaches the bundle to an adapter on the base in `model_folder`; saves `out_folder/adapter`.

    `on_progress` gets {"step", "steps", "epoch", "loss", "learned", "pairs", "learning_rate",
    "seconds", "done", "seconds_left"} after each step; `done` is a share, and the rest an estimate
    that an early end undercuts. Raises BadInput for a bundle or base that cannot be used and
    TrainingFailed when the loss is no number.
    """
    bundle = read_bundle(bundle_folder)
    if not (model_folder / "config.json").is_file():
        raise BadInput(f"There is no base model in {model_folder}: it has no config.json.")
    if bundle.config.threads:
        torch.set_num_threads(bundle.config.threads)
    set_seed(bundle.config.seed)
    with tempfile.TemporaryDirectory(prefix="apprentice-") as scratch:
        trainer = make_trainer(bundle, model_folder, Path(scratch), on_progress)
        trainer.course.start()
        trainer.train()
        trainer.model.save_pretrained(scratch, save_embedding_layers=False)
        result = replace(trainer.course.result(), peak_rss_bytes=peak_rss_bytes())
        save_adapter(
            Path(scratch),
            out_folder / "adapter",
            base_fingerprint=bundle.base_fingerprint,
            base_model=bundle.base_model,
            method=bundle.config.method,
            round_id=bundle.round_id,
            metrics=asdict(result),
            extra={"bundle": bundle_hash(bundle_folder)},
        )
    return result


class PackedTrainer(SFTTrainer):
    """SFTTrainer whose step is a list of parts, and whose loss is computed at the labels alone."""

    course: Course
    known: dict[str, torch.Tensor]

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        """Gradients of one step; returns its mean loss a learned token, replay left out."""
        model.train()
        step_parts = self.course.next_parts()
        taught = sum(len(part.labels) for part in step_parts if not part.is_replay)
        count = sum(len(part.labels) for part in step_parts)
        total = 0.0
        for part in step_parts:
            with self.compute_loss_context_manager():
                if part.is_replay:
                    losses = HOLD * drifts(model, part, self.known)
                else:
                    losses, likeliest = token_losses(model, part)
                    _tell(self.course, part, losses.detach(), likeliest)
                    total += losses.detach().sum().item()
            self.accelerator.backward(losses.sum() / count)
        mean = total / max(1, taught)
        self.course.end_step(mean)
        return torch.tensor(mean, device=self.args.device)


def _tell(course: Course, part: Part, losses: torch.Tensor, likeliest: torch.Tensor) -> None:
    """Hands the course each row's mean loss and whether all its labels were likeliest."""
    rows = torch.tensor(part.label_rows, device=losses.device)
    sums = torch.bincount(rows, weights=losses.float())
    wrong = torch.bincount(rows, weights=(~likeliest).float())
    course.saw(part, (sums / torch.bincount(rows)).tolist(), (wrong == 0).tolist())


class _Teller(TrainerCallback):
    """Reports each step, and ends the training when the course is done."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self.trainer: PackedTrainer | None = None

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        assert self.trainer is not None
        course = self.trainer.course
        self._on_progress(
            {
                "step": state.global_step,
                "steps": course.steps,
                "epoch": round(state.global_step / course.steps_an_epoch, 2),
                "loss": round(course.last_loss, 5),
                "learned": course.learned,
                "pairs": course.pairs,
                "learning_rate": args.learning_rate * course.rate(state.global_step),
                "seconds": course.seconds,
                "done": round(course.share_done, 4),
                "seconds_left": round(course.seconds * (1 / course.share_done - 1), 1),
            }
        )
        control.should_training_stop = course.done()


def make_trainer(
    bundle: Bundle, model_folder: Path, scratch: Path, on_progress: OnProgress
) -> PackedTrainer:
    """The trainer of a round, its course set; TRL's only file output goes to `scratch`."""
    on_gpu = torch.cuda.is_available()
    course = Course(bundle.train, bundle.config)
    teller = _Teller(on_progress)
    base = load_base(model_folder, bundle.config)
    trainer = PackedTrainer(
        model=base,
        args=_arguments(bundle.config, course.steps, scratch, on_gpu),
        train_dataset=Dataset.from_dict({"step": list(range(course.steps))}),
        data_collator=_no_batch,
        processing_class=AutoTokenizer.from_pretrained(model_folder, local_files_only=True),
        peft_config=peft_config(bundle.config, base),
        callbacks=[teller],
    )
    trainer.remove_callback(PrinterCallback)  # standard output is ours
    trainer.course, trainer.known = course, {}
    teller.trainer = trainer
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:  # TRL made them bf16, too coarse for small steps
            parameter.data = parameter.data.float()
    optimizer = trainer.create_optimizer()
    trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, course.rate)
    return trainer


def _arguments(config: RoundConfig, steps: int, scratch: Path, on_gpu: bool) -> SFTConfig:
    return SFTConfig(
        output_dir=str(scratch),
        max_steps=steps,
        per_device_train_batch_size=1,  # an item is a step; the course knows what is in it
        learning_rate=config.peak_rate,
        max_grad_norm=1.0,
        seed=config.seed,
        use_cpu=not on_gpu,
        bf16=on_gpu,
        optim="adamw_torch_fused",
        gradient_checkpointing=on_gpu,  # on a CPU parts are small, and time is what is short
        train_sampling_strategy="sequential",
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        max_length=None,
    )


def _no_batch(items: list[dict[str, int]]) -> dict[str, torch.Tensor]:
    """A step's place in the run; the course builds its tensors."""
    return {"step": torch.tensor([item["step"] for item in items])}


def peak_rss_bytes() -> int:
    """The most memory this process has held at once."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
