"""The keys tab: a key is shown once, listed without its secret, ended."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.keys import KeysTab
from assistant.security import may_administer
from storage.keys import key_of, list_keys


@pytest.fixture
def tab_of_keys(tab):
    return tab(KeysTab)


def press(office, work, *inputs, who="ada"):
    return office.press(who, may_administer, work, *inputs)


def test_a_key_is_made_shown_once_and_ended(office, tab_of_keys):
    shown = press(office, tab_of_keys.make_it, "shop", ["chat"], False, 5)
    secret = shown[tab_of_keys.secret]["value"]
    with closing(office.app.db()) as db:
        made = key_of(db, secret, "api")
        assert (made.workspace_id, made.scopes, made.per_minute) == (office.team.id, ("chat",), 5)
    assert shown[tab_of_keys.name] == "" and secret not in shown[tab_of_keys.listed]
    assert "<td>shop</td><td>a program</td><td>team</td><td>ask</td>" in shown[tab_of_keys.listed]
    again = press(office, tab_of_keys.show)
    assert again[tab_of_keys.secret] == {**again[tab_of_keys.secret], "value": "", "visible": False}
    ended = press(office, tab_of_keys.revoke_it, "shop")
    assert "<td>ended</td>" in ended[tab_of_keys.listed]
    assert ended[tab_of_keys.revoking]["visible"] is False
    with closing(office.app.db()) as db:
        assert key_of(db, secret, "api") is None


@pytest.mark.parametrize(
    "typed, said",
    [
        (("", ["chat"], False, 5), "cannot name a key"),
        (("shop", [], False, 5), "use chat, feedback"),
        (("shop", ["chat"], True, None), "from 1 up"),
    ],
)
def test_what_cannot_be_a_key_is_said(office, tab_of_keys, typed, said):
    with pytest.raises(gr.Error, match=said):
        press(office, tab_of_keys.make_it, *typed)
    with pytest.raises(gr.Error, match="Choose the key"):
        press(office, tab_of_keys.revoke_it, None)
    with closing(office.app.db()) as db:
        assert list_keys(db) == []


def test_a_reviewer_makes_no_keys(office, tab_of_keys):
    with pytest.raises(gr.Error, match="may not do this"):
        press(office, tab_of_keys.make_it, "shop", ["chat"], False, 5, who="rita")
