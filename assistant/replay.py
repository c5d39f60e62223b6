"""What the base says to questions that nobody corrected: a round holds it in place.

Ordinary questions, and questions about the workspace's own documents with the passages that service
would show. Without the latter an adapter answers whatever concerns the company as it was corrected:
at the sample company 9 of 10 questions that a page answers got a database query.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqlite_utils import Database

import tuning
from assistant.answering import ChildAnswerer
from assistant.app import App
from assistant.opponents import Watch
from assistant.prompt import build_messages
from assistant.retrieval import retrieve
from storage.documents import chunk_hashes, live_chunks
from storage.records import ChatMessage, Inputs, Workspace
from storage.round_documents import add_round_documents
from tuning.bundle import TrainRow

REPLAY_TOKENS = 24
"""Tokens of a replayed answer: more questions hold more in place than longer answers."""
READINGS = 48
"""Chunks that a question is written about. A third of the questions find passages."""
QUESTION_TOKENS = 24
"""Tokens of a written question at most."""
CHUNK_CHARACTERS = 400
"""Of a chunk, what the writer of a question gets to see."""
WRITE = "Write one question that the text answers."
WRITTEN = (
    (
        "The library opens at nine on weekdays and at ten on Saturday. It is closed on Sunday.",
        "When does the library open on Saturday?",
    ),
    (
        "Water the fern twice a week in summer and once a week in winter. It likes shade.",
        "How often do I water the fern in winter?",
    ),
    (
        "A day ticket costs 7 euros. Children under six travel free.",
        "What does a day ticket cost?",
    ),
    (
        "If the lamp does not light, check the fuse. Then press the button for three seconds.",
        "What do I do when the lamp does not light?",
    ),
)
"""A small model writes a question only when it is shown how."""


def ordinary_questions() -> list[str]:
    """The questions that belong to every workspace; none is among those of the sentinel."""
    path = Path(tuning.__file__).parent / "replay.jsonl"
    return [json.loads(line)["question"] for line in path.read_text().splitlines()]


def replay_count(db: Database, workspace: Workspace) -> int:
    """How many rows there may be to replay."""
    return len(ordinary_questions()) + min(READINGS, len(chunk_hashes(db, workspace.id)))


def replay_rows(
    app: App, db: Database, workspace: Workspace, child: ChildAnswerer, watch: Watch, *, seed: int
) -> list[TrainRow]:
    """Both kinds of questions with the base's own answers, made by `child`.

    Empty answers are left out, and questions that do not fit the context. Raises AnsweringFailed
    when the child dies or on a cancel.
    """
    asked = [plain_inputs(workspace, question) for question in ordinary_questions()]
    read = readings(app, db, workspace, _written(app, db, workspace, child, watch, seed))
    shown = [passage for inputs in read for passage in inputs.passages]
    add_round_documents(db, watch.round_id, shown)
    asked += read
    prompts = _fitting(app, [build_messages(inputs) for inputs in asked], REPLAY_TOKENS)
    answers = child.answer(
        [app.tokenizer.render(messages) for messages in prompts],
        adapter=None,
        max_tokens=REPLAY_TOKENS,
        on_answer=lambda done: watch.say(
            0.01 + 0.02 * done / len(prompts), "asking the base model"
        ),
        cancelled=watch.cancelled,
    )
    return [
        replay_row(app, number, messages, answer)
        for number, (messages, answer) in enumerate(zip(prompts, answers, strict=True))
        if answer
    ]


def readings(
    app: App, db: Database, workspace: Workspace, questions: Sequence[str]
) -> list[Inputs]:
    """Each question with the passages that service would show; without any it is left out."""
    return [
        replace(plain_inputs(workspace, question), passages=passages)
        for question in questions
        if (passages := retrieve(app, db, workspace, question))
    ]


def replay_row(
    app: App, number: int, messages: Sequence[ChatMessage], answer: str, most: int = REPLAY_TOKENS
) -> TrainRow:
    """What the base says to a question, as a row of the bundle.

    An answer that was cut off at `most` tokens is learned without an end, or the adapter would
    learn to stop in the middle of a sentence.
    """
    ids = app.tokenizer.encode(answer)
    whole = len(ids) < most - 1
    return TrainRow(
        id=f"replay-{number}",
        group=f"replay-{number}",
        messages=tuple(messages),
        prompt_ids=tuple(app.tokenizer.render(list(messages))),
        completion=answer,
        completion_ids=tuple(app.tokenizer.completion_ids(answer) if whole else ids),
        rejected=None,
        kind="replay",
    )


def _written(
    app: App, db: Database, workspace: Workspace, child: ChildAnswerer, watch: Watch, seed: int
) -> list[str]:
    """Questions that the base writes about some chunks; none twice.

    Method: a model asks what a passage answers, as doc2query (Nogueira et al. 2019,
    arXiv:1904.08375).
    """
    known = sorted(chunk_hashes(db, workspace.id)) if workspace.settings.passage_tokens else []
    chosen = random.Random(seed).sample(known, min(READINGS, len(known)))
    shown = live_chunks(db, workspace.id, chosen).values()
    prompts = _fitting(app, [_please_ask(chunk.text) for chunk in shown], QUESTION_TOKENS)
    said = child.answer(
        [app.tokenizer.render(messages) for messages in prompts],
        adapter=None,
        max_tokens=QUESTION_TOKENS,
        on_answer=lambda done: watch.say(0.01 * done / len(prompts), "reading the documents"),
        cancelled=watch.cancelled,
    )
    return list(dict.fromkeys(filter(None, map(first_question, said))))


def first_question(said: str) -> str:
    """The text up to its first question mark; '' when there is none."""
    before, mark, _ = said.partition("?")
    return f"{before.strip()}{mark}" if mark else ""


def _fitting(app: App, prompts: list[list[ChatMessage]], tokens: int) -> list[list[ChatMessage]]:
    """Those that leave room for an answer of so many tokens."""
    room = app.settings.context - tokens
    return [messages for messages in prompts if len(app.tokenizer.render(messages)) <= room]


def plain_inputs(workspace: Workspace, question: str) -> Inputs:
    """A question for itself: no passages, no examples, no history."""
    return Inputs(question, workspace.instructions, workspace.instructions_version)


def _please_ask(text: str) -> list[ChatMessage]:
    messages: list[ChatMessage] = [{"role": "system", "content": WRITE}]
    for shown, question in WRITTEN:
        messages.append({"role": "user", "content": shown})
        messages.append({"role": "assistant", "content": question})
    return [*messages, {"role": "user", "content": text[:CHUNK_CHARACTERS]}]
