"""Workspaces as typed."""

import json

import pytest

from tests.assistant.command_line import refusal


def test_there_is_a_default_workspace_from_the_start(apprentice):
    assert [row["name"] for row in apprentice.rows("workspaces", "list")] == ["default"]


def test_created_workspace_is_listed_with_what_was_given(apprentice, tmp_path):
    text = tmp_path / "instructions.txt"
    text.write_text("Answer in SQL.\n")
    words = ("--access", "public", "--instructions", f"@{text}")
    apprentice("workspaces", "create", "sales", *words)
    found = {row["name"]: row for row in apprentice.rows("workspaces", "list")}
    assert found["sales"]["instructions"] == "Answer in SQL."
    assert found["sales"]["access"] == "public"
    assert found["sales"]["serving"] == "base"


def test_settings_are_set_by_their_type(apprentice):
    changes = ("top_k=5", "relevance_floor=0.2", 'checks=[{"type": "json"}]')
    (row,) = apprentice.rows("workspaces", "set", "default", *changes)
    assert (row["top_k"], row["relevance_floor"], row["checks"]) == (5, 0.2, [{"type": "json"}])


def set_checks(apprentice, *checks, code=0):
    words = ("workspaces", "set", "default", f"checks={json.dumps(checks)}")
    rows = apprentice.rows(*words, code=code)
    return rows[0]["checks"] if rows else None


def test_a_checks_database_is_copied_when_it_is_declared_and_forgotten_with_it(
    apprentice, shop, monkeypatch
):
    monkeypatch.chdir(shop.parent)
    (check,) = set_checks(apprentice, {"type": "sql", "database": "shop.sqlite"})
    assert check["database"] == str(shop)
    copies = apprentice.data / "client-databases"
    assert len(list(copies.glob("*.sqlite"))) == 1
    assert f"{shop}, copied 0.0 days ago" in apprentice("doctor")
    assert set_checks(apprentice) == []
    assert list(copies.iterdir()) == []


def test_a_schema_is_read_from_its_file(apprentice, tmp_path):
    schema = {"type": "object", "required": ["price"]}
    (tmp_path / "price.json").write_text(json.dumps(schema))
    check = {"type": "json", "schema": f"@{tmp_path / 'price.json'}"}
    assert set_checks(apprentice, check) == [{"type": "json", "schema": schema}]


@pytest.mark.parametrize(
    ("check", "named"),
    [
        ({"type": "taste"}, "taste"),
        ({"type": "sql", "database": "/no/such.sqlite"}, "/no/such.sqlite"),
        ({"type": "sql", "database": __file__}, "SQLite"),
        ({"type": "regex", "pattern": "("}, "regular expression"),
        ({"type": "json", "schema": {"type": "thing"}}, "JSON Schema"),
        ({"type": "json", "schema": "@/no/such.json"}, "/no/such.json"),
        ({"type": "json", "schema": f"@{__file__}"}, "JSON"),
    ],
)
def test_a_check_that_cannot_be_used_is_refused_when_it_is_set(apprentice, check, named):
    set_checks(apprentice, {"type": "json"})
    set_checks(apprentice, {"type": "json"}, check, code=2)
    assert named in refusal(apprentice)
    assert apprentice.rows("workspaces", "list")[0]["checks"] == [{"type": "json"}]


def test_a_format_that_replies_cannot_be_held_to_is_refused_unless_it_is_switched_off(apprentice):
    odd = f"checks={json.dumps([{'type': 'json', 'schema': {'uniqueItems': True}}])}"
    apprentice("workspaces", "set", "default", odd, code=2)
    assert "uniqueItems" in refusal(apprentice) and "strict_format=false" in apprentice.said
    apprentice("workspaces", "set", "default", odd, "strict_format=false")
    apprentice("workspaces", "set", "default", "strict_format=true", code=2)
    assert "uniqueItems" in refusal(apprentice)
    (row,) = apprentice.rows("workspaces", "list")
    assert (row["strict_format"], len(row["checks"])) == (False, 1)


def test_one_bad_setting_leaves_all_as_they_were(apprentice):
    apprentice("workspaces", "set", "default", "top_k=7", "relevance_floor=high", code=2)
    assert "relevance_floor" in refusal(apprentice) and "high" in apprentice.said
    assert apprentice.rows("workspaces", "list")[0]["top_k"] == 3


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("create", "No Good"), "No Good"),
        (("create", "default"), "default"),
        (("create", "x", "--access", "everyone"), "everyone"),
        (("set", "default", "top_k"), "top_k"),
        (("set", "default", "colour=red"), "colour"),
        (("set", "default", "instructions=@/no/such/file"), "/no/such/file"),
        (("set", "nowhere", "top_k=1"), "nowhere"),
        (("delete", "default", "--yes"), "default"),
        (("delete", "nowhere", "--yes"), "nowhere"),
    ],
)
def test_refusals_name_the_value(apprentice, words, named):
    apprentice("workspaces", *words, code=2)
    assert named in refusal(apprentice)


def test_deleting_asks_first(apprentice):
    apprentice("workspaces", "create", "sales")
    apprentice("workspaces", "delete", "sales", code=2)
    assert "--yes" in refusal(apprentice)
    apprentice("workspaces", "delete", "sales", "--yes")
    assert [row["name"] for row in apprentice.rows("workspaces", "list")] == ["default"]


def test_dials_are_kept_shown_and_used_and_a_wrong_one_is_named(apprentice):
    apprentice("workspaces", "set", "default", 'dials={"wordings": 0, "rank": "8"}')
    (shown,) = apprentice.rows("workspaces", "show", "default")
    assert shown["dials"] == {"wordings": 0, "rank": 8}
    assert '{"wordings": 0, "rank": 8}' in apprentice("workspaces", "show", "default")
    apprentice("workspaces", "set", "default", 'dials={"ranks": 8}', code=2)
    assert "no setting 'ranks'" in refusal(apprentice)
    assert apprentice.rows("workspaces", "list")[0]["dials"] == {"wordings": 0, "rank": 8}
    apprentice("workspaces", "show", "nowhere", code=2)
    assert "no workspace 'nowhere'" in refusal(apprentice)
