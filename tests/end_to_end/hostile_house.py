"""A house in which everything that people, models, documents and files wrote is hostile."""

import json
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from sqlite_utils import Database

from assistant.app import App
from assistant.commands.documents import sync
from storage.attachments import add_attachment
from storage.conversations import add_message, start_conversation
from storage.database import write_transaction
from storage.feedback import add_feedback, approve
from storage.records import Inputs, Passage
from storage.workspaces import workspace_by_id
from tuning.adapter_files import CARD, NOTES
from tuning.child import LOG

THUMBS_DOWN = 12
"""Replies without a passage that were disliked: what the gaps and the map show."""


def hostile_talk(db: Database, owner: str, texts: Sequence[str], workspace_id: int = 1) -> str:
    """A conversation of `owner` in which each text is question, reply, source and right answer."""
    talk = start_conversation(db, workspace_id, owner)
    last: str | None = None
    for number, text in enumerate(texts):
        asked = add_message(db, talk.id, "user", text, parent_id=last)
        found = Passage(1, 1, text, text, text, 1.0, source_url=f"https://x.example/{text}")
        said = add_message(
            *(db, talk.id, "assistant", text),
            parent_id=asked.id,
            inputs=Inputs(text, "", 1, passages=(found,)),
            finish_reason="stop",
        )
        who = {"message_id": said.id, "origin": "staff", "contributor": owner}
        given = add_feedback(db, **who, correction=f"{number} {text}", comment=text)
        approve(db, given.id, reviewer="user:1")
        last = said.id
    for text in texts[:5]:
        add_attachment(db, talk.id, name=text, bytes=1, embedder="x", chunks=[(text, text, b"")])
    return talk.id


def hostile_titles(db: Database, owner: str, texts: Sequence[str]) -> None:
    """Other conversations of `owner`, named by the texts."""
    for text in texts:
        talk = start_conversation(db, 1, owner)
        add_message(db, talk.id, "user", text)
        with write_transaction(db):
            db.conn.execute("update conversations set title = ? where id = ?", (text, talk.id))


# one row for each text; what a check of the column forbids cannot be shown either
_ROWS = {
    "documents": "insert into documents (id, workspace_id, name, hash, media_type, source_url) "
    "values (:n, :place, :text, :n, :text, :text)",
    "chunks": "insert into chunks (document_id, workspace_id, position, heading, text, hash) "
    "values (:n, :place, 0, :text, :text, :n)",
    "keys": "insert into keys (kind, name, workspace_id, hash, shown, scopes, origins) "
    "values (iif(:n % 2, 'embed', 'api'), :text, :place, :n, :text, '[\"chat\"]', "
    "json_array(:text))",
    "users": "insert or ignore into users (name, role, password_hash) values (:text, 'member', :n)",
    "audit": "insert into audit (actor, action, subject, detail, hash) "
    "values (:text, :text, :text, json_object(:text, :text), :n)",
    "jobs": "insert into jobs (id, kind, workspace_id, state, note, error, finished_at) "
    "values (:n, 'round', :place, 'failed', :text, :text, '2026-01-01T00:00:00.000Z')",
    "rounds": "insert into rounds (id, workspace_id, job_id, base_fingerprint, config, reasons, "
    "scores) values (:n, :place, :n, 'b', json_object('notes', json_array(:text), 'resumption', "
    ":text, 'objective', :text, 'method', :text), json_array(:text), "
    "json_object('notes', json_array(:text)))",
    "examples": 'insert into round_examples (round_id, kind, split, feedback_id, "group", '
    "pair_hash) select 1, 'correction', 'train', id, \"group\", id from feedback where id = :n",
    "adapters": "insert into adapters (id, workspace_id, round_id, status, base_fingerprint, "
    "method, manifest_hash) values (:n, :place, :n, iif(:n = 1, 'serving', 'candidate'), 'b', "
    ":text, :n)",
    "requests": "insert into erasure_requests (workspace_id, kind, subject, requester) "
    "values (:place, 'contributor', :text, :text)",
    "erasures": "insert into erasures (id, kind, subject, subject_hash, actor, state, erased_at, "
    "detail) "
    "values (:n, 'contributor', :text, :text || :n, :text, 'done', '9999-01-01', :certificate)",
    "copies": "insert into copies (kind, adapter_id, round_id, place, format, hash, actor) "
    "values ('export', 1, 1, :text, :text, '', :text)",
    "backups": "insert into backups (path, size, hash, actor) values (:text, 1, :n, :text)",
    "checks": "insert into checks (workspace_id, position, type, specification) values (:place, "
    ":n, 'contains', json_object('type', 'contains', 'all', json_array(:text), 'match', :text))",
    "paraphrases": "insert into paraphrases (feedback_id, question, question_key, author) "
    "select id, :text, :text, :text from feedback where id = :n",
    "jobs of documents": "insert into jobs (kind, workspace_id, state, note, error, finished_at) "
    "values (:kind, :place, 'done', :text, :text, '2026-01-01T00:00:00.000Z')",
}
_JOBS = ("ingest", "reindex", "website", "style", "export", "push", "rebase", "adapter import")


def hostile_house(app: App, texts: Sequence[str], place: int) -> None:
    """Every table that the admin's tabs show of the workspace `place`, filled with the texts."""
    with closing(app.db()) as db:
        hostile_talk(db, "visitor:hostile", texts, place)
        _queue(db, texts, place)
        with write_transaction(db):
            for sql in _ROWS.values():
                for number, text in enumerate(texts, start=1):
                    row = {"n": number, "text": text, "place": place, "kind": _JOBS[number % 8]}
                    row["certificate"] = _certificate(text)
                    db.conn.execute(sql, {name: row[name] for name in row if f":{name}" in sql})
            _settings(db, texts, place)
        sync(app, db, place)
    _files(app, texts)


def _certificate(text: str) -> str:
    lists = {"rows": [], "examples": [], "rounds": [1], "adapters": [1], "feedback": [1]}
    retrained = [{"workspace": text, "round": None, "error": text}]
    return json.dumps({**lists, "retrained": retrained, "left": {text: 1}})


def _queue(db: Database, texts: Sequence[str], place: int) -> None:
    """What waits for a reviewer, of the staff and of the public, and what nobody answered."""
    talk = start_conversation(db, place, "visitor:queue")
    for number, text in enumerate([*texts, "\n".join(texts), " ".join(texts)]):
        asked = add_message(db, talk.id, "user", text)
        said = add_message(
            *(db, talk.id, "assistant", f"{text} said"),
            parent_id=asked.id,
            inputs=Inputs(text, text, 1, history=({"role": "user", "content": text},)),
            finish_reason="stop",
        )
        thumb: dict[str, Any] = {"rating": -1} if number < THUMBS_DOWN else {"correction": text}
        add_feedback(
            *(db,),
            message_id=said.id,
            origin="widget",
            contributor=f"visitor:{text}",
            comment=text,
            reasons=(text,),
            quarantine=bool(number % 2),
            **thumb,
        )


def _settings(db: Database, texts: Sequence[str], place: int) -> None:
    known = workspace_by_id(db, place).settings
    values = {"starters": json.dumps(texts[:4]), "declined": json.dumps(texts[5])}
    for key, value in values.items():
        if hasattr(known, key):
            sql = "insert or replace into settings (workspace_id, key, value) values (?, ?, ?)"
            db.conn.execute(sql, (place, key, value))
    sql = "update instructions_versions set text = ?, author = ? where workspace_id = ?"
    db.conn.execute(sql, (" ".join(texts), texts[0], place))
    # the newest round still runs: its log is shown
    db.conn.execute(
        "update jobs set state = 'running', finished_at = null where id = "
        "(select max(job_id) from rounds)"
    )


def _files(app: App, texts: Sequence[str]) -> None:
    whole = "\n\n".join(texts)
    log = app.datadir.rounds / str(len(texts)) / "out" / LOG
    log.parent.mkdir(parents=True)
    log.write_text(whole)
    for number in range(1, len(texts) + 1):
        folder = app.adapter_folder(number)
        folder.mkdir(parents=True)
        (folder / CARD).write_text(f"{NOTES}\n{whole if number == 1 else texts[number - 1]}")
