"""A real data directory in tmp_path, and short ways to put something into it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlite_utils import Database

from storage.adapters import add_adapter
from storage.conversations import add_message, start_conversation
from storage.database import open_database
from storage.datadir import DataDir
from storage.feedback import add_feedback, approve
from storage.records import Adapter, ChatMessage, Feedback, Inputs, Message, Passage, Workspace
from storage.rounds import create_round, finish_round
from storage.workspaces import workspace as workspace_named

BASE = "base-fingerprint"


@pytest.fixture
def db(datadir: DataDir) -> Iterator[Database]:
    with open_database(datadir.database) as database:
        yield database


@pytest.fixture
def workspace(db: Database) -> Workspace:
    return workspace_named(db, "default")


@pytest.fixture
def reply_to(db: Database, workspace: Workspace) -> Callable[..., Message]:
    """`reply_to(question, answer)`: the saved reply, in a conversation of its own."""

    def build(
        question: str,
        answer: str = "I do not know.",
        *,
        history: Sequence[ChatMessage] = (),
        passages: Sequence[Passage] = (),
        workspace_id: int = workspace.id,
        **fields: Any,
    ) -> Message:
        talk = start_conversation(db, workspace_id, "user:1")
        asked = add_message(db, talk.id, "user", question)
        inputs = Inputs(question, "Be brief.", 1, tuple(history), tuple(passages))
        known = {"inputs": inputs, "finish_reason": "stop", "parent_id": asked.id} | fields
        return add_message(db, talk.id, "assistant", answer, **known)

    return build


@pytest.fixture
def corrected(db: Database, reply_to: Callable[..., Message]) -> Callable[..., Feedback]:
    """`corrected(question, correction)`: feedback on a new reply; `yes=True` approves it."""

    def build(question: str, correction: str, *, yes: bool = False, **reply: Any) -> Feedback:
        given = add_feedback(
            db,
            message_id=reply_to(question, **reply).id,
            origin="staff",
            contributor="user:1",
            correction=correction,
        )
        return approve(db, given.id, reviewer="user:2") if yes else given

    return build


@pytest.fixture
def candidate(db: Database, workspace: Workspace) -> Callable[..., Adapter]:
    """`candidate()`: an adapter whose round was judged `promote`, or the verdict given."""

    def build(verdict: str | None = "promote", *, examples: Any = (), **fields: Any) -> Adapter:
        tuning_round = create_round(
            db, workspace.id, config={"rank": 8}, base_fingerprint=BASE, examples=examples
        )
        finish_round(db, tuning_round.id, state="done", verdict=verdict)
        known = {"round_id": tuning_round.id, "parent_id": None, "base_fingerprint": BASE}
        known |= {"method": "qlora", "manifest_hash": "m", "metrics": {}}
        return add_adapter(db, workspace.id, **(known | fields))

    return build
