"""What was done to a workspace is known where it went, and both chains hold."""

import pytest

from storage.audit import audit, audit_chain, list_audit
from storage.datadir import open_datadir
from storage.moved_acts import ARRIVED, bring_acts
from storage.row_copy import beside, bring_rows
from tests.full_workspace import full_workspace


@pytest.fixture
def moved(db, datadir, tmp_path):
    there = open_datadir(tmp_path / "there")
    full_workspace(datadir, db, "other")
    shop = full_workspace(datadir, db, "shop")
    with beside(there.database, datadir.database) as both:
        bring_rows(both, shop.id)
        yield both, shop


def test_each_act_once_with_its_time_and_hash_there(moved, db):
    both, shop = moved
    known = {"move": 3, "source": "a", "actor": "cli:t"}
    count = bring_acts(both, shop.id, **known)
    assert count > 5
    assert bring_acts(both, shop.id, **known) == 0
    acts = list_audit(both, 1000)
    assert [act.action for act in acts].count(ARRIVED) == 1
    [looked] = [act for act in acts if act.action == "round looked at"]
    [there] = [
        act
        for act in list_audit(db, 1000)
        if act.subject == looked.subject and act.action == looked.action
    ]
    assert looked.detail == {"loss": 1, "was": {**looked.detail["was"], "cell": "a"}}
    assert looked.detail["was"]["at"] == there.at
    assert not [act for act in acts if act.subject == "workspace:2"]  # the other's
    assert audit_chain(both).kept and audit_chain(db).kept
    audit(db, "user:1", "workspace set", f"workspace:{shop.id}")
    assert bring_acts(both, shop.id, move=4, source="a", actor="t") == count + 1
