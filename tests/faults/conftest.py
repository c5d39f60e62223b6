"""A data directory with a little of everything that must not be torn."""

import pytest

from storage.adapters import add_adapter, promote
from storage.conversations import add_message, start_conversation
from storage.database import open_database
from storage.datadir import DataDir
from storage.feedback import add_feedback
from storage.records import Inputs
from storage.rounds import create_round, finish_round

KNOWN = {"parent_id": None, "base_fingerprint": "b", "method": "lora", "metrics": {}}


@pytest.fixture
def house(datadir: DataDir) -> DataDir:
    """Somebody asked, one correction waits, adapter 1 serves, adapter 2 may."""
    with open_database(datadir.database) as db:
        talk = start_conversation(db, 1, "user:1")
        asked = add_message(db, talk.id, "user", "How long may I return it?")
        inputs = Inputs("How long may I return it?", "Be brief.", 1, (), ())
        reply = add_message(
            *(db, talk.id, "assistant", "I do not know."),
            inputs=inputs,
            finish_reason="stop",
            parent_id=asked.id,
        )
        add_feedback(
            db, message_id=reply.id, origin="staff", contributor="user:1", correction="30 days"
        )
        for number in (1, 2):
            made = create_round(db, 1, config={}, base_fingerprint="b")
            finish_round(db, made.id, state="done", verdict="promote")
            add_adapter(db, 1, round_id=made.id, manifest_hash=f"m{number}", **KNOWN)
        promote(db, 1, actor="user:2")
    return datadir
