"""A bundle becomes an adapter: the only file that imports TRL.

TRL's SFTTrainer trains; two things are ours. Rows are packed with their common beginning held once
(`batches.py`), and the output layer is computed only where a token is learned: on a CPU TRL
computes every word of the vocabulary for every token of the prompts too.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
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
from tuning.adapter_files import save_adapter, verify_adapter
from tuning.batches import Part
from tuning.bundle import Bundle, bundle_hash, read_bundle
from tuning.checkpoint import drop_checkpoints, last_checkpoint
from tuning.config import RoundConfig
from tuning.course import Course, TrainResult
from tuning.likelihood import measure_forgetting
from tuning.losses import (
    dpo_losses,
    drifts,
    kl_estimate,
    kto_losses,
    log_ratios,
    token_losses,
)
from tuning.methods import load_base, peft_config
from tuning.state import restore_state, save_state
from tuning.together import SILENCE_SECONDS, Together

OnProgress = Callable[[dict[str, Any]], None]
Look = Callable[[Any, int, bool], None]  # the PEFT model, epochs behind it, whether that is all

CHECKPOINT_SECONDS = 60.0
"""Seconds between two checkpoints: what a kill can cost at most."""
HOLD = 6.0
"""What a nat of drift on ordinary text counts, where a nat of a taught token counts 1."""


def train(
    bundle_folder: Path,
    model_folder: Path,
    out_folder: Path,
    *,
    start: Path | None = None,
    resume: bool = False,
    step_tokens: int | None = None,
    threads: int | None = None,
    look: Look | None = None,
    on_progress: OnProgress = lambda said: None,
) -> TrainResult:
    """Teaches the bundle to an adapter on the base in `model_folder`; saves `out_folder/adapter`.

    `start` is the folder of the adapter that the bundle goes on from. `resume` goes on from the
    last complete checkpoint in `out_folder`, if there is one. `step_tokens` overrides the bundle's
    where memory is short: it changes what is computed at once, not what is learned. `threads`
    overrides the bundle's, which are of the machine where it was made. `look` is called after each
    epoch and when training ends.

    `on_progress` gets {"step", "steps", "epoch", "loss", "learned", "pairs", "learning_rate",
    "seconds", "done", "seconds_left"} after each step; `done` is a share, and the rest an estimate
    that an early end undercuts. Raises BadInput for a bundle or base that cannot be used,
    AdapterRefused for a `start` that cannot, and TrainingFailed when the loss is no number.
    """
    bundle = read_bundle(bundle_folder)
    if step_tokens is not None:
        bundle = replace(bundle, config=replace(bundle.config, step_tokens=step_tokens))
    start = _verified(bundle, start)
    if not (model_folder / "config.json").is_file():
        raise BadInput(f"There is no base model in {model_folder}: it has no config.json.")
    together = Together()
    if count := together.threads(bundle.config.threads if threads is None else threads):
        torch.set_num_threads(count)
    set_seed(bundle.config.seed)
    with tempfile.TemporaryDirectory(prefix="apprentice-") as scratch:
        trainer = make_trainer(bundle, model_folder, Path(scratch), on_progress, start, together)
        _keep_checkpoints(trainer, out_folder, bundle_hash(bundle_folder), resume)
        trainer.teller.look = look
        together.all([])  # their clock begins
        trainer.course.start()
        if not trainer.course.done():
            trainer.train()
        others = sum(together.all([peak_rss_bytes()])) - peak_rss_bytes()
        if not together.leads:
            return trainer.course.result()
        trainer.model.save_pretrained(scratch, save_embedding_layers=False)
        kept = measure_forgetting(trainer.model, bundle.likelihood, on_progress)
        peak = peak_rss_bytes() + others
        result = replace(trainer.course.result(), sentinel=kept, peak_rss_bytes=peak)
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
    drop_checkpoints(out_folder)
    return result


def _verified(bundle: Bundle, start: Path | None) -> Path | None:
    """The folder of the adapter that the bundle names, or None; raises for another one."""
    if bundle.start is None:
        return None
    start = start or bundle.folder / "start"
    if not start.is_dir():
        raise BadInput(
            f"The bundle goes on from an adapter that is not in {start}: "
            "name its folder with --start."
        )
    verify_adapter(start, bundle.base_fingerprint, expected_manifest=bundle.start)
    return start


def _keep_checkpoints(trainer: "PackedTrainer", out: Path, bundle: str, resume: bool) -> None:
    """From here on checkpoints are saved into `out`; with `resume` the last one is gone on from."""
    checkpoint = last_checkpoint(out, bundle) if resume else None
    if checkpoint is None and trainer.together.leads:
        drop_checkpoints(out)
    if checkpoint is not None:
        trainer.teller.restore_chance = restore_state(trainer, checkpoint)
        trainer.args.max_steps = max(1, trainer.course.steps - checkpoint.step)
    if trainer.together.leads:
        trainer.teller.keep = lambda: save_state(trainer, out, bundle)


class PackedTrainer(SFTTrainer):
    """SFTTrainer whose step is a list of parts, and whose loss is computed at the labels alone."""

    course: Course
    known: dict[str, torch.Tensor]
    teller: "_Teller"
    together: Together

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
        """Gradients of one step; returns its mean loss, replay left out.

        Words count by the mean over the step's labels, replay's among them; pairs that are compared
        and thumbs by the mean of their own, as in TRL.
        """
        model.train()
        model = self.model  # not accelerate's wrapping of it, which adds gradients its own way
        step = self.course.next_parts(at_least=self.together.size)
        share = _Share(step)
        thumbs = [row for part in step if part.is_thumb for row in part.rows]
        with self.compute_loss_context_manager():
            kl = kl_estimate(model, thumbs, self.course.config.step_tokens)
        costs: list[tuple[int, _Seen]] = []
        for place in self.together.mine(step):
            with self.compute_loss_context_manager():
                loss, seen = self._cost(model, step[place], kl, share)
            costs.append((place, seen))
            self.accelerator.backward(loss)
        self.together.add_up(model.parameters())
        total = 0.0
        for place, (said, losses, right) in sorted(self.together.all(costs)):
            total += said
            if losses:
                self.course.saw(step[place], losses, right)
        self.course.end_step(total)
        return torch.tensor(total, device=self.args.device)

    def _cost(
        self, model: Any, part: Part, kl: torch.Tensor, share: "_Share"
    ) -> tuple[torch.Tensor, "_Seen"]:
        if part.is_replay:
            return HOLD * drifts(model, part, self.known).sum() / share.words, (0.0, [], [])
        if part.is_thumb:
            return self._judged(model, part, kl, share)
        return self._taught(model, part, share)

    def _taught(self, model: Any, part: Part, share: "_Share") -> tuple[torch.Tensor, "_Seen"]:
        """Corrections to be said, and said rather than the wrong answer where one is beside it.

        Both count the same, as in RPO (Pang et al. 2024, arXiv:2404.19733): DPO alone makes the
        chosen answer less likely too.
        """
        losses, likeliest = token_losses(model, part)
        seen = _by_row(part, losses.detach(), likeliest)
        wrong = [row.kind == "rejected" for row in part.rows]
        spoken = ~torch.tensor(wrong, device=losses.device)[
            torch.tensor(part.label_rows, device=losses.device)
        ]
        words = losses[spoken].sum()
        loss, said = words / share.words, words.item() / max(1, share.taught)
        if any(wrong):
            ratios = log_ratios(model, part, losses, self.known)
            places = torch.tensor([place for place, bad in enumerate(wrong) if bad])
            beta = self.course.config.beta
            compared = dpo_losses(ratios[places - 1], ratios[places], beta).sum() / share.pairs
            loss, said = loss + compared, said + compared.item()
        return loss, (said, *seen)

    def _judged(
        self, model: Any, part: Part, kl: torch.Tensor, share: "_Share"
    ) -> tuple[torch.Tensor, "_Seen"]:
        """Replies with thumbs, to become likelier or less likely than the base has them."""
        losses, _ = token_losses(model, part)
        ratios = log_ratios(model, part, losses, self.known)
        liked = torch.tensor([bool(row.label) for row in part.rows], device=ratios.device)
        each = kto_losses(ratios, liked, kl, self.course.config.beta)
        moved = ((ratios > kl) == liked).tolist()
        up, down = self.course.thumb_weights
        loss = (torch.where(liked, up, down) * each).sum() / share.thumbs
        return loss, (loss.item(), each.tolist(), moved)

    def _clip_grad_norm(self, model: Any) -> Any:
        """transformers' own, which would scale every weight by a norm that is no number."""
        norm = super()._clip_grad_norm(model)
        self.course.check_gradient(float(norm))
        return norm


class _Share:
    """What the parts of a step divide their sums by."""

    def __init__(self, step: list[Part]) -> None:
        labels = [(part, part.rows[place].kind) for part in step for place in part.label_rows]
        spoken = [kind for part, kind in labels if kind not in ("rejected", "thumb")]
        self.words = max(1, len(spoken))
        self.taught = sum(kind != "replay" for kind in spoken)
        rows = [row.kind for part in step for row in part.rows]
        self.pairs, self.thumbs = rows.count("rejected"), rows.count("thumb")


_Seen = tuple[float, list[float], list[bool]]
"""Of a part: its loss as it is told, and what `Course.saw` takes in; none of replay."""


def _by_row(
    part: Part, losses: torch.Tensor, likeliest: torch.Tensor
) -> tuple[list[float], list[bool]]:
    """Each row's mean loss and whether all its labels were likeliest."""
    rows = torch.tensor(part.label_rows, device=losses.device)
    sums = torch.bincount(rows, weights=losses.float())
    wrong = torch.bincount(rows, weights=(~likeliest).float())
    return (sums / torch.bincount(rows)).tolist(), (wrong == 0).tolist()


class _Teller(TrainerCallback):
    """Reports each step, keeps checkpoints, and ends the training when the course is done."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self.trainer: PackedTrainer | None = None
        self.keep: Callable[[], object] = lambda: None
        self.restore_chance: Callable[[], None] | None = None
        self.look: Look | None = None
        self._kept_at = time.monotonic()
        self._kept_step = 0

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        if self.restore_chance is not None:
            self.restore_chance()
            self.restore_chance = None
            assert self.trainer is not None
            self._kept_step = self.trainer.course.step

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
                "step": course.step,
                "steps": course.steps,
                "epoch": round(course.step / course.steps_an_epoch, 2),
                "loss": round(course.last_loss, 5),
                "learned": course.learned,
                "pairs": course.pairs,
                "learning_rate": args.learning_rate * course.rate(course.step),
                "seconds": course.seconds,
                "done": round(course.share_done, 4),
                "seconds_left": round(course.seconds * (1 / course.share_done - 1), 1),
            }
        )
        control.should_training_stop = course.done()
        if self.look and (control.should_training_stop or course.step % course.steps_an_epoch == 0):
            epoch = course.step // course.steps_an_epoch
            self.look(self.trainer.model, epoch, control.should_training_stop)
        if not control.should_training_stop:
            self._keep_one(course)

    def _keep_one(self, course: Course) -> None:
        """A checkpoint if one is due; a disk that does not take it does not end the training."""
        due = time.monotonic() - self._kept_at > CHECKPOINT_SECONDS
        if not due and course.step - self._kept_step < course.config.checkpoint_steps:
            return
        try:
            self.keep()
        except OSError as error:
            self._on_progress({"note": f"no checkpoint could be saved: {error.strerror}"})
        self._kept_at, self._kept_step = time.monotonic(), course.step


def make_trainer(
    bundle: Bundle,
    model_folder: Path,
    scratch: Path,
    on_progress: OnProgress,
    start: Path | None = None,
    together: Together | None = None,
) -> PackedTrainer:
    """The trainer of a round, its course set; TRL's only file output goes to `scratch`.

    With `start`, a verified adapter's folder, its weights are trained on.
    """
    on_gpu, together = torch.cuda.is_available(), together or Together()
    course = Course(bundle.train, bundle.config, together.clock)
    teller = _Teller(on_progress if together.leads else lambda said: None)
    base = load_base(model_folder, bundle.config)
    trainer = PackedTrainer(
        model=PeftModel.from_pretrained(base, start, is_trainable=True) if start else base,
        args=_arguments(bundle.config, course.steps, scratch, on_gpu),
        train_dataset=Dataset.from_dict({"step": list(range(course.steps * together.size))}),
        data_collator=_no_batch,
        processing_class=AutoTokenizer.from_pretrained(model_folder, local_files_only=True),
        peft_config=None if start else peft_config(bundle.config, base),
        callbacks=[teller],
    )
    trainer.remove_callback(PrinterCallback)  # standard output is ours
    trainer.course, trainer.known, trainer.together = course, {}, together
    teller.trainer, trainer.teller = trainer, teller
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
        ddp_timeout=SILENCE_SECONDS,
    )


def _no_batch(items: list[dict[str, int]]) -> dict[str, torch.Tensor]:
    """A step's place in the run; the course builds its tensors."""
    return {"step": torch.tensor([item["step"] for item in items])}


def peak_rss_bytes() -> int:
    """The most memory this process has held at once."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
