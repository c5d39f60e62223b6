"""Approved corrections as prompts to learn from and cases to be judged by.

Every prompt is rebuilt from its message's stored inputs by today's `build_messages`, with today's
instructions and the examples that service would choose, the pair's own group left out. So the
adapter meets in training what it will meet in service.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlite_utils import Database

from assistant.app import App
from assistant.caps import left_out
from assistant.fitting import fitted, served_room
from assistant.masks import Masks
from assistant.prompt import build_messages
from assistant.replay import plain_inputs
from assistant.retrieval import examples_for
from storage.pairs import each_pair, wordings
from storage.paraphrases import judging_paraphrases
from storage.records import ChatMessage, Inputs, Pair, Paraphrase, RoundExample, Split, Workspace
from tuning.augment import same_words
from tuning.bundle import RowKind
from tuning.evaluate import Case
from tuning.sentinel import Choice, SentinelItem, read_items
from tuning.split import split

REJECTED_TOKENS = 256
"""Tokens of a wrong answer that are compared: a reply has 256 at most unless a workspace says
otherwise, and where it goes wrong is near its beginning."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One approved pair, which slice it is in, and its prompt as service would send it.

    A round holds all of its lessons, so what can be made again is not kept.
    """

    pair: Pair
    inputs: Inputs
    split: Split
    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    paraphrases: tuple[Paraphrase, ...] = ()
    """Other wordings of the question, which judge and never train."""
    kind: RowKind = "correction"
    label: bool | None = None
    """For a thumb: whether it is up."""
    rejected_ids: tuple[int, ...] = ()
    """What the wrong answer begins with, if there is one."""
    masked: tuple[str, ...] = ()
    """The kinds of secrets and personal data in it that have a placeholder; see `masks.py`."""

    def as_example(self) -> RoundExample:
        """How a round keeps it; which round, is known when that is created."""
        judged = self.kind if self.kind == "preference" or self.kind == "thumb" else None
        return RoundExample(
            round_id=0,
            kind=judged or "correction",
            split=self.split,
            feedback_id=self.pair.feedback_id,
            group=self.pair.group,
            pair_hash=self.pair_hash,
        )

    @property
    def messages(self) -> tuple[ChatMessage, ...]:
        """The prompt, made anew from the inputs."""
        return tuple(build_messages(self.inputs))

    @property
    def tokens(self) -> int:
        """Tokens of the prompt with its completion."""
        return len(self.prompt_ids) + len(self.completion_ids)

    @property
    def pair_hash(self) -> str:
        """What identifies the content after the words are erased."""
        text = json.dumps([list(self.messages), self.pair.chosen], ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def lessons(app: App, db: Database, workspace: Workspace) -> list[Lesson]:
    """Every approved pair of the workspace that no cap leaves out, in order of feedback id.

    Secrets and personal data are masked; what then asks the same as what judges is left out too.
    """
    splits = split(wordings(db, workspace.id), salt=workspace.name)
    written = judging_paraphrases(db, workspace.id)
    capped = left_out(db, workspace)
    taught = frozenset(id for id, part in splits.items() if part == "train" and id not in capped)
    masks = Masks(db, workspace)
    found = [
        lesson_of(
            app,
            db,
            workspace,
            pair,
            masks=masks,
            taught=taught,
            split=splits[pair.feedback_id],
            paraphrases=written.get(pair.feedback_id, ()),
        )
        for pair in each_pair(db, workspace.id)
        if pair.feedback_id in splits and pair.feedback_id not in capped
    ]
    return _apart(found)


def _apart(found: list[Lesson]) -> list[Lesson]:
    """Without those that train and, masked, ask the very words that judge."""
    if not any(one.masked for one in found):
        return found
    judging = judging_questions(found)
    return [
        one
        for one in found
        if one.split != "train" or not one.masked or same_words(one.inputs.question) not in judging
    ]


def lesson_of(
    app: App,
    db: Database,
    workspace: Workspace,
    pair: Pair,
    *,
    masks: Masks,
    taught: frozenset[int],
    split: Split = "train",
    paraphrases: tuple[Paraphrase, ...] = (),
    kind: RowKind = "correction",
    label: bool | None = None,
    whole: bool = True,
) -> Lesson:
    """A pair as a lesson; examples in its prompt come from the `taught` feedback.

    A completion that is not `whole`, a reply that was cut off, is learned without an end.
    """
    today = replace(pair, inputs=_as_today(app, db, workspace, pair, taught))
    masked = masks.pair(today, paraphrases)
    pair = masked.pair
    inputs, prompt_ids = fitted(app, pair.inputs, served_room(app, workspace))
    ids = app.tokenizer.completion_ids(pair.chosen)
    wrong = app.tokenizer.completion_ids(pair.rejected) if pair.rejected else []
    room = min(REJECTED_TOKENS, app.settings.context - len(prompt_ids))
    return Lesson(
        pair=pair,
        inputs=inputs,
        split=split,
        prompt_ids=tuple(prompt_ids),
        completion_ids=tuple(ids if whole else ids[:-1]),
        kind=kind,
        label=label,
        rejected_ids=tuple(wrong[: max(0, room)]),
        paraphrases=masked.paraphrases,
        masked=masked.kinds,
    )


def judging_questions(found: Sequence[Lesson]) -> set[str]:
    """What is asked to judge a round, as `same_words` gives it: nothing of it may train."""
    held_out = [one.inputs.question for one in found if one.split != "train"]
    written = [paraphrase.question for one in found for paraphrase in one.paraphrases]
    return {same_words(question) for question in (*held_out, *written)}


def fitting(app: App, found: Sequence[Lesson]) -> tuple[list[Lesson], tuple[str, ...]]:
    """The lessons that fit the context, and a sentence for each that does not."""
    most = app.settings.context
    fit = [one for one in found if one.tokens <= most]
    return fit, tuple(
        f"Feedback {one.pair.feedback_id} is left out: its prompt and answer are {one.tokens:,} "
        f"tokens long, and {most:,} fit."
        for one in found
        if one.tokens > most
    )


def sentinel_cases(app: App, workspace: Workspace, taught: Sequence[Lesson] = ()) -> list[Case]:
    """The general questions that are answered, as this workspace would ask them.

    One that somebody corrected is left out: it is to be answered otherwise now.
    """
    return [
        Case(
            id=item.id,
            group=item.id,
            slice="sentinel",
            messages=messages,
            prompt_ids=tuple(app.tokenizer.render(list(messages))),
            expected=item.expected,
            check=item.check,
        )
        for item, messages in _general(workspace, taught)
        if item.asked
    ]


def sentinel_choices(app: App, workspace: Workspace, taught: Sequence[Lesson] = ()) -> list[Choice]:
    """All the general questions with their answers, to be scored by likelihood."""
    return [
        Choice(
            id=item.id,
            kind=item.kind,
            prompt_ids=tuple(app.tokenizer.render(list(messages))),
            options=tuple(
                tuple(app.tokenizer.completion_ids(text)) for text in (item.expected, *item.wrong)
            ),
        )
        for item, messages in _general(workspace, taught)
    ]


def _general(
    workspace: Workspace, taught: Sequence[Lesson]
) -> Iterator[tuple[SentinelItem, tuple[ChatMessage, ...]]]:
    corrected = {same_words(lesson.inputs.question) for lesson in taught}
    for item in read_items():
        if same_words(item.question) not in corrected:
            yield item, tuple(build_messages(plain_inputs(workspace, item.question)))


def _as_today(
    app: App, db: Database, workspace: Workspace, pair: Pair, taught: frozenset[int]
) -> Inputs:
    examples = examples_for(
        app,
        db,
        workspace,
        pair.inputs.question,
        leave_out_groups=frozenset({pair.group}),
        only_feedback_ids=taught,
    )
    return replace(
        pair.inputs,
        instructions=workspace.instructions,
        instructions_version=workspace.instructions_version,
        examples=examples,
    )
