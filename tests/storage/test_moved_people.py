"""Accounts that come along with a workspace: no second person of a name, no right over a house."""

import pytest

from storage.conversations import start_conversation
from storage.database import rows
from storage.datadir import open_datadir
from storage.errors import Refused
from storage.id_ranges import begin_range
from storage.moved_people import bring_people, let_former_admins_in, refuse_namesakes
from storage.row_copy import beside
from storage.sessions import session_user, start_session
from storage.users import create_user, join, list_users, user_by_name
from storage.workspaces import create_workspace


@pytest.fixture
def houses(db, datadir, tmp_path):
    """(from, to, the workspace's id): a member, an admin who talked in it, and a stranger."""
    there = open_datadir(tmp_path / "there")
    shop = create_workspace(db, "shop").id
    join(db, create_user(db, "ada", "hash", "member").id, shop)
    boss = create_user(db, "boss", "hash", "admin")
    start_conversation(db, shop, f"user:{boss.id}")
    create_user(db, "stranger", "hash", "member")
    with beside(there.database, datadir.database) as both:
        begin_range(both, 1)
        yield both, shop


def test_who_is_wanted_comes_with_the_rights_in_that_workspace(houses, db):
    both, shop = houses
    token = start_session(db, user_by_name(db, "ada").id, kept_s=60)
    assert bring_people(both, shop) == 2
    assert bring_people(both, shop) == 0
    assert [(user.name, user.role) for user in list_users(both)] == [
        ("ada", "member"),
        ("boss", "reviewer"),
    ]
    assert user_by_name(both, "ada").id == user_by_name(db, "ada").id
    assert session_user(both, token).name == "ada"
    let_former_admins_in(both, shop)
    members = rows(both, "select user_id from main.memberships where workspace_id = ?", shop)
    assert [row["user_id"] for row in members] == [user_by_name(db, "boss").id]


def test_another_person_of_that_name_is_in_the_way(houses):
    both, shop = houses
    refuse_namesakes(both, shop)
    create_user(both, "ADA", "hash", "member")
    with pytest.raises(Refused, match="'ada'.*two people must not become one"):
        refuse_namesakes(both, shop)
