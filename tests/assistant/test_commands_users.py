"""Users as typed. The password comes by standard input and is stored as a hash only."""

import io
import sys

import pytest

from tests.assistant.command_line import refusal

PASSWORD = "correct horse battery"


@pytest.fixture
def create(apprentice, monkeypatch):
    def create(name, *words, password=PASSWORD, code=0):
        monkeypatch.setattr(sys, "stdin", io.StringIO(password + "\n"))
        return apprentice("users", "create", name, "--password-stdin", *words, code=code)

    return create


def test_created_user_is_listed_and_its_password_is_hashed(apprentice, create):
    create("ann", "--role", "admin")
    (row,) = apprentice.rows("users", "list")
    assert (row["name"], row["role"], row["workspaces"]) == ("ann", "admin", ["default"])
    assert "password" not in row
    stored = b"".join(path.read_bytes() for path in apprentice.data.glob("apprentice.db*"))
    assert PASSWORD.encode() not in stored and b"$argon2" in stored


def test_member_joins_and_leaves_a_workspace(apprentice, create):
    create("ann", "--role", "admin")
    create("bob")
    assert apprentice.rows("users", "set", "bob", "--join", "default")[0]["workspaces"] == [
        "default"
    ]
    assert apprentice.rows("users", "set", "bob", "--leave", "default")[0]["workspaces"] == []
    apprentice("users", "delete", "bob")
    assert [row["name"] for row in apprentice.rows("users", "list")] == ["ann"]


def test_short_password_is_refused(apprentice, create):
    create("ann", password="short", code=2)
    assert "5 characters" in refusal(apprentice)
    assert apprentice.rows("users", "list") == []


def test_without_a_terminal_there_is_nobody_to_ask(apprentice, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    apprentice("users", "create", "ann", code=2)
    assert "--password-stdin" in refusal(apprentice)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("set", "ann"), "ann"),
        (("set", "ann", "--role", "king"), "king"),
        (("set", "ann", "--role", "member"), "last admin"),
        (("set", "ann", "--join", "nowhere"), "nowhere"),
        (("set", "nobody", "--role", "member"), "nobody"),
        (("delete", "ann"), "last admin"),
        (("delete", "nobody"), "nobody"),
    ],
)
def test_refusals_name_the_value(apprentice, create, words, named):
    create("ann", "--role", "admin")
    apprentice("users", *words, code=2)
    assert named in refusal(apprentice)
