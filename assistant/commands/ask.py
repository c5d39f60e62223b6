"""`apprentice ask`: one question with its answer as it is made, or a file of them at once."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from assistant.app import App
from assistant.attaching import attach as attach_file
from assistant.commands.documents import mend
from assistant.commands.rows import Turns, read_rows, turns_of
from assistant.reply import Delta, Done, ReplyEvent, ReplyOptions, reply
from assistant.verbs import Event, Events
from knowledge.chroma_place import IndexAway
from storage.conversations import (
    add_message,
    delete_conversation,
    messages_of,
    start_conversation,
)
from storage.database import write_transaction
from storage.errors import ApprenticeError, BadInput, NotFound
from storage.records import Workspace
from storage.workspaces import workspace as workspace_named

OWNER = "cli"
AT_ONCE = 4
"""Questions of a batch in the engine at once: the slots of the CPU engine."""
TICK_S = 0.25
"""How often a waiting batch looks whether its caller has left."""


@dataclass(frozen=True)
class Asked:
    """One question of a batch."""

    turns: Turns
    id: Any = None


def ask(
    app: App,
    *,
    workspace: str,
    question: str | None = None,
    file: str | None = None,
    attach: Sequence[str] = (),
    no_overrides: bool = False,
    no_examples: bool = False,
    no_documents: bool = False,
    adapter: str | None = None,
    max_tokens: int | None = None,
) -> Events:
    """Answer `question`, piece by piece, or every line of `file`, in the file's order.

    `attach` are files to ask about; their text stays with the conversation.
    """
    if (question is None) == (file is None):
        raise BadInput("Give a question or --file with one question a line, and not both.")
    if attach and question is None:
        raise BadInput("--attach goes with one question, not with --file.")
    options = ReplyOptions(
        use_overrides=not no_overrides,
        use_examples=not no_examples,
        use_documents=not no_documents,
        adapter=chosen(adapter),
        max_tokens=max_tokens,
    )
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        if options.use_documents:
            with suppress(IndexAway):  # the reply says so, and finds documents by words
                mend(app, db, found.id)
    if question is not None:
        joined = None
        for path in attach:
            joined = attach_file(app, found, OWNER, joined, Path(path), path).conversation_id
        yield from _ask_one(app, found, Asked(Turns(question)), options, OWNER, joined=joined)
        return 0
    asked = [row for _, row in read_rows(str(file), _asked)[0]]
    failed = 0
    for event in answers(app, found, asked, options):
        failed += "error" in event
        yield event
    return 1 if failed else 0


def chosen(adapter: str | None) -> Any:
    """`--adapter` as ReplyOptions takes it. BadInput for what is neither base nor a number."""
    if adapter is None or adapter == "base":
        return adapter or "serving"
    if not adapter.isdecimal():
        raise BadInput(f"--adapter {adapter!r} is no adapter: give a number, or base.")
    return int(adapter)


def answers(
    app: App,
    found: Workspace,
    asked: Sequence[Asked],
    options: ReplyOptions,
    *,
    owner: str = OWNER,
) -> Iterator[Event]:
    """One result per question in order, with progress between; ending early stops the engine.

    A question that is refused (too long, say) gives a result with `error` instead of `answer`.
    """
    left = threading.Event()
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ask")
    try:
        waiting = [pool.submit(_answer, app, found, one, options, owner, left) for one in asked]
        for answer in waiting:
            while not answer.done():
                wait([answer], timeout=TICK_S)
                yield _progress(waiting)
            yield answer.result()
    finally:
        left.set()
        pool.shutdown(cancel_futures=True)


def _answer(
    app: App,
    found: Workspace,
    asked: Asked,
    options: ReplyOptions,
    owner: str,
    left: threading.Event,
) -> Event:
    name = {} if asked.id is None else {"id": asked.id}
    try:
        *_, answer = _ask_one(app, found, asked, options, owner, left)
        return {**name, **answer}
    except ApprenticeError as error:
        return {**name, "question": asked.turns.question, "error": str(error)}


def _ask_one(
    app: App,
    found: Workspace,
    asked: Asked,
    options: ReplyOptions,
    owner: str,
    left: threading.Event | None = None,
    *,
    joined: str | None = None,
) -> Iterator[Event]:
    for event in reply_to(app, found, asked.turns, options, owner, left, joined=joined):
        yield {"delta": event.text} if isinstance(event, Delta) else result(app, event)


def reply_to(
    app: App,
    found: Workspace,
    turns: Turns,
    options: ReplyOptions,
    owner: str,
    left: threading.Event | None = None,
    *,
    joined: str | None = None,
) -> Iterator[ReplyEvent]:
    """As `reply`, to the question that `turns` ends with, in a new conversation of all its turns.

    `joined` is a conversation that the question goes on with instead; what was said in it counts,
    and not the other turns.
    """
    said = replace(found, instructions=instructions(found, turns.system))
    conversation_id = joined or _conversation(app, found, turns, owner)
    try:
        yield from reply(
            app, said, conversation_id, owner, turns.question, options=options, cancel=left
        )
    except ApprenticeError:
        if not joined:
            _forget_unasked(app, conversation_id, turns)
        raise


def _forget_unasked(app: App, conversation_id: str, turns: Turns) -> None:
    """A question that was refused before it was saved leaves no empty conversation."""
    with closing(app.db()) as db, suppress(NotFound):  # deleted meanwhile
        if len(messages_of(db, conversation_id)) == len(turns.history):
            delete_conversation(db, conversation_id)


def instructions(found: Workspace, system: str) -> str:
    """A caller's system message is added to the workspace's instructions, never replaces them."""
    return "\n\n".join(text for text in (found.instructions, system) if text)


def _conversation(app: App, found: Workspace, turns: Turns, owner: str) -> str:
    with closing(app.db()) as db, write_transaction(db):
        conversation_id = start_conversation(db, found.id, owner).id
        add_history(db, conversation_id, turns)
    return conversation_id


def add_history(db: Database, conversation_id: str, turns: Turns) -> str | None:
    """Save what was said before the question; returns the id of the last message."""
    parent = None
    for said in turns.history:
        reason = "imported" if said["role"] == "assistant" else None
        parent = add_message(
            db,
            conversation_id,
            said["role"],
            said["content"],
            parent_id=parent,
            finish_reason=reason,
        ).id
    return parent


def result(app: App, done: Done) -> Event:
    """A finished reply as `ask --json` prints it."""
    from knowledge.support import cite

    message = done.message
    assert message.inputs is not None
    rests_on = cite(message.content, [passage.text for passage in done.passages]).used
    return {
        "question": message.inputs.question,
        "answer": message.content,
        "sources": [
            {
                "document": passage.document,
                "url": passage.source_url,
                "chunk_id": passage.chunk_id,
                "text": passage.text,
                "score": passage.score,
                "used": number in rests_on,
            }
            for number, passage in enumerate(done.passages, start=1)
        ],
        "override": message.override_id,
        "adapter": message.adapter_id,
        "base_model": app.base.name if app.has("base") else app.settings.base_model,
        "engine": message.engine,
        "finish_reason": message.finish_reason,
        "declined": message.declined,
        "relevance": message.relevance,
        "prompt_tokens": message.prompt_tokens,
        "completion_tokens": message.completion_tokens,
        "latency_ms": message.latency_ms,
        "ttft_ms": message.ttft_ms,
        "notices": list(done.notices),
        "conversation": message.conversation_id,
        "message": message.id,
    }


def _asked(row: dict[str, Any]) -> Asked:
    turns = turns_of(row)
    if turns.answer is not None:
        raise BadInput("its messages end with an answer; the last one must be the question.")
    return Asked(turns, row.get("id"))


def _progress(waiting: Sequence[Future[Event]]) -> Event:
    done = sum(answer.done() for answer in waiting)
    return {"progress": done / len(waiting), "note": f"{done} of {len(waiting)} answered"}
