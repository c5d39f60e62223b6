"""Lessons as rows to train on: in their own words, in others, begun after other questions."""

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from sqlite_utils import Database

from assistant.app import App
from assistant.lessons import Lesson, judging_questions
from assistant.prompt import build_messages, cited, renumbered
from assistant.replay import ordinary_questions
from assistant.written import NOTHING, Written
from knowledge.showing import fit_passages
from storage.documents import chunk_hashes, live_chunks
from storage.records import ChatMessage, Inputs, Passage, Workspace
from tuning.augment import Needs, same_words, telling_tokens, variants
from tuning.bundle import RowKind, TrainRow

VARIANTS = 12
"""Other wordings written for each taught question; an epoch shows at most one of them."""
WRITTEN_VARIANTS = 3
"""And for each wording that the round wrote itself."""
WRITTEN_WEIGHT = 2
"""Rows of such a wording as it stands: it says more than a variant does."""
DISTRACTORS = 8
"""Chunks drawn for a pair, of which those that fit its prompt distract from the right one."""
ENDINGS = 6
"""Questions of other needs after which a taught answer is begun."""
MOST_VARIED = 5000
"""Corrections that get such rows at most: what they make up for, many corrections bring along."""
MOST_OTHERS = 100
"""Wordings of a need that a variant takes parts over from, at most."""


def training_rows(
    app: App,
    db: Database,
    workspace: Workspace,
    found: Sequence[Lesson],
    judged: Sequence[Lesson] = (),
    written: Written = NOTHING,
) -> Iterator[TrainRow]:
    """All that a round teaches: the corrections that train with what goes with them, the judged,
    and what the round has written.

    Of more than MOST_VARIED corrections so many, evenly drawn, get rows beside their own.
    """
    yield from (train_row(one) for one in (*found, *judged) if one.split == "train")
    some = varied(found)
    yield from variant_rows(app, some, written.wordings)
    yield from ending_rows(app, some)
    yield from raft_rows(app, db, workspace, some)
    yield from recombined_rows(app, written.recombined)


def varied(found: Sequence[Lesson]) -> list[Lesson]:
    """Those that get further rows, and all whose words judge: no row may be one of those."""
    taught = sum(one.split == "train" for one in found)
    every = math.ceil(taught / MOST_VARIED) or 1
    turns = itertools.count()
    return [
        one for one in found if one.split != "train" or one.paraphrases or next(turns) % every == 0
    ]


def train_row(lesson: Lesson) -> TrainRow:
    """The lesson as a row of the bundle."""
    return TrainRow(
        id=str(lesson.pair.feedback_id),
        group=lesson.pair.group,
        messages=lesson.messages,
        prompt_ids=lesson.prompt_ids,
        completion=lesson.pair.chosen,
        completion_ids=lesson.completion_ids,
        rejected=lesson.pair.rejected,
        kind=lesson.kind,
        rejected_ids=lesson.rejected_ids,
        label=lesson.label,
    )


def variant_rows(
    app: App, found: Sequence[Lesson], written: Mapping[int, Sequence[str]] = MappingProxyType({})
) -> Iterator[TrainRow]:
    """The taught questions in other words, each with the rest of its prompt as it is.

    `written` are whole wordings by feedback id: each comes as it stands, and varied itself.
    Words come from taught wordings of the same need and from the replay questions; held-out
    wordings are only kept from coming about by chance.
    """
    taught = [one for one in found if one.split == "train"]
    held_out = [one.inputs.question for one in found if one.split != "train"]
    held_out += [paraphrase.question for one in found for paraphrase in one.paraphrases]
    avoid = {same_words(question) for question in held_out}
    fillers = sorted({word for question in ordinary_questions() for word in question.split()})
    needs = Needs((one.inputs.question, one.pair.chosen) for one in taught)
    alike: dict[tuple[str, str], list[Lesson]] = {}
    for one in taught:
        alike.setdefault((one.pair.group, one.pair.chosen), []).append(one)
    for lesson in taught:
        own = written.get(lesson.pair.feedback_id, ())
        same = alike[lesson.pair.group, lesson.pair.chosen][: MOST_OTHERS + 1]
        others = [one.inputs.question for one in same if one is not lesson][:MOST_OTHERS]
        wordings = [lesson.inputs.question, *own]
        questions = list(own) * WRITTEN_WEIGHT
        for place, wording in enumerate(wordings):
            questions += variants(
                wording,
                [*others, *wordings[:place], *wordings[place + 1 :]],
                count=WRITTEN_VARIANTS if place else VARIANTS,
                seed=lesson.pair.feedback_id,
                answer=lesson.pair.chosen,
                fillers=fillers,
                avoid=avoid,
                tells=needs.tells(wording, lesson.pair.chosen),
            )
        for number, question in enumerate(questions):
            inputs = replace(lesson.inputs, question=question)
            yield _asked_otherwise(app, lesson, inputs, f"{number}")


def recombined_rows(app: App, found: Sequence[tuple[Inputs, str]]) -> Iterator[TrainRow]:
    """New questions with the new queries that answer them, as far as they fit the context."""
    for number, (inputs, query) in enumerate(found):
        messages = tuple(build_messages(inputs))
        prompt_ids = tuple(app.tokenizer.render(list(messages)))
        completion_ids = tuple(app.tokenizer.completion_ids(query))
        if len(prompt_ids) + len(completion_ids) <= app.settings.context:
            yield TrainRow(
                id=f"recombined-{number}",
                group=f"recombined-{number}",
                messages=messages,
                prompt_ids=prompt_ids,
                completion=query,
                completion_ids=completion_ids,
                kind="recombined",
            )


def _asked_otherwise(
    app: App, lesson: Lesson, inputs: Inputs, mark: str, kind: RowKind = "variant"
) -> TrainRow:
    """The lesson's answer to another prompt; `mark` tells its row from the lesson's others."""
    messages = tuple(build_messages(inputs))
    return replace(
        train_row(lesson),
        id=f"{lesson.pair.feedback_id}~{mark}",
        messages=messages,
        prompt_ids=tuple(app.tokenizer.render(list(messages))),
        kind=kind,
        of=str(lesson.pair.feedback_id),
    )


def ending_rows(app: App, found: Sequence[Lesson]) -> Iterator[TrainRow]:
    """Taught answers begun after questions of other needs; how they end is what is learned.

    A prompt ends with as much of an answer as tells it from every other one of `found`, so only
    what is certain by then is learned. Without these rows a question that resembles another need
    turns an answer that began right in the middle (`SELECT fault_code, COUNT(*) FROM
    sales_orders`).
    """
    taught = [one for one in found if one.split == "train"]
    beside = _neighbours(one.completion_ids for one in taught)
    numbers = {answer: number for number, answer in enumerate(beside)}
    known = [(one.inputs.question, numbers[one.completion_ids], one.pair.group) for one in taught]
    for lesson in taught:
        answer = lesson.completion_ids
        begun = telling_tokens(answer, beside[answer])
        if begun >= len(answer):
            continue
        own, group = numbers[answer], lesson.pair.group
        asked = [text for text, number, need in known if number != own and need != group]
        rng = random.Random(f"{lesson.pair.feedback_id}")
        for turn, question in enumerate(rng.sample(asked, min(ENDINGS, len(asked)))):
            yield _begun(app, lesson, question, begun, f"end{turn}")


def _neighbours(answers: Iterable[tuple[int, ...]]) -> dict[tuple[int, ...], list[tuple[int, ...]]]:
    """Each answer once, with those beside it in order: no other one begins more like it."""
    ordered = sorted(set(answers))
    return {
        one: [*ordered[max(0, place - 1) : place], *ordered[place + 1 : place + 2]]
        for place, one in enumerate(ordered)
    }


def _begun(app: App, lesson: Lesson, question: str, begun: int, mark: str) -> TrainRow:
    """The lesson's answer after another question, to be gone on with after `begun` tokens."""
    answer = lesson.completion_ids
    messages = build_messages(replace(lesson.inputs, question=question))
    said: ChatMessage = {"role": "assistant", "content": app.tokenizer.decode(answer[:begun])}
    return replace(
        train_row(lesson),
        id=f"{lesson.pair.feedback_id}~{mark}",
        messages=(*messages, said),
        prompt_ids=(*app.tokenizer.render(messages), *answer[:begun]),
        completion=app.tokenizer.decode(answer[begun:]),
        completion_ids=answer[begun:],
        rejected=None,
        rejected_ids=(),
        kind="variant",
        of=str(lesson.pair.feedback_id),
    )


def raft_rows(
    app: App, db: Database, workspace: Workspace, found: Sequence[Lesson]
) -> Iterator[TrainRow]:
    """Taught pairs whose prompt has passages, without them and with other ones among them.

    So that a round teaches neither to ignore the documents nor to believe whatever is shown: RAFT
    (Zhang et al. 2024, arXiv:2403.10131). The right passage stays where others are added; all of
    them keep to the workspace's budget, and their order is by chance. Where an answer names its
    sources by number they are numbered anew, and it is never taught without them.
    """
    judging = judging_questions(found)
    known = sorted(chunk_hashes(db, workspace.id))
    for lesson in (one for one in found if one.split == "train" and one.inputs.passages):
        rng = random.Random(f"raft {lesson.pair.feedback_id}")
        others = live_chunks(db, workspace.id, rng.sample(known, min(DISTRACTORS, len(known))))
        shown = _distracted(app, workspace, lesson, [others[id] for id in sorted(others)], rng)
        if same_words(lesson.inputs.question) in judging:
            continue
        for number, passages in enumerate([(), shown] if shown else [()]):
            own = _cited_anew(app, lesson, passages)
            if own is not None:
                inputs = replace(lesson.inputs, passages=passages)
                yield _asked_otherwise(app, own, inputs, f"raft{number}", "raft")


def _cited_anew(app: App, lesson: Lesson, shown: Sequence[Passage]) -> Lesson | None:
    """The lesson with its sources numbered as shown; None where one of them is not shown."""
    before = lesson.pair.chosen
    answer = renumbered(before, lesson.inputs.passages, shown)
    if answer is None or answer == before:
        return lesson if answer else None
    return replace(
        lesson,
        pair=replace(lesson.pair, chosen=answer),
        completion_ids=tuple(app.tokenizer.completion_ids(answer)),
    )


def _distracted(
    app: App,
    workspace: Workspace,
    lesson: Lesson,
    others: Sequence[Passage],
    rng: random.Random,
) -> tuple[Passage, ...]:
    """The best passage, or those that the answer names, among other ones, within the budget.

    () when no other one fits.
    """
    best = cited(lesson.pair.chosen, lesson.inputs.passages) or [lesson.inputs.passages[0]]
    own = {passage.hash for passage in lesson.inputs.passages}
    spent = sum(app.tokenizer.count(passage.text) for passage in best)
    left = workspace.settings.passage_tokens - spent
    strange = [passage for passage in others if passage.hash not in own]
    added = fit_passages(strange, left, app.tokenizer.count) if left > 0 else []
    added = added[: max(0, workspace.settings.top_k - len(best))]
    shown = [*best, *added]
    rng.shuffle(shown)
    return tuple(shown) if added else ()
