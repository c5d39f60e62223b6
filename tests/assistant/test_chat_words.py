"""The chat page's texts: every one in every language, with the same names to fill in."""

import re
import string
from pathlib import Path
from types import SimpleNamespace

import pytest

from assistant.chat_words import ENGLISH, LANGUAGES, Words, browser_words, in_any, table, words_for
from assistant.declining import SILENT
from assistant.feedback_reasons import REASONS
from assistant.overriding import ON_HOLD, SERVED
from assistant.retrieval import AWAY, REBUILDING

PAGE = sorted((Path(__file__).parents[2] / "assistant").glob("chat_*.py"))
# words("x"), said("x"), fixed("x"), in_any("x"), words("x" if ... else "y"), _title("x", ...)
USED = re.compile(
    r"""(?:words|fixed|in_any|_title|_close_button|words_for\(request\)|ENGLISH)"""
    r"""\(\s*["'](\w+)["'](?: if [^()]*? else "(\w+)")?"""
)


def names(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def used() -> set[str]:
    found = {key for path in PAGE for pair in USED.findall(path.read_text()) for key in pair}
    endings = {"stopped", "cut_off", "failed", "served"}  # by the reply's finish reason
    models = {"delete_no_model", "delete_one_model", "delete_models"}  # by their count
    # what `attaching` refuses
    unfit = {"file_too_large", "file_too_long", "file_too_many", "file_textless", "file_type"}
    unfit |= {"file_empty", "file_unreadable", "file_not_here"}
    return (found | set(REASONS) | endings | models | unfit) - {""}


def test_every_text_is_there_in_every_language():
    for key, texts in table().items():
        assert tuple(texts) == LANGUAGES, key
        assert all(text.strip() for text in texts.values()), key
        assert len({frozenset(names(text)) for text in texts.values()}) == 1, key


def test_every_text_that_the_page_uses_is_in_the_table_and_the_other_way_round():
    # sentences that come from elsewhere are found by their English text
    elsewhere = {"nothing_here", "no_cookie", "no_conversation", "no_reply", "empty_name"}
    elsewhere |= {"answering", "on_hold", "rebuilding", "index_away", "silent"}
    assert used() - set(table()) == set()
    assert set(table()) - used() == elsewhere


@pytest.mark.parametrize("sentence", [SERVED, ON_HOLD, REBUILDING, AWAY, SILENT])
def test_what_is_said_under_a_reply_is_translated_by_its_english_text(sentence):
    assert ENGLISH.of(sentence) == sentence
    assert Words("de").of(sentence) != sentence
    assert Words("de").of(sentence + "!") == sentence + "!"


@pytest.mark.parametrize(
    "header, language",
    [
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("FR", "fr"),
        ("es;q=0.5", "es"),
        ("it, de;q=0.9", "en"),
        ("", "en"),
        (None, "en"),
        ("*", "en"),
        ("../../en", "en"),
    ],
)
def test_the_first_language_of_the_browser_counts(header, language):
    headers = {} if header is None else {"accept-language": header}
    assert words_for(SimpleNamespace(headers=headers)) == Words(language)


def test_texts_are_filled_in_and_known_in_any_language():
    assert Words("fr")("version", version=7) == "Version 7"
    assert in_any("correct") >= {"Correct this answer", "Diese Antwort korrigieren"}
    assert browser_words().translations["de"]["new_chat"] == "Neuer Chat"
