import json

import pytest

from storage.adapters import list_adapters, promote
from storage.conversations import list_conversations
from storage.database import faults, one, write, write_transaction
from storage.documents import chunk_ids, put_document
from storage.errors import BadInput, NotFound, Refused
from storage.jobs import create_job, finish_job
from storage.users import create_user, join
from storage.workspace_settings import WorkspaceSettings
from storage.workspaces import (
    create_workspace,
    delete_workspace,
    instructions_of,
    list_workspaces,
    set_workspace,
    workspace,
    workspace_by_id,
)


def test_a_new_one_is_for_members_and_has_the_default_settings(db):
    made = create_workspace(db, "sales-2", instructions="Answer in one sentence.")
    assert made == workspace(db, "sales-2") == workspace_by_id(db, made.id)
    assert (made.access, made.instructions_version) == ("members", 1)
    assert made.settings == WorkspaceSettings()
    assert [known.name for known in list_workspaces(db)] == ["default", "sales-2"]


@pytest.mark.parametrize("name", ["", "Sales", "-a", "a b", "a/b", "../x", "a\n", "é", "x" * 64])
def test_a_name_that_cannot_be_is_refused(db, name):
    with pytest.raises(BadInput, match="cannot name a workspace"):
        create_workspace(db, name)


def test_a_taken_name_and_an_unknown_access_are_refused(db):
    with pytest.raises(BadInput, match="already a workspace 'default'"):
        create_workspace(db, "default")
    with pytest.raises(BadInput, match="'secret' is no kind of access: use one of public"):
        create_workspace(db, "x", access="secret")
    with pytest.raises(NotFound, match="no workspace 'x'.*workspaces create NAME"):
        workspace(db, "x")
    with pytest.raises(NotFound, match="id 99"):
        workspace_by_id(db, 99)


@pytest.mark.parametrize(
    ("key", "value", "stored"),
    [
        ("passage_tokens", "0", 0),
        ("tune_after", "25", 25),
        ("temperature", "0.7", 0.7),
        ("relevance_floor", "-0.5", -0.5),
        ("top_p", "0.9", 0.9),
        ("seed", "7", 7),
        ("repeat_penalty", "1.1", 1.1),
        ("stop", '["END", "\\n\\n"]', ("END", "\n\n")),
        ("strict_format", "False", False),
        ("embed_origins", '["https://example.com"]', ("https://example.com",)),
        (
            "checks",
            '[{"type": "sql", "database": "shop.sqlite"}, {"type": "json"}]',
            ({"type": "sql", "database": "shop.sqlite"}, {"type": "json"}),
        ),
        ("checks", "[]", ()),
        ("dials", '{"wordings": 0, "method": "lora"}', {"wordings": 0, "method": "lora"}),
        ("dials", "", {}),
        ("decline", "Our documents do not say.", "Our documents do not say."),
    ],
)
def test_a_setting_is_read_back_as_its_type(db, key, value, stored):
    assert getattr(set_workspace(db, "default", key, value).settings, key) == stored
    assert getattr(workspace(db, "default").settings, key) == stored
    assert type(getattr(workspace(db, "default").settings, key)) is type(stored)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("passage_tokens", "many", "passage_tokens cannot be 'many': give a whole number from 0"),
        ("passage_tokens", "-1", "passage_tokens cannot be '-1'"),
        ("passage_tokens", "1.5", "whole number"),
        ("max_tokens", "0", "from 1 to"),
        ("temperature", "nan", "temperature cannot be 'nan': give a number from 0.0 to 2.0"),
        ("temperature", "3", "from 0.0 to 2.0"),
        ("alternatives", "101", "from 0 to 100"),
        ("top_p", "0", "from 0.01 to 1.0"),
        ("seed", "-1", "whole number from 0 to 2147483647"),
        ("repeat_penalty", "0.5", "from 1.0 to 2.0"),
        ("stop", "END", 'give a JSON list such as ["END"]'),
        ("stop", '[""]', "JSON list"),
        ("stop", json.dumps(["x" * 41]), "JSON list"),
        ("strict_format", "maybe", "strict_format cannot be 'maybe': give true or false"),
        ("decline", "no " * 200, "decline cannot have 599 characters: give at most 500"),
        ("checks", "sql", "checks cannot be 'sql': give a JSON list"),
        ("checks", '[{"database": "x"}]', "JSON list"),
        ("checks", '{"type": "sql"}', "JSON list"),
        ("embed_origins", '["example.com"]', "https://example.com"),
        ("embed_origins", '["https://example.com/page"]', "https://example.com"),
        ("access", "all", "'all' is no kind of access"),
        ("colour", "red", "no setting 'colour': use one of instructions, access, passage_tokens"),
    ],
)
def test_a_wrong_setting_is_refused_by_name_and_value(db, key, value, said):
    before = workspace(db, "default")
    with pytest.raises(BadInput, match=said.replace("[", r"\[")):
        set_workspace(db, "default", key, value)
    assert workspace(db, "default") == before


def test_every_version_of_the_instructions_is_kept(db):
    first = set_workspace(db, "default", "instructions", "Be brief.")
    second = set_workspace(db, "default", "instructions", "Be kind.\0")
    assert (second.instructions, second.instructions_version) == ("Be kind.", 3)
    assert instructions_of(db, first.id, 2) == "Be brief."
    with pytest.raises(NotFound, match="no version 9"):
        instructions_of(db, first.id, 9)


def test_a_setting_of_a_later_version_does_no_harm(db, workspace):
    with write_transaction(db):
        write(db, "insert into settings values (?, 'later', '1', '')", workspace.id)
    assert workspace_by_id(db, workspace.id).settings == WorkspaceSettings()


def test_deleting_takes_all_its_rows_and_no_others(db, corrected, candidate, reply_to):
    kept = create_workspace(db, "kept")
    put_document(db, kept.id, name="a", hash="h", media_type="t", chunks=[("", "apples")])
    set_workspace(db, "kept", "checks", '[{"type": "json"}]')
    gone = create_workspace(db, "gone")
    put_document(db, gone.id, name="a", hash="h", media_type="t", chunks=[("", "apples")])
    join(db, create_user(db, "ann", "hash", "member").id, gone.id)
    reply = reply_to("q", workspace_id=gone.id)
    corrected("q", "a", yes=True, workspace_id=gone.id, adapter_id=None, variant_of=None)
    assert delete_workspace(db, "gone") == gone
    assert faults(db) == []
    assert list_conversations(db, gone.id, "user:1") == []
    assert one(db, "select 1 from messages where id = ?", reply.id) is None
    assert (chunk_ids(db, gone.id), len(chunk_ids(db, kept.id))) == (set(), 1)


def test_deleting_one_with_rounds_and_adapters(db, candidate, workspace, monkeypatch):
    promote(db, candidate().id, actor="user:1")
    monkeypatch.setattr("storage.workspaces.DEFAULT", "another")
    delete_workspace(db, "default")
    assert list_adapters(db, workspace.id) == []
    assert faults(db) == []


def test_the_default_and_a_busy_one_cannot_be_deleted(db):
    with pytest.raises(Refused, match="cannot be deleted"):
        delete_workspace(db, "default")
    busy = create_workspace(db, "busy")
    work = create_job(db, "round", busy.id)
    with pytest.raises(Refused, match=f"a round going on .job {work.id}."):
        delete_workspace(db, "busy")
    finish_job(db, work.id, "cancelled")
    delete_workspace(db, "busy")
    with pytest.raises(NotFound):
        workspace(db, "busy")


def test_sites_are_web_addresses(db):
    sites = ["https://a.example/", "http://intranet:8080", "https://a.example/docs?x=1"]
    changed = set_workspace(db, "default", "sites", json.dumps(sites))
    assert changed.settings.sites == tuple(sites)
    for wrong in ('["a.example"]', '["ftp://a.example/"]', '["https://a b/"]', "https://a.example"):
        with pytest.raises(BadInput, match="sites cannot be"):
            set_workspace(db, "default", "sites", wrong)
    with pytest.raises(BadInput, match="site_pages"):
        set_workspace(db, "default", "site_pages", "0")


def test_starters_are_short_questions(db):
    changed = set_workspace(db, "default", "starters", '["What can I ask?"]')
    assert changed.settings.starters == ("What can I ask?",)
    for wrong in ("What?", '["  "]', "[1]", f'["{"x" * 301}"]'):
        with pytest.raises(BadInput, match="starters"):
            set_workspace(db, "default", "starters", wrong)
