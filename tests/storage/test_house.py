"""What is set for the whole house."""

import pytest

from storage.adapters import adapter, promote, reject_adapter, serving_adapter
from storage.audit import list_audit
from storage.house import (
    BASE_MODEL,
    PLANNED,
    do_planned_switch,
    forget_install,
    house_setting,
    install_id,
    plan_switch,
    set_house_setting,
)


def test_a_setting_is_kept_and_overwritten(db):
    assert house_setting(db, BASE_MODEL) is None
    set_house_setting(db, BASE_MODEL, "/models/one")
    set_house_setting(db, BASE_MODEL, "embedded")
    assert house_setting(db, BASE_MODEL) == "embedded"


def test_an_install_has_one_id_until_it_is_copied(db):
    first = install_id(db)
    assert install_id(db) == first and len(first) == 12 and int(first, 16) >= 0
    forget_install(db)
    assert install_id(db) != first


@pytest.fixture
def planned(db, workspace, candidate):
    """An adapter that serves, one on another base that shall replace it, and the plan."""
    old = promote(db, candidate().id, actor="gate")
    new = candidate(base_fingerprint="another base")
    plan_switch(db, "/models/two", {new.id: old.id}, actor="cli:ada")
    return old, new


def test_base_and_adapters_switch_together(db, workspace, planned):
    old, new = planned
    assert serving_adapter(db, workspace.id).id == old.id
    assert do_planned_switch(db, fixed="/models/one") is None
    assert serving_adapter(db, workspace.id).id == old.id
    assert do_planned_switch(db, fixed="/models/two") == "/models/two"
    assert serving_adapter(db, workspace.id).id == new.id
    assert house_setting(db, BASE_MODEL) == "/models/two"
    assert house_setting(db, PLANNED) is None and do_planned_switch(db) is None
    assert adapter(db, old.id).status == "retired"


def test_a_plan_that_is_out_of_date_is_void(db, workspace, planned):
    old, new = planned
    reject_adapter(db, new.id)
    assert do_planned_switch(db) is None
    assert serving_adapter(db, workspace.id).id == old.id
    assert house_setting(db, BASE_MODEL) is None and house_setting(db, PLANNED) is None
    assert list_audit(db, 1)[0].action == "base model not switched"
