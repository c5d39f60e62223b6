"""What a round would do and cost, before it does: the page's summary and `tune --dry-run`."""

import math
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from assistant.app import App
from assistant.engines.choose import has_cuda
from assistant.lessons import Lesson, lessons
from assistant.replay import REPLAY_TOKENS, replay_count
from storage.errors import BadInput
from storage.records import Workspace
from tuning.batches import passes
from tuning.config import Method, RoundConfig
from tuning.memory import fits, unpacked_bytes

PAIRS_NEEDED = 8
"""Approved corrections under which a round is refused: two held-out cases decide nothing."""
TOKENS_A_SECOND = {"cpu": 150.0, "cuda": 8000.0}
"""Training speed assumed for the estimate (135M base; two cores, one H200)."""


@dataclass(frozen=True)
class RoundPlan:
    """What a round would do: the dry run that the page and `tune --dry-run` show."""

    workspace: str
    train: int
    held_out: int
    replay: int
    needs: int
    tokens_a_pass: int
    minutes: float
    memory_bytes: int
    advice: str
    config: RoundConfig
    lessons: tuple[Lesson, ...]


def plan_round(app: App, workspace: Workspace, dials: Mapping[str, Any] | None = None) -> RoundPlan:
    """What a round would train on and cost. Raises BadInput when there are too few pairs."""
    config = RoundConfig.from_json(
        {
            "threads": app.settings.threads,
            "max_minutes": app.settings.round_minutes,
            **(dials or {}),
        }
    )
    if config.method == "auto":
        config = replace(config, method=_method(app))
    config = replace(config, learning_rate=config.peak_rate)
    with closing(app.db()) as db:
        found = lessons(app, db, workspace)
        replayable = replay_count(db, workspace)
    if len(found) < PAIRS_NEEDED:
        raise BadInput(
            f"Workspace {workspace.name!r} has {len(found)} approved corrections and a round needs "
            f"{PAIRS_NEEDED}: approve {PAIRS_NEEDED - len(found)} more."
        )
    trained = [lesson for lesson in found if lesson.split == "train"]
    replay = min(math.ceil(config.replay_share * len(trained)), replayable)
    tokens = sum(lesson.tokens for lesson in trained) + replay * 2 * REPLAY_TOKENS
    return RoundPlan(
        workspace=workspace.name,
        train=len(trained),
        held_out=len(found) - len(trained),
        replay=replay,
        needs=len({lesson.pair.group for lesson in found}),
        tokens_a_pass=tokens,
        minutes=_minutes(config, tokens, len(trained) + replay),
        memory_bytes=_memory(app, config),
        advice=_advice(found),
        config=config,
        lessons=tuple(found),
    )


def _method(app: App) -> Method:
    """The one that trains over the weights that will serve: torch_peft holds them in nf4 on a GPU,
    and a CPU as they are. Taught over an nf4 copy of what served, the sample company's adapter had
    48 of 56 held-out questions right; taught over what served, 55."""
    serves_nf4 = has_cuda() and app.settings.engine != "llamacpp"
    return "qlora" if serves_nf4 or not fits(app.base.folder) else "lora"


def _minutes(config: RoundConfig, tokens: int, rows: int) -> float:
    turns = passes(math.ceil(rows / config.batch_size), config)
    rate = TOKENS_A_SECOND["cuda" if has_cuda() else "cpu"]
    return round(min(config.max_minutes, tokens * turns / rate / 60) + 2, 1)


def _memory(app: App, config: RoundConfig) -> int:
    """Bytes on a CPU, by rounds of the sample company (2.5 to 3.3 GB): libraries 1 GB, the weights
    (a third with the scales in nf4, two fifths in int8), and 1.8 MB of activations for each token
    of a step."""
    held = unpacked_bytes(app.base.folder)
    if config.method == "qlora":
        held = held // 3 if config.quantization == "nf4" else held * 2 // 5
    return 1_000_000_000 + held + config.step_tokens * 1_800_000


def _advice(found: list[Lesson]) -> str:
    thin = len(Counter(one.pair.group for one in found)) - _judged(found)
    if _judged(found) < 5:
        return (
            f"Only {_judged(found)} needs have three wordings or more; with fewer than five the "
            "gate cannot decide. Correct the same need in other words first."
        )
    if thin:
        return f"Worth a round. {thin} needs with one or two wordings are taught but not judged."
    return "Worth a round."


def _judged(found: list[Lesson]) -> int:
    return len({one.pair.group for one in found if one.split == "new wordings"})
