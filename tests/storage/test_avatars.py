"""The assistant's picture: kept, replaced, gone with its workspace, in every backup."""

import base64
from contextlib import closing

import pytest

from storage.avatars import AVATAR_BYTES, PNG, avatar_hash, avatar_png
from storage.backup import make_backup, restore_backup
from storage.database import open_database, rows
from storage.datadir import DataDir
from storage.errors import BadInput
from storage.workspaces import create_workspace, delete_workspace, set_workspace, workspace

ONE, OTHER = PNG + b"one", PNG + b"other"


def text(png: bytes) -> str:
    return base64.b64encode(png).decode()


def test_it_is_replaced_and_taken_away(db):
    shown = []
    for png in (ONE, OTHER, b""):
        settings = set_workspace(db, "default", "avatar", text(png)).settings
        assert avatar_png(db, 1) == (png or None)
        assert settings.avatar == avatar_hash(db, 1)
        shown.append(settings.avatar)
    assert len(set(shown)) == 3 and shown[-1] == ""


@pytest.mark.parametrize(
    "given", ["x", "/etc/passwd", text(b"<svg/>"), text(PNG + b"x" * AVATAR_BYTES)]
)
def test_only_a_small_png_is_kept(db, given):
    set_workspace(db, "default", "avatar", text(ONE))
    with pytest.raises(BadInput, match="avatar cannot be this"):
        set_workspace(db, "default", "avatar", given)
    assert avatar_png(db, 1) == ONE


def test_it_goes_with_its_workspace_and_no_other_does(db):
    for name, png in (("sales", ONE), ("legal", OTHER)):
        create_workspace(db, name)
        set_workspace(db, name, "avatar", text(png))
    delete_workspace(db, "sales")
    assert [row["png"] for row in rows(db, "select png from avatars")] == [OTHER]


def test_a_backup_brings_it_back(datadir, db, tmp_path):
    values = {"avatar": text(ONE), "assistant_name": " Til  la ", "greeting": "Hello.\nWhat is it?"}
    for key, value in values.items():
        set_workspace(db, "default", key, value)
    before = workspace(db, "default")
    make_backup(datadir, tmp_path / "copy.tar", actor="x")
    restore_backup(tmp_path / "copy.tar", tmp_path / "new")
    with closing(open_database(DataDir(tmp_path / "new").database)) as restored:
        assert workspace(restored, "default") == before
        assert avatar_png(restored, 1) == ONE
    assert (before.settings.assistant_name, before.settings.greeting) == (
        "Til la",
        "Hello.\nWhat is it?",
    )
