"""The assistant's picture: what becomes of a file, and who gets it."""

import random
from contextlib import closing

import pytest
from starlette.testclient import TestClient

from assistant.avatar import FILE_BYTES, SIDE, avatar_address, avatar_as_given
from assistant.web import build_server
from storage.avatars import avatar_png
from storage.errors import BadInput
from storage.workspaces import set_workspace, workspace
from tests.assistant.command_line import refusal
from tests.assistant.pictures import SECRET, opened, picture


def given(app, path, name="default"):
    with closing(app.db()) as db:
        set_workspace(db, name, "avatar", avatar_as_given(str(path)))
        known = workspace(db, name)
        return avatar_address(known), avatar_png(db, known.id)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_of_a_file_only_a_small_upright_picture_is_left(app, tmp_path, kind, turned):
    file = picture(tmp_path / f"face.{kind}", turned=turned)
    assert SECRET.encode() in file.read_bytes()
    _, png = given(app, file)
    assert SECRET.encode() not in png
    shown = opened(png)
    assert shown.size == (SIDE, SIDE) and set(shown.info) == set()
    (red, _, _), (_, _, blue) = shown.getpixel((64, 10)), shown.getpixel((64, 118))
    assert red > 150 and blue > 150


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("face.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>x</script></svg>", "no pic"),
        ("face.png", b"<html><script>alert(1)</script></html>", "no picture"),
        ("face.png", b"", "no picture"),
        ("face.gif", None, "no picture"),
        ("large.png", b"\x89PNG" + b"x" * FILE_BYTES, "4.0 MB"),
        ("gone.png", "missing", "no such file"),
        (".", "missing", "is a directory"),
    ],
)
def test_everything_else_is_refused_with_a_sentence(tmp_path, name, content, said):
    path = tmp_path / name
    if content is None:
        picture(path)
    elif content != "missing":
        path.write_bytes(content)
    with pytest.raises(BadInput, match=said):
        avatar_as_given(str(path))


def test_many_pixels_in_a_small_file_are_refused_before_they_are_decoded(tmp_path):
    from PIL import Image

    for side, said in ((7000, "7000 x 7000 pixels"), (14000, "too many pixels")):
        path = tmp_path / "bomb.png"
        Image.new("1", (side, side)).save(path)
        assert path.stat().st_size < FILE_BYTES
        with pytest.raises(BadInput, match=said):
            avatar_as_given(str(path))


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_a_damaged_file_is_a_picture_or_is_refused(tmp_path, kind):
    chance = random.Random(7)
    whole = picture(tmp_path / f"face.{kind}", size=(40, 30)).read_bytes()
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole[: chance.randrange(20, len(whole) + 1)])
        for _ in range(chance.randrange(1, 6)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path = tmp_path / "damaged"
        path.write_bytes(bytes(damaged))
        try:
            avatar_as_given(str(path))
        except BadInput:
            refused += 1
    assert refused > 20


def test_who_may_chat_there_gets_it_and_nobody_else(app, people, tmp_path):
    address, png = given(app, picture(tmp_path / "face.png"), "team")
    given(app, picture(tmp_path / "face.png"), "open")
    client = TestClient(build_server(app))
    for name, caller in people.items():
        client.cookies.clear()
        client.cookies.update(caller.cookies)
        answer = client.get(address)
        assert (answer.content == png) == (name in ("ada", "rita", "mo")), name
        assert answer.status_code == (200 if answer.content == png else 404)
        nothing = client.get("/avatar/never-was")
        assert nothing.status_code == 404
        assert answer.content == png or answer.text.replace("team", "") == nothing.text
    answer = client.get("/avatar/open")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert client.get("/avatar/site").status_code == 404


def test_it_is_set_and_taken_away_by_command(apprentice, tmp_path):
    picture(tmp_path / "face.png")
    for word in (f"avatar={tmp_path}/face.png", f"avatar=@{tmp_path}/face.png"):
        (row,) = apprentice.rows("workspaces", "set", "default", word, "assistant_name=Tilla")
        assert len(row["avatar"]) == 16 and row["assistant_name"] == "Tilla"
        (row,) = apprentice.rows("workspaces", "set", "default", "avatar=")
        assert row["avatar"] == ""
    for word, said in (
        ("avatar=/nowhere/face.png", "/nowhere/face.png"),
        (f"assistant_name={'x' * 41}", "41 characters"),
    ):
        apprentice("workspaces", "set", "default", word, code=2)
        assert said in refusal(apprentice)
