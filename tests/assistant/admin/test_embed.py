"""Keys for websites from the page: made, shown as a line, revoked."""

from contextlib import closing

import gradio as gr
import pytest

from assistant.admin.embed import EmbedTab, line_of
from assistant.security import may_administer
from storage.keys import create_key, list_keys
from storage.workspaces import set_workspace, workspace


@pytest.fixture
def embed(tab, office):
    with closing(office.app.db()) as db:
        set_workspace(db, "team", "access", "embed")
        office.team = workspace(db, "team")
    return tab(EmbedTab)


def press(office, work, *inputs, who="ada"):
    return office.press(who, may_administer, work, *inputs)


def make(office, embed, name="Shop", origins="https://a.example\nhttps://b.example/", **more):
    return press(office, embed.make_it, name, origins, more.get("a_day", 0), more.get("each", 0))


def line(office, embed, *chosen):
    return press(office, embed.show_line, *chosen)


def test_a_key_is_made_with_its_line_and_preview(office, embed):
    shown = make(office, embed, a_day=100, each=5)
    assert "https://a.example, https://b.example" in shown[embed.list]
    assert shown[embed.chosen]["value"] == "Shop" and shown[embed.below]["visible"] is True
    with closing(office.app.db()) as db:
        key = list_keys(db)[0]
    assert (key.kind, key.workspace_id, key.per_day, key.per_visitor) == (
        *("embed", office.team.id),
        *(100, 5),
    )
    plain = line(office, embed, "Shop", "", "#0f766e", "auto", "auto", "bottom-right")
    assert plain[embed.line].endswith(f'/widget.js" data-key="{key.shown}"></script>')
    look = ("Shop", 'A "b" <c>', "rgba(255, 0, 0.4, 1)", "dark", "de", "top-left")
    dressed = press(office, embed.set_sources, True, *look)
    assert 'data-title="A &quot;b&quot; &lt;c&gt;" data-accent="#ff0000"' in dressed[embed.line]
    for option in ('theme="dark"', 'lang="de"', 'position="top-left"', 'sources="on"'):
        assert f" data-{option}" in dressed[embed.line]
    framed = dressed[embed.preview]
    assert f'src="/embed/{key.shown}#title=A+%22b%22+%3Cc%3E&amp;accent=%23ff0000' in framed
    assert line_of("https://chat.example", key, {}) == (
        f'<script async src="https://chat.example/widget.js" data-key="{key.shown}"></script>'
    )


def test_a_revoked_key_is_gone(office, embed):
    make(office, embed)
    gone = press(office, embed.revoke_it, "Shop")
    assert "revoked" in gone[embed.said] and gone[embed.below]["visible"] is False
    with pytest.raises(gr.Error, match="Choose a key"):
        press(office, embed.revoke_it, "Shop")


def test_what_cannot_be_made_is_said(office, embed):
    for more, said in (
        ({"name": " "}, "cannot name a key"),
        ({"origins": "example.com"}, "no website"),
        ({"origins": ""}, "names the websites"),
        ({"a_day": -1}, "limit cannot be -1"),
    ):
        with pytest.raises(gr.Error, match=said):
            make(office, embed, **more)
    with closing(office.app.db()) as db:
        assert list_keys(db) == []


def test_a_workspace_for_members_is_opened_first(office, embed):
    with closing(office.app.db()) as db:
        set_workspace(db, "team", "access", "members")
    assert "access=embed" in press(office, embed.show)[embed.said]
    with pytest.raises(gr.Error, match="Only members may use team"):
        make(office, embed)


def test_keys_of_other_workspaces_and_other_people_s_hands(office, embed):
    with closing(office.app.db()) as db:
        other = {"kind": "embed", "origins": ["https://a.example"], "actor": "x"}
        create_key(db, "theirs", workspace_id=workspace(db, "site").id, **other)
    assert "theirs" not in press(office, embed.show)[embed.list]
    with pytest.raises(gr.Error, match="Choose a key"):
        press(office, embed.revoke_it, "theirs")
    with pytest.raises(gr.Error, match="may not"):
        press(office, embed.make_it, "Mine", "https://a.example", 0, 0, who="rita")
