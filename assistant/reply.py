"""One turn of a conversation, in order: the heart of the house.

The question is saved before anything can fail; the reply is saved with everything it was made
from, so that it can be explained, judged and learned from.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Literal

from sqlite_utils import Database

from assistant.app import App
from assistant.attaching import answers_itself, own_files, with_own
from assistant.declining import SILENT, decline
from assistant.decoding import AS_SET, Wish, decoding_of, not_in_format, sampling_of
from assistant.fitting import checked_question, fitting_history, rendered
from assistant.likeliest import GREEDY, stream, weighing
from assistant.overriding import find_override
from assistant.proving import last_good
from assistant.retrieval import Found, examples_now, look_up, why_by_words
from knowledge.attached import Own
from storage.adapters import serving_adapter
from storage.conversations import (
    add_message,
    conversation,
    finish_message,
    message,
    open_thread,
    thread_to,
)
from storage.database import write_transaction
from storage.errors import ApprenticeError, NotFound
from storage.records import (
    FinishReason,
    Inputs,
    Message,
    Override,
    Passage,
    Workspace,
)


@dataclass(frozen=True)
class ReplyOptions:
    """What a caller may switch off or choose for one reply."""

    use_overrides: bool = True
    use_examples: bool = True
    use_documents: bool = True
    adapter: Literal["serving", "base"] | int = "serving"
    max_tokens: int | None = None
    wish: Wish = AS_SET
    reply_id: str | None = None
    """The id that the reply is to have, for a caller that must name it with its first piece."""
    variant_of: str | None = None
    """The id of a reply to answer again; its question is taken from the conversation."""
    edit_of: str | None = None
    """The id of a question that this one is asked in place of; both are kept."""


@dataclass(frozen=True)
class Delta:
    """A piece of the reply."""

    text: str


@dataclass(frozen=True)
class Done:
    """The reply as saved, with what stands under it."""

    message: Message
    passages: tuple[Passage, ...] = ()
    override: Override | None = None
    notices: tuple[str, ...] = ()


ReplyEvent = Delta | Done


@dataclass
class _Turn:
    """What one turn collects on its way."""

    question: str
    parent: Message
    inputs: Inputs
    before: int = 0
    """How many messages were said earlier, whether or not the history has room for them."""
    own: Own = Own()
    """What the conversation's own files have on the question."""
    override: Override | None = None
    relevance: float | None = None
    declined: str = ""
    """What is said because the documents do not say."""
    notices: list[str] = field(default_factory=list)


def reply(
    app: App,
    workspace: Workspace,
    conversation_id: str,
    owner: str,
    question: str,
    *,
    options: ReplyOptions = ReplyOptions(),
    cancel: threading.Event | None = None,
) -> Iterator[ReplyEvent]:
    """Answer one question: `Delta` pieces while it is made, then one `Done`.

    Closing the iterator or setting `cancel` stops the engine and saves what was said so far as
    `interrupted`. Raises NotFound for somebody else's conversation, and BadInput, before anything
    is saved, for an empty question or one that does not fit the context, Stopping while the server
    is being stopped, and Withdrawn when the owner loses the right to it meanwhile.
    """
    cancel = cancel or threading.Event()
    made = _events(app, workspace, conversation_id, owner, question, options, cancel)
    with (
        app.withdrawals.watched(owner, workspace.id, cancel) as refuse_lost,
        closing(app.under_way.follow(made, cancel, workspace.id)) as events,
    ):
        try:
            for event in events:
                if isinstance(event, Done):
                    refuse_lost()
                yield event
        except NotFound:  # it could not be saved: the workspace may be gone
            refuse_lost()
            raise


def _events(
    app: App,
    workspace: Workspace,
    conversation_id: str,
    owner: str,
    question: str,
    options: ReplyOptions,
    cancel: threading.Event,
) -> Iterator[ReplyEvent]:
    # No connection is held while a piece is out: whoever reads the pieces may change threads.
    with closing(app.db()) as db:
        with app.under_way.preparing:  # not while an engine is read: overrides go on without one
            turn = _open_turn(app, db, workspace, conversation_id, owner, question, options)
            wanted = _wanted_adapter(db, workspace, options)
            turn.own = own_files(app, db, workspace, conversation_id, _sought(turn))
            _look_for_override(db, workspace, turn, options, wanted)
            if turn.override is None:
                _look_up(app, db, workspace, turn, options)
        if turn.override is None and not turn.declined:
            adapter_id = _loaded(app, workspace, wanted, options, turn.notices)
            if adapter_id != wanted:  # the base knows nothing of what the adapter has learned
                _look_for_override(db, workspace, turn, options, adapter_id)
    if turn.override is not None or turn.declined:
        yield from _say(app, turn, options)
    else:
        with app.under_way.turn(cancel):
            yield from _generate(app, workspace, turn, adapter_id, options, cancel)


def _open_turn(
    app: App,
    db: Database,
    workspace: Workspace,
    conversation_id: str,
    owner: str,
    question: str,
    options: ReplyOptions,
) -> _Turn:
    found = conversation(db, conversation_id)
    if found.owner != owner or found.workspace_id != workspace.id:
        raise NotFound(f"There is no conversation {conversation_id!r} of yours in this workspace.")
    parent: Message | None
    if options.variant_of is not None:
        parent = _question_of(db, conversation_id, options.variant_of)
        question, before = parent.content, thread_to(db, parent.id)[:-1]
    else:
        question = checked_question(app, workspace, question)
        before = _said_before(db, conversation_id, options.edit_of)
        parent = add_message(
            db,
            conversation_id,
            "user",
            question,
            parent_id=before[-1].id if before else None,
            variant_of=options.edit_of,
        )
    inputs = Inputs(
        question=question,
        instructions=workspace.instructions,
        instructions_version=workspace.instructions_version,
        history=fitting_history(app, workspace, before),
    )
    return _Turn(question, parent, inputs, len(before))


def _question_of(db: Database, conversation_id: str, reply_id: str) -> Message:
    old = message(db, reply_id)
    if old.conversation_id != conversation_id or old.parent_id is None:
        raise NotFound(f"There is no reply {reply_id!r} in this conversation.")
    return message(db, old.parent_id)


def _said_before(db: Database, conversation_id: str, edited: str | None) -> list[Message]:
    """What a new question follows; for one asked in place of another, what that followed."""
    if edited is None:
        return open_thread(db, conversation_id)
    *before, old = thread_to(db, edited)
    if old.conversation_id != conversation_id or old.role != "user":
        raise NotFound(f"There is no question {edited!r} in this conversation.")
    return before


def _sought(turn: _Turn) -> str:
    from knowledge.standalone import search_text

    return search_text(turn.inputs.question, turn.inputs.history)


def _look_up(
    app: App, db: Database, workspace: Workspace, turn: _Turn, options: ReplyOptions
) -> None:
    """Put passages and examples into the inputs, or find that the reply is to be declined."""
    found = look_up(app, db, workspace, _sought(turn)) if options.use_documents else Found()
    found = with_own(found, turn.own)
    turn.relevance = found.relevance
    if found.by_words_alone:
        turn.notices.append(why_by_words(app))
    if found.relevance is not None and not found.passages:
        turn.declined = decline(app, db, workspace, turn.question, found)
        if turn.declined:
            return
        turn.notices.append(SILENT)
    examples, said = examples_now(app, db, workspace, turn.question, options.use_examples)
    turn.notices += [one for one in said if one not in turn.notices]
    turn.inputs = replace(turn.inputs, passages=found.passages, examples=examples)


def _wanted_adapter(db: Database, workspace: Workspace, options: ReplyOptions) -> int | None:
    """Ask SQLite which adapter serves (pull), or take the one that was asked for; None: the base.

    By its row alone: an override is given before any engine opens.
    """
    if options.adapter == "serving":
        serving = serving_adapter(db, workspace.id)
        return serving.id if serving else None
    return None if options.adapter == "base" else options.adapter


def _look_for_override(
    db: Database, workspace: Workspace, turn: _Turn, options: ReplyOptions, adapter_id: int | None
) -> None:
    if options.use_overrides and not answers_itself(turn.own, workspace):
        turn.override, said = find_override(
            db, workspace, turn.question, turn.inputs.history, adapter_id
        )
        new = [one for one in said if one not in turn.notices]
        turn.notices = list(said) if turn.override else [*turn.notices, *new]


def _loaded(
    app: App,
    workspace: Workspace,
    wanted: int | None,
    options: ReplyOptions,
    notices: list[str],
) -> int | None:
    """The wanted adapter, loaded; None is the base, which answers for one that cannot be."""
    if wanted is None:
        return None
    try:
        row = app.load_adapter(wanted)
    except ApprenticeError as error:
        if options.adapter != "serving":
            raise
        instead = last_good(app, wanted, error)
        by = f"adapter {instead.id}" if instead else "the base model"
        notices.append(f"Answered by {by}, not by adapter {wanted}: {error}")
        return instead.id if instead else None
    if row.workspace_id != workspace.id:
        raise NotFound(f"There is no adapter {wanted} in this workspace.")
    return row.id


def _say(app: App, turn: _Turn, options: ReplyOptions) -> Iterator[ReplyEvent]:
    """What is known without a model: an approved correction, or that the documents do not say."""
    started = time.perf_counter()
    override = turn.override
    text = override.answer if override else turn.declined
    with closing(app.db()) as db, write_transaction(db):
        saved = add_message(
            db,
            turn.parent.conversation_id,
            "assistant",
            "",
            parent_id=turn.parent.id,
            variant_of=options.variant_of,
            inputs=turn.inputs,
            message_id=options.reply_id,
            override_id=override.id if override else None,
            relevance=turn.relevance,
            declined=override is None,
        )
        took = (time.perf_counter() - started) * 1000
        done = finish_message(
            db,
            saved.id,
            content=text,
            finish_reason="override" if override else "stop",
            prompt_tokens=0,
            completion_tokens=0,
            latency_ms=took,
            ttft_ms=took,
        )
    yield Delta(text)
    yield Done(done, (), override, tuple(turn.notices))


def _generate(
    app: App,
    workspace: Workspace,
    turn: _Turn,
    adapter_id: int | None,
    options: ReplyOptions,
    cancel: threading.Event,
) -> Iterator[ReplyEvent]:
    started = time.perf_counter()
    turn.inputs, ids, said_of_it = rendered(app, workspace, turn.inputs, before=turn.before)
    turn.notices += said_of_it
    saved = _save_opening(app, turn, ids, adapter_id, options)
    decoding = decoding_of(workspace, options.wish)
    sampling = sampling_of(workspace, decoding, options.max_tokens, options.wish)
    said: list[str] = []
    tokens, first_ms = 0, None
    reason: FinishReason = "interrupted"
    weighed = adapter_id is not None and sampling.temperature <= 0
    try:
        near_to = turn.question if options.use_examples and weighed else ""
        pieces = stream(
            app.engine_for(adapter_id),
            ids,
            adapter_id,
            sampling,
            cancel,
            stop=decoding.stop,
            how=weighing(app, workspace, near_to) if weighed else GREEDY,
            decode=app.tokenizer.decode,
        )
        for piece in pieces:
            first_ms = first_ms or (time.perf_counter() - started) * 1000
            tokens += piece.tokens
            said.append(piece.text)
            reason = piece.finish_reason or reason
            yield Delta(piece.text)
    finally:
        with closing(app.db()) as db:
            done = finish_message(
                db,
                saved.id,
                content="".join(said).strip(),
                finish_reason=reason,
                prompt_tokens=len(ids),
                completion_tokens=tokens,
                latency_ms=(time.perf_counter() - started) * 1000,
                ttft_ms=first_ms or 0.0,
            )
    if wrong := not_in_format(workspace, done.content, reason, tokens):
        turn.notices.append(wrong)
    yield Done(done, turn.inputs.passages, None, tuple(turn.notices))


def _save_opening(
    app: App, turn: _Turn, ids: list[int], adapter_id: int | None, options: ReplyOptions
) -> Message:
    """The reply's row before its first token, so that a crash leaves a trace of it."""
    with closing(app.db()) as db:
        return add_message(
            db,
            turn.parent.conversation_id,
            "assistant",
            "",
            parent_id=turn.parent.id,
            variant_of=options.variant_of,
            inputs=turn.inputs,
            message_id=options.reply_id,
            sent_ids=tuple(ids),
            base_fingerprint=app.base.fingerprint,
            adapter_id=adapter_id,
            engine=app.engine_for(adapter_id).name,
            relevance=turn.relevance,
        )
