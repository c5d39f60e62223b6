"""The users tab: made, another role, let in, a new password, deleted; by admins alone."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.users import UsersTab
from assistant.security import log_in, may_administer
from storage.audit import list_audit
from storage.users import list_users, may_use_ids, user_by_name


@pytest.fixture
def users(tab):
    return tab(UsersTab)


def press(office, work, *inputs, who="ada"):
    return office.press(who, may_administer, work, *inputs)


def test_a_user_is_made_changed_and_deleted(office, users):
    shown = press(office, users.add_it, "Zoë <b>", "a long password", "member")
    assert "<td>Zoë &lt;b&gt;</td><td>member</td>" in shown[users.listed]
    assert (shown[users.name], shown[users.first_password]) == ("", "")
    press(office, users.set_the_role, "Zoë <b>", "reviewer")
    assert press(office, users.read, "Zoë <b>")[users.role] == "reviewer"
    press(office, users.set_the_password, "Zoë <b>", "another password")
    with closing(office.app.db()) as db:
        assert log_in(db, "Zoë <b>", "another password").role == "reviewer"
        assert log_in(db, "Zoë <b>", "a long password") is None
        newest = list_audit(db, 3)
    assert {one.actor for one in newest} == {office.people["ada"].person.owner}
    assert [one.action for one in newest] == ["user set", "user set", "user created"]
    assert "password" not in str(newest[2].detail)
    assert press(office, users.ask, "Zoë <b>")[users.sure]["visible"]
    gone = press(office, users.delete_it, "Zoë <b>")
    assert "Zoë" not in gone[users.listed]


def test_a_member_is_let_in_and_taken_out(office, users):
    with closing(office.app.db()) as db:
        nell = user_by_name(db, "nell").id
        press(office, users.let_in, "nell")
        assert office.team.id in may_use_ids(db, nell)
        press(office, users.take_out, "nell")
        assert office.team.id not in may_use_ids(db, nell)


@pytest.mark.parametrize(
    "work, typed, said",
    [
        ("add_it", ("zoe", "short", "member"), "at least 8"),
        ("add_it", ("", "a long password", "member"), "cannot name a user"),
        ("add_it", ("mo", "a long password", "member"), "already a user"),
        ("add_it", ("zoe", "a long password", "boss"), "is no role"),
        ("set_the_role", ("ada", "member"), "last admin"),
        ("set_the_role", (None, "member"), "Choose a user"),
        ("set_the_role", ("mo", None), "is no role"),
        ("delete_it", ("ada",), "This is you"),
        ("delete_it", ("nobody",), "There is no user"),
    ],
)
def test_what_cannot_be_is_said(office, users, work, typed, said):
    with closing(office.app.db()) as db:
        before = list_users(db)
        with pytest.raises(gr.Error, match=said):
            press(office, getattr(users, work), *typed)
        assert list_users(db) == before


def test_a_reviewer_changes_nobody(office, users):
    for work, typed in (
        (users.set_the_role, ("rita", "admin")),
        (users.delete_it, ("mo",)),
        (users.show, ()),
    ):
        with pytest.raises(gr.Error, match="may not do this"):
            press(office, work, *typed, who="rita")
