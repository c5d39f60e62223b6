"""The writer: an adapter that asks the questions of taught answers, for the length of a round.

It is taught the round's own pairs the other way round, answer to question, by the same training as
the round's adapter, and asked for other wordings of needs that were taught in one or two, and for
the questions of new queries. Far better than what the base writes by itself (a third usable). It
has learned the corrections' words, so its folder goes as soon as it was asked.

Source: back-translation (Sennrich et al. 2016, arXiv:1511.06709), here from answers to questions.
"""

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from sqlite_utils import Database

from assistant.answering import ChildAnswerer
from assistant.app import App
from assistant.lessons import Lesson, judging_questions
from assistant.likeliest import LONGEST
from assistant.opponents import Watch
from assistant.replay import plain_inputs
from assistant.retrieval import examples_for, retrieve
from assistant.round_plan import RoundPlan, method_for
from assistant.written import (
    NOTHING,
    SHARE,
    Task,
    Written,
    kept_questions,
    kept_wordings,
    recombining,
    task_of,
)
from storage.errors import ApprenticeError
from storage.records import ChatMessage, Inputs, Workspace
from storage.round_documents import add_round_documents
from tuning.augment import same_words
from tuning.bundle import TrainRow, write_bundle
from tuning.checks import Check, check_for
from tuning.config import RoundConfig
from tuning.json_check import bare
from tuning.recombine import recombined
from tuning.sentinel import read_items
from tuning.supervise import ADAPTER, train_supervised

log = logging.getLogger(__name__)

WRITE = "Write the question that this answer belongs to."
FOLDER = "writer"
RATE, LEARNED = 1e-3, 0.3
"""The peak rate, and the loss from which it has learned enough."""
QUESTION_TOKENS = 64
TEMPERATURE = 0.8
"""For other wordings; 116 of 240 were kept at it."""
NEW_TEMPERATURE = 0.7
"""For questions to new queries, which should name all that is in them."""
AT_A_TIME = 16
"""Questions between two looks at the clock."""
_ID = 1
"""Its name in the process that answers, which knows no other adapter."""


def write(
    app: App,
    db: Database,
    workspace: Workspace,
    plan: RoundPlan,
    checks: Sequence[Check],
    folder: Path,
    watch: Watch,
) -> Written:
    """What the round writes itself before its bundle is written; nothing where it has no need to.

    Everything is filtered, so a base that writes rubbish changes nothing; if the writer cannot be
    trained or asked, a note says so. Works in `folder` and leaves nothing there. Raises only when
    the round was cancelled.
    """
    task = task_of(checks, plan.lessons, plan.config)
    if task is None:
        return NOTHING
    started = time.monotonic()
    sweep_writers(folder.parent)  # one round at a time: no other writer is at work
    found = _kept_or_why_not(app, db, workspace, plan, checks, task, folder, watch)
    return replace(found, minutes=(time.monotonic() - started) / 60)


def sweep_writers(rounds: Path) -> None:
    """Remove what a writer left behind that was killed with its server: it holds corrections.

    `rounds`: the folder of all rounds, none of which is at work.
    """
    for place in rounds.glob(f"*/{FOLDER}"):
        log.warning("what round %s was writing with is removed", place.parent.name)
        shutil.rmtree(place, ignore_errors=True)


def _kept_or_why_not(
    app: App,
    db: Database,
    workspace: Workspace,
    plan: RoundPlan,
    checks: Sequence[Check],
    task: Task,
    folder: Path,
    watch: Watch,
) -> Written:
    place = folder / FOLDER
    try:
        adapter = _train(app, plan, task, place, watch)
        with ChildAnswerer(app.base, app.settings, folder / "answers.log") as child:
            asked = _Asked(app, child, adapter, plan, watch)
            return _written(app, db, workspace, plan, checks, task, asked)
    except ApprenticeError as error:
        if watch.cancelled():
            raise
        why = str(error).partition("; its last words")[0].rstrip(".")  # they go with the folder
        log.warning("round %s writes no wordings of its own: %s", watch.round_id, why)
        return Written(notes=(f"The round wrote no wordings of its own: {why}.",))
    finally:
        shutil.rmtree(place, ignore_errors=True)


def writer_config(app: App, round_config: RoundConfig, task: Task) -> RoundConfig:
    """The dials of the writer's own training."""
    config = RoundConfig(
        method=method_for(app),
        quantization=round_config.quantization,
        objective="sft",
        learning_rate=RATE,
        learned_loss=LEARNED,
        variant_share=0.0,
        replay_share=0.0,
        max_minutes=max(0.01, round_config.max_minutes * SHARE),
        step_tokens=round_config.step_tokens,
        threads=round_config.threads,
        seed=round_config.seed,
    )
    return replace(config, epochs=task.passes(config))


def backwards_row(app: App, lesson: Lesson) -> TrainRow:
    """A lesson the other way round: its answer is asked, its question is learned."""
    messages = _please_ask(lesson.pair.chosen)
    return TrainRow(
        id=str(lesson.pair.feedback_id),
        group=lesson.pair.group,
        messages=tuple(messages),
        prompt_ids=tuple(app.tokenizer.render(messages)),
        completion=lesson.inputs.question,
        completion_ids=tuple(app.tokenizer.completion_ids(lesson.inputs.question)),
    )


def _please_ask(answer: str) -> list[ChatMessage]:
    return [{"role": "system", "content": WRITE}, {"role": "user", "content": answer}]


def _train(app: App, plan: RoundPlan, task: Task, place: Path, watch: Watch) -> Path:
    """The folder of the writer, trained. Raises RoundFailed and BadInput."""
    bundle = write_bundle(
        place / "bundle",
        config=writer_config(app, plan.config, task),
        base_fingerprint=app.base.fingerprint,
        base_model=app.base.name,
        round_id=watch.round_id,
        train=[
            row
            for row in (backwards_row(app, one) for one in task.taught)
            if len(row.prompt_ids) + len(row.completion_ids) <= app.settings.context
        ],
        heldout=(),
    )
    train_supervised(
        bundle,
        place / "out",
        app.base.folder,
        on_progress=lambda said: _say(watch, 0.03 + 0.01 * said.get("done", 0.0)),
        cancelled=watch.cancelled,
    )
    return place / "out" / ADAPTER


def _say(watch: Watch, share: float) -> None:
    watch.say(share, "writing other wordings")


@dataclass(frozen=True)
class _Asked:
    """The trained writer, to be asked within the round's minutes."""

    app: App
    child: ChildAnswerer
    adapter: Path
    plan: RoundPlan
    watch: Watch

    def of(
        self, answers: Sequence[str], temperature: float, until: float, done: float
    ) -> list[str]:
        """A question to each answer, in order; fewer when it is `until` (monotonic seconds).

        `done`: the round's share that is behind when all are asked.
        """
        said: list[str] = []
        for start in range(0, len(answers), AT_A_TIME):
            if time.monotonic() > until:
                log.warning("round %s: no time to write more", self.watch.round_id)
                break
            some = answers[start : start + AT_A_TIME]
            said += self.child.answer(
                [self.app.tokenizer.render(_please_ask(one)) for one in some],
                adapter=(_ID, self.adapter),
                max_tokens=QUESTION_TOKENS,
                temperature=temperature,
                seeds=[self.plan.config.seed * 100_000 + start + n for n in range(len(some))],
                cancelled=self.watch.cancelled,
            )
            _say(self.watch, done - 0.005 * (1 - len(said) / len(answers)))
        return said


def _written(
    app: App,
    db: Database,
    workspace: Workspace,
    plan: RoundPlan,
    checks: Sequence[Check],
    task: Task,
    asked: _Asked,
) -> Written:
    seconds = plan.config.max_minutes * 60 * SHARE
    wanted = wordings_wanted(task, plan.config.wordings)
    answers = [lesson.pair.chosen for lesson in wanted]
    said = asked.of(answers, TEMPERATURE, time.monotonic() + seconds, 0.045)
    avoid = _judging(plan)
    wordings = kept_wordings(
        zip(wanted, said, strict=False), task.taught, app.embedder.embed, avoid
    )
    taught = (one for one in plan.lessons if one.split == "train")
    avoid |= {same_words(text) for text in chain.from_iterable(wordings.values())}
    avoid |= {same_words(one.inputs.question) for one in taught}
    until = time.monotonic() + seconds
    queries = _new_queries(
        app, plan, checks, task, lambda: time.monotonic() > until or asked.watch.cancelled()
    )
    said = asked.of(queries, NEW_TEMPERATURE, until, 0.05)
    kept = kept_questions(zip(queries, said, strict=False), task.taught, app.embedder.embed, avoid)
    inputs = [_as_served(app, db, workspace, plan, question) for question, _ in kept]
    shown = [passage for one in inputs for passage in one.passages]
    add_round_documents(db, asked.watch.round_id, shown)
    made = tuple((one, query) for one, (_, query) in zip(inputs, kept, strict=True))
    note = (
        f"The round wrote itself {sum(map(len, wordings.values()))} of {len(wanted)} other "
        f"wordings that it tried, and {len(made)} of {len(queries)} new questions."
    )
    return Written(wordings, made, (note,))


def wordings_wanted(task: Task, count: int) -> list[Lesson]:
    """Whose answers are asked about: every thin need `count` times, its lessons in turn."""
    return [lessons[turn % len(lessons)] for turn in range(count) for lessons in task.thin.values()]


def _judging(plan: RoundPlan) -> set[str]:
    """Every question that judges the round, as `same_words` gives them."""
    judging = judging_questions((*plan.lessons, *plan.judged))
    return judging | {same_words(item.question) for item in read_items()}


def _new_queries(
    app: App, plan: RoundPlan, checks: Sequence[Check], task: Task, stop: Callable[[], bool]
) -> list[str]:
    """Queries out of the taught ones, for the first `sql` check that has a database."""
    check = recombining(checks)
    if check is None or not task.queries:
        return []
    answers = [one.pair.chosen for one in task.taught]
    found = recombined(
        [one for one in answers if check_for(one, checks) is check and bare(one) == one.strip()],
        Path(str(check["database"])),
        seed=plan.config.seed,
        avoid=[one.pair.chosen for one in plan.lessons],
        most=task.queries,
        stop=stop,
    )
    return [one for one in found if len(app.tokenizer.completion_ids(one)) <= LONGEST]


def _as_served(
    app: App, db: Database, workspace: Workspace, plan: RoundPlan, question: str
) -> Inputs:
    """A new question with what service would show: passages, and examples of what is taught."""
    taught = frozenset(one.pair.feedback_id for one in plan.lessons if one.split == "train")
    return replace(
        plain_inputs(workspace, question),
        passages=retrieve(app, db, workspace, question),
        examples=examples_for(app, db, workspace, question, only_feedback_ids=taught),
    )
