"""The checks tab: declared as `workspaces set` does, refused in one sentence, removed again."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.checks import ChecksTab, asks
from assistant.security import may_administer
from storage.client_databases import copies
from storage.workspaces import set_workspace, workspace

NOTHING = ("", "", "", "", "", "all")
"""database, schema, pattern, words, match, how."""


@pytest.fixture
def checks(tab):
    return tab(ChecksTab)


def press(office, work, *inputs, who="ada", **more):
    return office.press(who, may_administer, work, *inputs, **more)


def declared(office):
    with closing(office.app.db()) as db:
        return workspace(db, "team").settings.checks


def test_each_type_is_declared_seen_and_removed(office, checks, shop):
    press(office, checks.add_it, "sql", f" {shop} ", *NOTHING[1:])
    press(office, checks.add_it, "json", "", '{"type": "object"}', *NOTHING[2:])
    press(office, checks.add_it, "regex", "", "", r"\d+ days", "", "days", "all")
    shown = press(office, checks.add_it, "contains", *NOTHING[:3], "ship\n\n pay ", "", "any")
    assert declared(office) == (
        {"type": "sql", "database": str(shop)},
        {"type": "json", "schema": {"type": "object"}},
        {"type": "regex", "pattern": r"\d+ days", "match": "days"},
        {"type": "contains", "any": ["ship", "pay"]},
    )
    assert [copy.source for copy in copies(office.app.datadir.client_databases)] == [str(shop)]
    listed = shown[checks.listed].replace("<wbr>", "")  # where a long path may be broken
    assert f"<td>1</td><td>sql</td><td>a query that runs on {shop}</td>" in listed
    assert "one of: ship, pay" in shown[checks.listed]
    assert shown[checks.words] == "" and shown[checks.removing]["visible"] is True
    first = shown[checks.chosen]["choices"][0][1]
    press(office, checks.remove_it, first)
    assert [check["type"] for check in declared(office)] == ["json", "regex", "contains"]
    assert copies(office.app.datadir.client_databases) == []
    with pytest.raises(gr.Error, match="Choose the check"):
        press(office, checks.remove_it, first)


def test_a_check_whose_database_is_gone_does_not_stop_another(office, checks, shop):
    press(office, checks.add_it, "sql", str(shop), *NOTHING[1:])
    shop.unlink()
    press(office, checks.add_it, "json", *NOTHING)
    assert len(declared(office)) == 2


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("sql", "shop.sqlite", *NOTHING[1:]), "no full path"),
        (("sql", "", *NOTHING[1:]), "no full path"),
        (("sql", "/no/such.sqlite", *NOTHING[1:]), "is not a file"),
        (("json", "", "{", *NOTHING[2:]), "no JSON"),
        (("json", "", '"@/etc/hostname"', *NOTHING[2:]), "no JSON object"),
        (("json", "", '{"type": "thing"}', *NOTHING[2:]), "schema of the json check"),
        (("json", "", '{"uniqueItems": true}', *NOTHING[2:]), "cannot be held to the schema"),
        (("regex", *NOTHING), "pattern"),
        (("regex", "", "", "(", "", "", "all"), "pattern"),
        (("style", *NOTHING), "type of the list"),
        ((None, *[None] * 6), "type of the list"),
    ],
)
def test_what_cannot_be_gets_a_sentence(office, checks, typed, said):
    with pytest.raises(gr.Error, match=said):
        press(office, checks.add_it, *typed)
    assert declared(office) == ()


def test_no_sqlite_file_and_none_of_our_own(office, checks, tmp_path):
    (tmp_path / "text.sqlite").write_text("no database at all, only words")
    with pytest.raises(gr.Error, match="name an SQLite file"):
        press(office, checks.add_it, "sql", str(tmp_path / "text.sqlite"), *NOTHING[1:])
    with pytest.raises(gr.Error, match="assistant's own"):
        press(office, checks.add_it, "sql", str(office.app.datadir.database), *NOTHING[1:])


def test_the_same_twice_is_said(office, checks):
    press(office, checks.add_it, "json", *NOTHING)
    with pytest.raises(gr.Error, match="declared already"):
        press(office, checks.add_it, "json", *NOTHING)


def test_the_fields_follow_the_type(office, checks):
    shown = press(office, checks.choose, "contains")
    assert shown[checks.containing]["visible"] is True
    assert shown[checks.database]["visible"] is False


def test_no_checks_are_said_and_those_typed_elsewhere_are_read(office, checks):
    shown = press(office, checks.show)
    assert "No checks" in shown[checks.listed] and shown[checks.removing]["visible"] is False
    with closing(office.app.db()) as db:
        set_workspace(db, "team", "checks", '[{"type": "json", "keys": true}, {"type": "exact"}]')
    shown = press(office, checks.show)
    assert (
        "JSON, the keys only" in shown[checks.listed] and "the same words" in (shown[checks.listed])
    )


def test_a_long_schema_is_cut_in_the_list():
    said = asks({"type": "json", "schema": {"description": "x" * 500}, "match": "{"})
    assert len(said) < 220 and said.endswith("; only where '{' stands")


def test_only_an_admin(office, checks):
    with pytest.raises(gr.Error, match="may not"):
        press(office, checks.add_it, "json", *NOTHING, who="rita")
    assert declared(office) == ()
