"""Workspaces as typed."""

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
