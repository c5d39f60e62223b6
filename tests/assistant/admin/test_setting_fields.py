"""Each setting as a field: made from its declaration, and the same text back."""

from dataclasses import replace

import pytest

from assistant.admin.setting_fields import setting_fields
from storage.workspace_settings import WorkspaceSettings
from storage.workspaces import set_workspace, workspace


def test_every_key_that_can_be_set_has_a_field_that_says_what_it_is():
    found = setting_fields()
    assert [field.key for field in found][:2] == ["instructions", "access"]
    declared = set(WorkspaceSettings.__dataclass_fields__) - {"avatar"}  # a file, not a text
    assert {field.key for field in found[2:]} == declared
    assert all(len(field.says) > 10 and "\n" not in field.says for field in found)
    kinds = {field.key: field.kind for field in found}
    assert [kinds[key] for key in ("top_k", "embed_sources", "starters", "checks", "dials")] == [
        *(str, bool, list, dict, dict),
    ]


def test_what_a_field_shows_sets_the_same_again(office):
    told = replace(
        office.team.settings,
        starters=("What?", "Why?"),
        stop=("\n\n", "END"),
        dials={"rank": 8},
        checks=({"type": "contains", "all": ["a"]},),
    )
    shown = replace(office.team, settings=told)
    with office.app.db() as db:
        for field in setting_fields():
            set_workspace(db, "team", field.key, field.text(field.typed(shown)))
        assert workspace(db, "team").settings == told


@pytest.mark.parametrize("key", ["starters", "stop", "checks", "dials", "schedule"])
def test_an_emptied_field_sets_nothing(office, key):
    (field,) = [one for one in setting_fields() if one.key == key]
    with office.app.db() as db:
        found = set_workspace(db, "team", key, field.text("")).settings
    assert not getattr(found, key)
