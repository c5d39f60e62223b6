"""Words of erased rows: which are nobody else's, and that they are found and replaced anywhere."""

import json

from storage.conversations import add_message, message, start_conversation
from storage.database import rows, write, write_transaction
from storage.documents import put_document
from storage.erased_text import (
    SHORTEST,
    SOUGHT,
    WHOLE,
    chosen,
    find_in_files,
    mark,
    own_words,
    pieces,
    rewrite,
    without,
)
from storage.file_search import count_in
from storage.records import Example, Inputs

WORDS = 'He said "the blue\nheron" flies at dawn'


def test_short_words_are_not_looked_for_and_long_texts_by_their_lines_too():
    assert pieces(["Yes, sure"]) == []
    line = "a line that says something of its own"
    long = f"{'x' * WHOLE}\n{line}\nno"
    found = pieces([long])
    assert long in found and line in found and "no" not in found
    assert all(len(one) >= SHORTEST for one in found)
    assert found == sorted(found, key=len, reverse=True)


def test_words_that_tell_somebody_apart_are_looked_for_by_themselves():
    text = "Write to cleo@example.com or call 4711-0815 by 2026-11-21, room 12345678, 1.25.1000."
    single = {one for one in pieces([text]) if " " not in one}
    assert single == {"cleo@example.com", "4711-0815"}


def test_of_very_many_words_and_texts_some_of_each_are_sought():
    words, texts = [f"word-{n:04}" for n in range(200)], [f"a text {n:03}" for n in range(200)]
    found = chosen([*texts, *words])
    assert len(found) == SOUGHT
    assert sum(" " in one for one in found) == SOUGHT // 2
    assert chosen(texts[:3] + words[:3]) == texts[:3] + words[:3]
    assert len(chosen(words)) == len(chosen(texts)) == SOUGHT


def test_a_question_is_looked_for_as_groups_and_titles_write_it():
    found = pieces(["  What  IS\nthe Heron's name?  "])
    assert {"what is the heron's name", "What IS the Heron's name?"} <= set(found)


def test_what_others_said_too_is_not_ones_own(db, workspace, corrected, reply_to):
    corrected("How long?", "The warranty lasts two years.")
    put_document(
        db, workspace.id, name="a", hash="h", media_type="t", chunks=[("", "Doors open at nine.")]
    )
    said = ["the WARRANTY lasts two years", "doors open at nine", "a heron of my own"]
    assert own_words(db, said) == ["a heron of my own"]
    # a word that a column may have to hold is never rewritten
    assert own_words(db, ["not enough evidence"]) == []


def test_what_the_assistant_says_by_itself_stays_where_it_said_it_to_others(db, reply_to):
    reply_to("How long?", "I cannot say that for sure.")
    said = ["I cannot say that for sure."]
    assert own_words(db, said) == said
    assert own_words(db, said, machine_made=True) == []


def test_words_go_from_every_column_and_json_stays_json(db, workspace, reply_to):
    example = Example(99, "Which bird?", f"It is: {WORDS}!")
    told = reply_to(
        "Other", f"I heard: {WORDS}", inputs=Inputs("Other", "", 1, examples=(example,))
    )
    with write_transaction(db):
        write(db, "update messages set sent_ids = '[1,2,3]' where id = ?", told.id)
        scores = json.dumps({"notes": [WORDS, 3], WORDS: None})
        write(db, "insert into house_settings (key, value) values ('notes', ?)", scores)
        assert rewrite(db, pieces([WORDS])) >= 3
    after = message(db, told.id)
    assert after.content == f"I heard: {mark(WORDS)}"
    assert after.inputs.examples[0].answer == f"It is: {mark(WORDS)}!"
    assert after.sent_ids == ()
    (kept,) = rows(db, "select value from house_settings")
    assert json.loads(kept["value"]) == {"notes": [mark(WORDS), 3], mark(WORDS): None}
    with write_transaction(db):
        assert rewrite(db, pieces([WORDS])) == 0


def test_the_audit_is_left_as_it_is(db):
    from storage.audit import audit, audit_chain

    audit(db, "user:1", "adapter promoted", "adapter:1", {"reason": "the heron of my own"})
    with write_transaction(db):
        assert rewrite(db, ["the heron of my own"]) == 0
    assert audit_chain(db).kept


def test_without_touches_strings_only():
    assert without('{"a": [12345678901, "xx 12345678901"]}', ["12345678901"]) == (
        '{"a":[12345678901,"xx ' + mark("12345678901") + '"]}'
    )
    assert without("[not JSON at all", ["not JSON at"]) == f"[{mark('not JSON at')} all"


def test_files_are_searched_whatever_they_are(tmp_path):
    words = "Crème brûlée\tfor the heron"
    (tmp_path / "a.bin").write_bytes(b"\0" * 5_000_000 + words.encode() + b"\xff")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.jsonl").write_text(json.dumps({"text": words}))
    (tmp_path / "c.jsonl").write_text(json.dumps({"text": words}, ensure_ascii=False))
    (tmp_path / "ids.jsonl").write_text(json.dumps([5, *range(100, 126), 7]))
    (tmp_path / "clean").write_text("Crème brûlée for the egret")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "d").write_text(words)

    def encode(text):
        return [99, *range(100, 126), 98]

    found = find_in_files(tmp_path, [words], skip=[tmp_path / "kept"], encode=encode)
    assert found == {"a.bin": 1, "c.jsonl": 1, "deep/b.jsonl": 1, "ids.jsonl": 1}
    assert "ids.jsonl" not in find_in_files(tmp_path, [words])


def test_words_across_two_blocks_are_found(tmp_path):
    (tmp_path / "a").write_text("0123456789 the heron of my own 0123456789")
    assert count_in(tmp_path / "a", [{b"the heron of my own"}], block=16) == 1


def test_a_conversation_title_is_rewritten(db, workspace):
    talk = start_conversation(db, workspace.id, "user:2")
    add_message(db, talk.id, "user", "hello there")
    with write_transaction(db):
        write(db, "update conversations set title = 'the heron of my own' where id = ?", talk.id)
        rewrite(db, ["the heron of my own"])
    assert "heron" not in rows(db, "select title from conversations")[0]["title"]
