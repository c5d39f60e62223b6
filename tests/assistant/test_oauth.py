"""Who somebody is who comes from the Hub. The whole way over HTTP is walked in test_space.py."""

import pytest

from assistant.oauth import signed_in
from assistant.settings import read_settings
from storage.database import open_database
from storage.datadir import open_datadir
from storage.errors import Refused
from storage.users import create_user, list_users, may_use_ids, set_user
from tests.assistant.people import hashed


@pytest.fixture
def datadir(tmp_path):
    return open_datadir(tmp_path / "data")


@pytest.fixture
def db(datadir):
    db = open_database(datadir.database)
    yield db
    db.close()


def roles(db):
    return {user.name: user.role for user in list_users(db)}


def test_admins_are_those_on_the_list_as_it_is_now(db, datadir):
    both, one = (read_settings(admins=names) for names in ("ada, Bob", "BOB"))
    signed_in(db, datadir, both, account="1", name="ada")
    signed_in(db, datadir, both, account="2", name="bob")
    assert roles(db) == {"ada": "admin", "bob": "admin"}
    signed_in(db, datadir, one, account="1", name="ada")
    assert roles(db) == {"ada": "member", "bob": "admin"}
    set_user(db, "ada", role="reviewer")
    signed_in(db, datadir, one, account="1", name="ada")
    assert roles(db)["ada"] == "reviewer"
    signed_in(db, datadir, read_settings(), account="2", name="bob")
    assert roles(db)["bob"] == "member"  # also the last admin


@pytest.mark.parametrize("name", ["\u212aate", "\uff4bate", "kate\u0307", "k\u0430te", "ſam"])
def test_a_name_that_only_looks_like_a_listed_one_is_somebody_else(db, datadir, name):
    """Unicode's rules for case make a k of a Kelvin sign."""
    settings = read_settings(admins="kate, sam", members="kate, sam")
    signed_in(db, datadir, settings, account="1", name="Kate")
    user = signed_in(db, datadir, settings, account="2", name=name)
    assert roles(db) == {"Kate": "admin", name: "member"}
    assert not may_use_ids(db, user.id)


@pytest.mark.parametrize(
    "members, joined", [("", False), ("carol", False), ("carol, Ada", True), ("*", True)]
)
def test_members_are_those_on_the_list_or_everybody_who_logs_in(db, datadir, members, joined):
    user = signed_in(db, datadir, read_settings(members=members), account="1", name="ada")
    assert bool(may_use_ids(db, user.id)) is joined


def test_a_name_belongs_to_the_account_that_came_first(db, datadir):
    settings = read_settings(admins="ada")
    first = signed_in(db, datadir, settings, account="1", name="ada")
    assert signed_in(db, datadir, settings, account="1", name="ada") == first
    with pytest.raises(Refused, match="another account"):
        signed_in(db, datadir, settings, account="2", name="Ada")
    create_user(db, "local", hashed(), "member")  # of a password
    with pytest.raises(Refused, match="another account"):
        signed_in(db, datadir, settings, account="3", name="local")
