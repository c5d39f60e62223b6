import pytest

from storage.errors import BadInput, NotFound, Refused
from storage.users import (
    create_user,
    delete_user,
    join,
    leave,
    list_users,
    may_use_ids,
    password_hash,
    set_user,
    user_by_id,
    user_by_name,
)
from storage.workspaces import create_workspace, workspace


def test_a_user_is_found_by_name_whatever_the_case(db):
    ann = create_user(db, " Ann ", "hash", "admin")
    assert ann.name == "Ann"
    assert user_by_name(db, "ANN") == user_by_id(db, ann.id) == ann
    assert password_hash(db, ann.id) == "hash"
    assert list_users(db) == [ann]


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb"])
def test_a_name_that_cannot_be_is_refused(db, name):
    with pytest.raises(BadInput, match="cannot name a user"):
        create_user(db, name, "hash", "member")


def test_a_taken_name_and_an_unknown_role_are_refused(db):
    create_user(db, "ann", "hash", "member")
    with pytest.raises(BadInput, match="already a user 'ANN'"):
        create_user(db, "ANN", "hash", "member")
    with pytest.raises(BadInput, match="'boss' is no role: use one of admin"):
        create_user(db, "bob", "hash", "boss")
    with pytest.raises(NotFound, match="no user 'bob'.*users list"):
        user_by_name(db, "bob")
    with pytest.raises(NotFound):
        password_hash(db, 99)


def test_role_and_password_change_apart(db):
    ann = create_user(db, "ann", "old", "member")
    assert set_user(db, "ann", role="reviewer").role == "reviewer"
    assert password_hash(db, ann.id) == "old"
    set_user(db, "ann", password_hash="new")
    assert password_hash(db, ann.id) == "new"
    assert user_by_id(db, ann.id).role == "reviewer"
    assert set_user(db, "ann", role="viewer").role == "viewer"


def test_the_last_admin_stays(db):
    create_user(db, "ann", "hash", "admin")
    with pytest.raises(Refused, match="'ann' is the last admin"):
        delete_user(db, "ann")
    with pytest.raises(Refused, match="last admin"):
        set_user(db, "ann", role="member")
    create_user(db, "bob", "hash", "admin")
    delete_user(db, "ann")
    with pytest.raises(NotFound):
        user_by_name(db, "ann")


def test_a_new_user_never_gets_an_old_ones_id(db):
    """An id is an owner: it would hand over the conversations."""
    ann = create_user(db, "ann", "hash", "member")
    delete_user(db, "ann")
    assert create_user(db, "ann", "hash", "member").id > ann.id


def test_which_workspaces_a_user_may_use(db):
    members = workspace(db, "default").id
    public = create_workspace(db, "open", access="public").id
    create_workspace(db, "site", access="embed")
    ann = create_user(db, "ann", "hash", "member").id
    bob = create_user(db, "bob", "hash", "reviewer").id
    assert may_use_ids(db, ann) == {public}
    assert may_use_ids(db, bob) == {public, members}
    join(db, ann, members)
    join(db, ann, members)
    assert may_use_ids(db, ann) == {public, members}
    leave(db, ann, members)
    assert may_use_ids(db, ann) == {public}
    assert may_use_ids(db, 99) == set()


def test_joining_needs_both(db):
    ann = create_user(db, "ann", "hash", "member").id
    with pytest.raises(NotFound, match="no workspace"):
        join(db, ann, 99)
    with pytest.raises(NotFound, match="no user"):
        join(db, 99, 1)
