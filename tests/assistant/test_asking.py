"""What is asked at the terminal: a password twice, and the name of what is to be deleted."""

import builtins
import getpass
import io
import sys

import pytest

from assistant.asking import ask_person
from assistant.security import verify_password
from storage.errors import BadInput, Refused

PASSWORD = "correct horse battery"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def answers(monkeypatch):
    """Whoever sits at the terminal types these, one after another."""
    typed: list[str] = []
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", lambda prompt: typed.pop(0))
    monkeypatch.setattr(builtins, "input", lambda prompt: typed.pop(0))
    return typed


def test_password_goes_no_further_than_its_hash(answers):
    answers += [PASSWORD, PASSWORD]
    found = ask_person("users create", {"name": "ann", "role": "admin", "password_stdin": False})
    assert found.keys() == {"name", "role", "password_hash"}
    assert verify_password(PASSWORD, found["password_hash"])


def test_two_passwords_that_differ(answers):
    answers += [PASSWORD, "something else"]
    with pytest.raises(BadInput, match="differ"):
        ask_person("users create", {"name": "ann", "password_stdin": False})


def test_no_password_is_asked_for_where_none_is_changed(answers):
    given = {"name": "ann", "password": False, "password_stdin": False, "role": "member"}
    found = ask_person("users set", given)
    assert found == {"name": "ann", "role": "member", "password_hash": None}


def test_deleting_wants_the_name(answers):
    answers += ["sales", "sails"]
    assert ask_person("workspaces delete", {"name": "sales", "yes": False}) == {"name": "sales"}
    with pytest.raises(Refused, match="not deleted"):
        ask_person("workspaces delete", {"name": "sales", "yes": False})


def test_other_verbs_ask_nothing(answers):
    assert ask_person("rounds show", {"id": 1}) == {"id": 1}
