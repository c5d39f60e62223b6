"""Two houses that exchange rows and go on writing never give one number twice."""

import random

import pytest

from storage.conversations import add_message, start_conversation
from storage.database import one, open_database, write, write_transaction
from storage.datadir import open_datadir
from storage.feedback import add_feedback
from storage.id_ranges import BITS, RANGES, begin_range, is_unused
from storage.row_copy import beside, bring_rows
from storage.users import create_user
from storage.workspaces import create_workspace


@pytest.fixture
def houses(tmp_path):
    return [open_datadir(tmp_path / name) for name in ("one", "two", "three")]


def judge(house, workspace_id: int) -> int:
    """New feedback; its number."""
    with open_database(house.database) as db:
        talk = start_conversation(db, workspace_id, "user:1")
        reply = add_message(db, talk.id, "assistant", "30 days", finish_reason="stop")
        given = {"origin": "staff", "contributor": "user:1", "rating": 1}
        return add_feedback(db, message_id=reply.id, **given).id


def test_rows_go_to_and_fro_and_no_number_comes_twice(houses):
    chance, ranges, numbers, at = random.Random(7), 0, [], {}
    for house in houses:
        ranges += 1
        with open_database(house.database) as db:
            begin_range(db, ranges)
            at[create_workspace(db, f"w{ranges}").id] = house
    for _ in range(4):
        for workspace_id, house in at.items():
            numbers += [judge(house, workspace_id) for _ in range(2)]
        moving = chance.choice(list(at))
        source, target = at[moving], chance.choice([h for h in houses if h != at[moving]])
        ranges += 1
        with beside(target.database, source.database) as db:
            begin_range(db, ranges)
            with write_transaction(db):
                sql = "insert or ignore into main.workspaces select * from source.workspaces s"
                write(db, f"{sql} where s.id = ?", moving)
            bring_rows(db, moving)
            numbers.append(
                judge(target, next(w for w, h in at.items() if h == target))
                if target in at.values()
                else judge(target, moving)
            )
        at[moving] = target
    assert len(numbers) == len(set(numbers)) > 20
    assert max(numbers) < RANGES << BITS <= 2**53


def test_a_range_never_goes_back(db):
    begin_range(db, 5)
    made = create_workspace(db, "shop")
    begin_range(db, 3)
    assert create_workspace(db, "other").id == made.id + 1 == (5 << BITS) + 2


def test_acts_keep_their_numbers(db):
    before = one(db, "select max(id) as id from audit")["id"]
    begin_range(db, 5)
    create_workspace(db, "shop")
    assert one(db, "select max(id) as id from audit")["id"] == before + 1


def test_a_house_is_unused_until_somebody_is_in_it(db):
    assert is_unused(db)
    create_user(db, "ada", "hash", "admin")
    assert not is_unused(db)
