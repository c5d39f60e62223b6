"""A workspace's replies are decoded by its settings, and held to its format where it has one."""

import json
import re
from contextlib import closing
from dataclasses import replace

import pytest
from jsonschema import validate

from assistant.decoding import (
    ANY,
    FREE,
    Decoding,
    decoding_of,
    decodings,
    format_check,
    format_fault,
    not_in_format,
    sampling_of,
    with_usable_format,
)
from assistant.engines.protocol import Sampling
from assistant.lessons import sentinel_cases
from assistant.likeliest import GREEDY
from assistant.opponents import Opponents, Watch
from assistant.overriding import SERVED
from assistant.reply import Delta, ReplyOptions, reply
from storage.conversations import start_conversation
from storage.errors import BadInput
from storage.rounds import create_round
from storage.workspace_settings import WorkspaceSettings
from storage.workspaces import set_workspace
from tests.assistant.command_line import run_verb, write_rows
from tests.assistant.taught import teach
from tuning.evaluate import Case

SCHEMA = {
    "type": "object",
    "properties": {
        "state": {"enum": ["open", "closed"]},
        "orders": {"type": "array", "items": {"type": "integer"}, "maxItems": 3},
        "note": {"type": "string", "maxLength": 8},
    },
    "required": ["state", "orders", "note"],
    "additionalProperties": False,
}
CHECK = {"type": "json", "schema": SCHEMA}
ODD = {"type": "json", "schema": {"type": "array", "uniqueItems": True}}


def set_values(app, **values):
    """The default workspace with these settings."""
    with closing(app.db()) as db:
        for key, value in values.items():
            text = value if isinstance(value, str) else json.dumps(value)
            made = set_workspace(db, "default", key, text)
    return made


def ask(app, workspace, question="Which orders are open?", **options):
    """What was said, and the reply's end."""
    with closing(app.db()) as db:
        conversation = start_conversation(db, workspace.id, "cli").id
    given = ReplyOptions(**options)
    *said, done = reply(app, workspace, conversation, "cli", question, options=given)
    return "".join(piece.text for piece in said if isinstance(piece, Delta)), done


@pytest.mark.parametrize(
    ("given", "schema"),
    [
        ({"checks": (CHECK,)}, SCHEMA),
        ({"checks": ({"type": "json"},)}, ANY),
        ({"checks": ({"type": "json", "schema": True},)}, ANY),
        ({"checks": ({"type": "json", "keys": True},)}, ANY),
        ({"checks": (CHECK,), "strict_format": False}, None),
        ({"checks": (CHECK, {"type": "sql", "database": "x"})}, None),
        ({"checks": (CHECK | {"match": "price"},)}, None),
        ({"checks": ({"type": "contains"},)}, None),
        ({"checks": (ODD,)}, None),
        ({"checks": ({"type": "json", "schema": False},)}, None),
        ({}, None),
    ],
)
def test_the_only_check_is_the_format(workspace, given, schema):
    found = decoding_of(replace(workspace, settings=WorkspaceSettings(**given))).schema
    assert (None if found is None else json.loads(found)) == schema


def test_settings_reach_the_sampling(workspace):
    settings = WorkspaceSettings(
        temperature=0.7, top_p=0.9, seed=5, repeat_penalty=1.2, stop=("END",), max_tokens=30
    )
    found = replace(workspace, settings=settings)
    decoding = decoding_of(found)
    assert decoding == Decoding(1.2, ("END",), None)
    assert sampling_of(found, decoding, None) == Sampling(30, 0.7, 0.9, 5, 1.2)
    assert sampling_of(workspace, FREE, 9) == Sampling(9)
    strict = replace(workspace, settings=replace(settings, checks=(CHECK,)))
    assert decoding_of(strict).stop == (), "a stop text would break the format"


def test_a_round_asks_its_own_questions_in_the_format_and_general_ones_freely(workspace):
    found = replace(workspace, settings=WorkspaceSettings(checks=(CHECK,), repeat_penalty=1.1))
    own = Case("1", "g", "new wordings", (), (1,), "{}")
    assert decodings(found, [own, replace(own, slice="sentinel")]) == [decoding_of(found), FREE]


def test_a_format_that_cannot_be_held_to_is_refused_by_name():
    odd = WorkspaceSettings(checks=(ODD,))
    with pytest.raises(BadInput, match='"uniqueItems".*or set strict_format=false'):
        with_usable_format(odd)
    with_usable_format(replace(odd, strict_format=False))
    with_usable_format(WorkspaceSettings(checks=(CHECK,)))
    assert format_check(odd) == ODD and "uniqueItems" in str(format_fault(odd))


@pytest.mark.parametrize("seed", range(1, 6))
def test_whatever_chance_says_is_in_the_format(app, seed):
    workspace = set_values(app, checks=[CHECK], temperature="1.5", seed=str(seed))
    text, done = ask(app, workspace)
    validate(json.loads(text), SCHEMA)
    assert (done.notices, done.message.finish_reason) == ((), "stop")
    assert ask(app, workspace)[0] == text, "the seed makes it the same again"


def test_a_reply_that_is_cut_off_is_plainly_no_json(app):
    workspace = set_values(app, checks=[CHECK])
    _, done = ask(app, workspace, max_tokens=3)
    assert done.message.finish_reason == "length"
    (said,) = done.notices
    assert "not in the format of this workspace: it is not JSON" in said
    assert said.endswith("It was cut off at 3 tokens: raise max_tokens.")
    assert not_in_format(workspace, "{", "interrupted", 3) == "", "the reader stopped it"
    assert "does not fit the schema" in not_in_format(workspace, "{}", "stop", 3)
    loose = set_values(app, strict_format="false")
    assert ask(app, loose, max_tokens=3)[1].notices == ()


def test_an_approved_answer_is_given_as_it_is(app, workspace):
    strict = set_values(app, checks=[CHECK])
    teach(app, workspace)
    text, done = ask(app, strict, "Which orders are closed?")
    assert done.override is not None and text == done.override.answer
    assert done.notices == (SERVED,), "a person's own words are in no format"


def test_a_stop_text_ends_a_reply(app, workspace):
    whole, _ = ask(app, workspace, max_tokens=30)
    stop = re.findall("[A-Za-z]{3}", whole)[0]
    text, done = ask(app, set_values(app, stop=[stop]), max_tokens=30)
    assert (text, done.message.finish_reason) == (whole[: whole.index(stop)], "stop")


def test_asked_from_a_file_every_answer_is_in_the_format(app, tmp_path):
    set_values(app, checks=[CHECK])
    path = write_rows(tmp_path / "q.jsonl", *({"question": f"Order {n}?"} for n in range(4)))
    rows, code = run_verb(app, "ask", workspace="default", file=str(path))
    assert code == 0
    for row in rows:
        validate(json.loads(row["answer"]), SCHEMA)


def test_a_round_evaluates_as_service_answers(app, db, tmp_path):
    workspace = set_values(app, checks=[CHECK], repeat_penalty="1.3")
    general = sentinel_cases(app, workspace)[0]
    text, done = ask(app, workspace)
    own = replace(general, slice="new wordings", prompt_ids=done.message.sent_ids)
    queued = create_round(db, workspace.id, config={}, base_fingerprint="b")
    watch = Watch(db, queued, lambda share, note: None)
    most = workspace.settings.max_tokens
    cases = [own, replace(own, slice="sentinel")]
    with Opponents(app, workspace, tmp_path, watch, len(cases), GREEDY, most) as opponents:
        evaluated, freely = opponents.answer(cases, None)
    assert evaluated == text
    assert not freely.startswith("{"), "a general question is asked in no format"
