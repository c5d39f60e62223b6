"""What an empty chat page says, and that a name or a greeting is text."""

from dataclasses import replace

import pytest

from assistant.chat_greeting import brand_line, greeting_of
from assistant.chat_words import LANGUAGES, Words
from storage.records import Workspace
from storage.workspace_settings import WorkspaceSettings

PLAIN = Workspace(1, "shop", "public", "", 1, WorkspaceSettings())


def named(**values):
    return replace(PLAIN, settings=replace(PLAIN.settings, **values))


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_settings_it_greets_in_the_readers_language(language):
    said = greeting_of(PLAIN, Words(language))
    assert "<h2>Apprentice</h2>" in said and "<img" not in said
    assert Words(language)("nothing_yet", name="Apprentice") in said
    assert "<span>Apprentice</span>" in brand_line(PLAIN)


def test_the_name_stands_in_the_sentence_and_a_greeting_instead_of_it():
    assert "Tilla learns from it" in greeting_of(named(assistant_name="Tilla"), Words())
    said = greeting_of(named(greeting="Hello.\nWhat is it?"), Words())
    assert "<p>Hello.<br>What is it?</p>" in said


def test_markup_is_text_and_the_picture_has_its_own_address():
    whole = named(assistant_name="<b>$$x$$", greeting="<script>x</script>\n\n# no", avatar="0f")
    for said in (brand_line(whole), greeting_of(whole, Words())):
        assert '<img src="/avatar/shop?v=0f" alt="">' in said
        assert "<b>" not in said and "<script" not in said and "$$" not in said
        assert "\n" not in said
