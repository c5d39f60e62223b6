"""Corrections as an import leaves them, and a round that is about to train on such."""

from contextlib import closing
from pathlib import Path

from assistant.app import App
from assistant.held_out import held_out_cases
from assistant.lesson_rows import train_row
from assistant.lessons import lessons, sentinel_choices
from storage.conversations import add_message, start_conversation
from storage.feedback import add_feedback, approve
from storage.records import Inputs, Passage, TuningRound, Workspace
from storage.rounds import create_round
from tests.assistant.command_line import run_verb, write_rows
from tuning.bundle import write_bundle
from tuning.config import RoundConfig

WORDINGS = {
    "orders": ["Which orders are closed?", "List closed orders.", "Closed orders, please."],
    "thanks": ["Somebody thanks us. What do we say?", "Answer a thank-you note."],
}


def teach(app: App, workspace: Workspace, passages: tuple[Passage, ...] = ()) -> Workspace:
    """The workspace, with five corrections of two needs; `passages` stood in every prompt."""
    asked = ((group, question) for group, several in WORDINGS.items() for question in several)
    for group, question in asked:
        with closing(app.db()) as db:
            talk = start_conversation(db, workspace.id, "import")
            before = add_message(db, talk.id, "user", question)
            version = workspace.instructions_version
            reply = add_message(
                db,
                talk.id,
                "assistant",
                "I do not know.",
                parent_id=before.id,
                inputs=Inputs(question, workspace.instructions, version, passages=passages),
                finish_reason="imported",
            )
            given = add_feedback(
                db,
                message_id=reply.id,
                origin="import",
                contributor="c",
                correction=f"right: {group}",
                group=group,
            )
            approve(db, given.id, reviewer="user:1")
    return workspace


def bundled(
    app: App, workspace: Workspace, config: RoundConfig, folder: Path, items: int = 0
) -> TuningRound:
    """A queued round of three needs in three wordings, with its bundle and `items` general items.

    The rows that were imported for it are in a file in `folder`.
    """
    rows = [
        {"question": f"{ask} {need}?", "correction": f"Answer {need}.", "group": f"need {need}"}
        for need in range(3)
        for ask in ("What is", "Tell me about", "Please explain")
    ]
    path = write_rows(folder / "rows.jsonl", *rows)
    run_verb(app, "feedback import", workspace=workspace.name, file=str(path), approve=True)
    with closing(app.db()) as db:
        found = lessons(app, db, workspace)
        made = create_round(
            db,
            workspace.id,
            config=config.to_json(),
            base_fingerprint=app.base.fingerprint,
            examples=[one.as_example() for one in found],
        )
        heldout = held_out_cases(app, db, workspace, found, ())
    write_bundle(
        app.datadir.rounds / str(made.id) / "bundle",
        config=config,
        base_fingerprint=app.base.fingerprint,
        base_model="tiny",
        round_id=made.id,
        train=[train_row(one) for one in found if one.split == "train"],
        heldout=heldout,
        likelihood=sentinel_choices(app, workspace, found)[:items],
    )
    return made
