"""What is set for the whole house."""

from storage.house import BASE_MODEL, house_setting, set_house_setting


def test_a_setting_is_kept_and_overwritten(db):
    assert house_setting(db, BASE_MODEL) is None
    set_house_setting(db, BASE_MODEL, "/models/one")
    set_house_setting(db, BASE_MODEL, "embedded")
    assert house_setting(db, BASE_MODEL) == "embedded"
