"""What a round would do and cost, before it does: the page's summary and `tune --dry-run`."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlite_utils import Database

from assistant.app import App
from assistant.caps import in_words, left_out, one_voice
from assistant.dials import with_own_dials
from assistant.engines.choose import best_engine, engine_beside, has_cuda, judging_engine
from assistant.engines.remote_place import remote_place
from assistant.estimate import Pace, pace, training_minutes, writing_minutes
from assistant.judged_lessons import preferences, thumbs
from assistant.lessons import Lesson, fitting, lessons
from assistant.masks import in_words as masked_in_words
from assistant.replay import REPLAY_TOKENS, replay_count
from assistant.round_start import choose_start
from assistant.runners import runner_of
from assistant.written import Task, recombining, task_of
from storage.errors import BadInput
from storage.records import Adapter, Workspace
from tuning.adapter_kinds import Kind
from tuning.batches import Pass
from tuning.config import Method, Objective, RoundConfig
from tuning.memory import fits, unpacked_bytes
from tuning.objective import Material, choose

if TYPE_CHECKING:
    from assistant.sweeping import Wanted

NEEDS_JUDGED = 5
"""Needs on new wordings under which the gate cannot decide at its usual risk of 5%."""
HOW_TO_PARAPHRASE = "write a paraphrase: `apprentice feedback paraphrase ID QUESTION`"
JUDGED_HERE = (
    "judged by an engine here, as that server takes no adapter while it runs: llama.cpp's must be "
    "started again with the new one after the round"
)


@dataclass(frozen=True)
class RoundPlan:
    """What a round would do: the dry run that the page and `tune --dry-run` show."""

    workspace: str
    train: int
    held_out: int
    replay: int
    paraphrases: int
    needs: int
    tokens_a_pass: int
    minutes: float
    memory_bytes: int
    advice: str
    config: RoundConfig
    lessons: tuple[Lesson, ...]
    judged: tuple[Lesson, ...] = ()
    """Preferences for `dpo`, thumbs for `kto`: what is taught beside the corrections."""
    start: Adapter | None = None
    """The adapter that is taught on; None: the base."""
    notes: tuple[str, ...] = ()
    """Why this objective, what is left out, and why it starts where it does."""
    advice_kind: str = "train"
    """What would help: document, prompt, examples or train; see `advice.py`."""
    measured: str = ""
    """Where minutes and memory come from."""
    served_by: str = ""
    """The engine that will answer by the adapter, and what that costs."""
    runner: str = "local"
    """What trains it; see `tuning.runners`."""
    trained_by: str = ""
    """And where, in words."""
    sweep: "Wanted | None" = None
    """What looks for the dials first."""

    @property
    def pairs(self) -> dict[str, int]:
        """How many rows of each kind."""
        kinds = Counter(one.kind for one in self.judged)
        counts = {"train": self.train, "held_out": self.held_out, "replay": self.replay}
        return counts | {"preferences": kinds["preference"], "thumbs": kinds["thumb"]}


def plan_round(
    app: App,
    workspace: Workspace,
    dials: Mapping[str, Any] | None = None,
    start: str | None = None,
    runner: str | None = None,
) -> RoundPlan:
    """What a round would train on and cost.

    `start` is "base", an adapter's id, or None: by the budget of minutes. `runner` None is the
    workspace's own, else the house's. Raises BadInput when there are too few pairs, and what
    `choose_start` and `Runner.ready` raise.
    """
    by = runner_of(app.settings, runner or workspace.settings.runner)
    trained_by = by.ready()
    config = _config(app, workspace, asked := with_own_dials(workspace, dials))
    with closing(app.db()) as db:
        found, too_long = fitting(app, lessons(app, db, workspace))
        taught, capped = _taught_and_capped(app, db, workspace, found, config.objective)
        config = replace(config, objective=taught.objective)
        replayable = replay_count(db, workspace)
        known = pace(app, db, config, by.name)

        def minutes(some: Sequence[Lesson]) -> float:
            work = _work(workspace, some, taught.judged, config, replayable)
            return _training(work, config, known) + writing_minutes(work.task, config, known)

        chosen = choose_start(
            app, db, workspace, found, config, wanted=start, asked=asked, minutes=minutes
        )
        voice = one_voice(db, [one.pair.feedback_id for one in found if one.split == "train"])
    trained = [lesson for lesson in chosen.lessons if lesson.split == "train"]
    paraphrases = sum(len(lesson.paraphrases) for lesson in chosen.lessons)
    work = _work(workspace, chosen.lessons, taught.judged, config, replayable)
    writing, writes = writing_minutes(work.task, config, known), _writes(workspace, work.task)
    training = min(config.max_minutes - writing, _training(work, config, known))
    return RoundPlan(
        workspace=workspace.name,
        train=len(trained),
        held_out=len(chosen.lessons) - len(trained) + paraphrases,
        replay=work.size.replay,
        paraphrases=paraphrases,
        needs=len({lesson.pair.group for lesson in chosen.lessons}),
        tokens_a_pass=work.tokens,
        minutes=round(training + writing + known.rest_minutes, 1),
        memory_bytes=known.peak_bytes,
        advice=_advice(found),
        config=chosen.config,
        lessons=chosen.lessons,
        judged=taught.judged,
        start=chosen.adapter,
        notes=(
            *(taught.why, *capped, *voice, *_masked((*chosen.lessons, *taught.judged))),
            *(*too_long, *taught.too_long, *chosen.notes, *writes),
        ),
        measured=known.source,
        served_by=served_by(app, chosen.config.method),
        runner=by.name,
        trained_by=trained_by,
    )


def _masked(found: Sequence[Lesson]) -> tuple[str, ...]:
    return masked_in_words(one.masked for one in found)


def _writes(workspace: Workspace, task: Task | None) -> tuple[str, ...]:
    if task is None:
        return ()
    said = []
    if task.samples:
        thin = f"{len(task.thin)} needs have one or two wordings"
        said.append(f"{thin}: the round writes others itself.")
    check = recombining(workspace.settings.checks)
    if task.queries and check is not None:
        name = Path(str(check["database"])).name
        said.append(f"It makes new queries too, with numbers and common values of {name}.")
    return tuple(said)


def _config(app: App, workspace: Workspace, asked: Mapping[str, Any]) -> RoundConfig:
    """The dials: what was asked (the workspace's own among it), else the server's."""
    minutes = workspace.settings.round_minutes or app.settings.round_minutes
    config = RoundConfig.from_json(
        {"threads": app.settings.threads, "max_minutes": minutes, **asked}
    )
    if config.method == "auto":
        config = replace(config, method=method_for(app))
    return replace(config, learning_rate=config.peak_rate)


@dataclass(frozen=True)
class _Taught:
    """What the objective makes of the judged replies."""

    objective: Objective
    why: str
    judged: tuple[Lesson, ...] = ()
    too_long: tuple[str, ...] = ()


def _taught_and_capped(
    app: App, db: Database, workspace: Workspace, found: Sequence[Lesson], wanted: Objective
) -> tuple[_Taught, tuple[str, ...]]:
    """With what the cap leaves out, in words: too few pairs may be too few because of it."""
    capped = in_words(left_out(db, workspace), workspace.settings.outside_cap)
    try:
        return _taught(app, db, workspace, found, wanted), capped
    except BadInput as error:
        raise BadInput(" ".join((str(error), *capped))) from None


def _taught(
    app: App, db: Database, workspace: Workspace, found: Sequence[Lesson], wanted: Objective
) -> _Taught:
    """The objective for these corrections and the replies judged beside them."""
    liked, long_likes = fitting(app, preferences(app, db, workspace, found))
    thumbed, long_thumbs = fitting(app, thumbs(app, db, workspace, found))
    compared = [one for one in (*found, *liked) if one.split == "train" and one.rejected_ids]
    material = Material(
        corrections=len(found),
        compared=len(compared),
        ups=sum(one.label is True for one in thumbed),
        downs=sum(one.label is False for one in thumbed),
    )
    objective, why = choose(wanted, material, workspace.name)
    if objective == "dpo":
        return _Taught(objective, why, tuple(liked), long_likes)
    if objective == "kto":
        return _Taught(objective, why, tuple(thumbed), long_thumbs)
    return _Taught(objective, why)


@dataclass(frozen=True)
class _Work:
    """What a round goes over."""

    tokens: int
    """Of a pass."""
    size: Pass
    task: Task | None
    """What it writes itself."""


def _training(work: _Work, config: RoundConfig, known: Pace) -> float:
    """Minutes of training, whether or not there are so many."""
    return training_minutes(config, known, work.tokens, work.size)


def _work(
    workspace: Workspace,
    found: Sequence[Lesson],
    judged: Sequence[Lesson],
    config: RoundConfig,
    replayable: int,
) -> _Work:
    tokens, size = _size((*found, *judged), config, replayable)
    task = task_of(workspace.settings.checks, found, config)
    if task is not None:
        recombined = min(task.kept_queries, math.ceil(size.pairs * config.recombined_share))
        tokens += recombined * tokens // size.pairs
    return _Work(tokens, size, task)


def _size(found: Sequence[Lesson], config: RoundConfig, replayable: int) -> tuple[int, Pass]:
    """Tokens of a pass over these lessons with their share of replay, and what it goes over."""
    trained = [lesson for lesson in found if lesson.split == "train"]
    replay = min(math.ceil(config.replay_share * len(trained)), replayable)
    tokens = sum(lesson.tokens for lesson in trained) + replay * 2 * REPLAY_TOKENS
    corrected = [lesson.pair.group for lesson in trained if lesson.kind == "correction"]
    wordings = len(corrected) / len(set(corrected)) if corrected else 0.0
    return tokens, Pass(len(trained), replay, wordings=wordings)


def served_by(app: App, method: Method) -> str:
    """The engine for the round's adapter. Raises BadInput when the one that is set cannot."""
    asked = app.settings.engine
    running = best_engine(app.base, app.settings.context) if asked == "auto" else asked
    kind: Kind = "lora" if method == "auto" or method == "qlora" else method
    beside = engine_beside(running, kind)
    if beside is None:
        judging = judging_engine(app.base, asked, remote_place(app.settings))
        return running if judging == asked else f"{running}; {JUDGED_HERE}"
    if asked != "auto":
        raise BadInput(
            f"{asked} cannot serve what the method {method} makes on this base: set "
            "APPRENTICE_ENGINE=auto or torch_peft, or tune by lora or rslora."
        )
    more = unpacked_bytes(app.base.folder) / 1e9
    return f"{beside} beside {running}; the base is then held twice, about {more:.1f} GB more"


def method_for(app: App) -> Method:
    """The one that trains over the weights that will serve: torch_peft holds them in nf4 on a GPU,
    and a CPU as they are. Taught over an nf4 copy of what served, the sample company's adapter had
    48 of 56 held-out questions right; taught over what served, 55."""
    serves_nf4 = has_cuda() and app.settings.engine in ("auto", "torch_peft")
    return "qlora" if serves_nf4 or not fits(app.base.folder) else "lora"


def _advice(found: list[Lesson]) -> str:
    worded, paraphrased = _judged(found)
    judged = len(worded | paraphrased)
    thin = len({one.pair.group for one in found}) - judged
    if judged < NEEDS_JUDGED:
        return (
            f"Only {judged} needs have three wordings or a paraphrase; with fewer than "
            f"{NEEDS_JUDGED} the gate cannot decide. Correct the same need in other words, or "
            f"{HOW_TO_PARAPHRASE}."
        )
    said = ["Worth a round."]
    if paraphrased - worded:
        said.append(f"{len(paraphrased - worded)} needs are judged by paraphrases.")
    if thin:
        said.append(
            f"{thin} needs with one or two wordings are taught but not judged; to judge them, "
            f"{HOW_TO_PARAPHRASE}."
        )
    return " ".join(said)


def _judged(found: list[Lesson]) -> tuple[set[str], set[str]]:
    """The needs that a held-out wording judges, and those that a paraphrase does."""
    worded = {one.pair.group for one in found if one.split == "new wordings"}
    paraphrased = {one.pair.group for one in found if one.paraphrases and one.split != "new needs"}
    return worded, paraphrased
