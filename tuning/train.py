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


def token_losses(model: Any, part: Part) -> tuple[torch.Tensor, torch.Tensor]:
    """For each label of the part: its negative log-likelihood, and whether it is the likeliest.

    Both of shape (labels,). The same figures as each row alone would give.
    """
    logits = _logits(model, _states(model, part))
    labels = torch.tensor(part.labels, device=logits.device)
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    return losses, logits.detach().argmax(-1) == labels


def drifts(model: Any, part: Part, known: dict[str, torch.Tensor]) -> torch.Tensor:
    """For each label of the part: how far the adapter has moved the base's whole distribution.

    The Kullback-Leibler divergence from the base to the adapted model, in nats, shape (labels,).
    Held small on ordinary text it keeps what the base knows (Li and Hoiem 2016, "Learning without
    Forgetting", arXiv:1606.09282); to learn the base's answers as texts held much less of it.
    """
    base = _base_states(model, part, known)
    before, after = (
        torch.log_softmax(_logits(model, states), -1) for states in (base, _states(model, part))
    )
    return torch.nn.functional.kl_div(after, before, log_target=True, reduction="none").sum(-1)


def _base_states(model: Any, part: Part, known: dict[str, torch.Tensor]) -> torch.Tensor:
    """The base's own `_states`, computed once for each row and then kept in `known`.

    A row comes round some six times: to compute it anew took a tenth of a round. What is kept are
    states and not logits, which would be 85 times as much (49152 words for 576 values).
    """
    if any(row.id not in known for row in part.rows):
        with torch.no_grad(), model.disable_adapter():
            states = _states(model, part)
        sizes = [len(row.completion_ids) for row in part.rows]
        known.update(zip((row.id for row in part.rows), states.split(sizes), strict=True))
    return torch.cat([known[row.id] for row in part.rows])


def _states(model: Any, part: Part) -> torch.Tensor:
    """What the last block says where the part has labels: (labels, width)."""
    device = model.device
    hidden = (
        model.get_base_model()
        .base_model(
            input_ids=torch.tensor([part.ids], device=device),
            position_ids=torch.tensor([part.positions], device=device),
            attention_mask=_mask(part, device),
            use_cache=False,
        )
        .last_hidden_state[0]
    )
    return hidden[torch.tensor(part.label_at, device=device)]


def _logits(model: Any, states: torch.Tensor) -> torch.Tensor:
    """The output layer, which no adapter changes: (states, vocabulary), fp32."""
    return model.get_base_model().get_output_embeddings()(states).float()


def _mask(part: Part, device: torch.device) -> torch.Tensor:
    """(1, 1, tokens, tokens), true where a token may look: back, at its row or the beginning."""
    segments = torch.tensor(part.segments, device=device)
    seen = (segments[None, :] == segments[:, None]) | (segments[None, :] == 0)
    return seen.tril()[None, None]


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
        if parameter.requires_grad and not on_gpu:  # TRL made them bf16, which a CPU emulates
            parameter.data = parameter.data.float()
    optimizer = trainer.create_optimizer()
    trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, course.rate)
    return trainer


def _arguments(config: RoundConfig, steps: int, scratch: Path, on_gpu: bool) -> SFTConfig:
    return SFTConfig(
        output_dir=str(scratch),
        max_steps=steps,
        per_device_train_batch_size=1,  # an item is a step; the course knows what is in it
        learning_rate=config.learning_rate,
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
