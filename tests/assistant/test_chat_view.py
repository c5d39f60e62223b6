"""A conversation as the chatbot component gets it."""

from pathlib import Path

import pytest

from assistant.chat_view import UNDER, entry, one_line, show
from assistant.chat_words import ENGLISH
from storage.records import Feedback, Inputs, Message, Passage

UI = Path(__file__).parent.parent.parent / "assistant" / "ui"


def user(text="How?", id="q1"):
    return Message(id, "c", "user", text, "2026-01-01T00:00:00Z")


def reply(text="So.", id="a1", **more):
    return Message(id, "c", "assistant", text, "2026-01-01T00:00:00Z", **more)


def feedback(message_id="a1", **more):
    known = {"id": 1, "workspace_id": 1, "origin": "staff", "contributor": "user:1"}
    known |= {"status": "new", "created_at": "", "question": "How?", "answer": "So."}
    return Feedback(message_id=message_id, **(known | more))


def passage(**more):
    known = {"chunk_id": 1, "document_id": 1, "document": "a.md", "text": "T", "hash": "h"}
    return Passage(**(known | {"score": 0.1} | more))


def under(*thread, said=(), notices=None) -> str:
    blocks = show(thread, said, notices).messages[-1]["content"]
    return blocks[1]["text"] if len(blocks) > 1 else ""


def test_each_entry_has_the_id_of_its_message():
    shown = show([user(), reply(), user("And?", "q2"), reply("Thus.", "a2")])
    assert shown.ids == ("q1", "a1", "q2", "a2")
    assert [item["role"] for item in shown.messages] == ["user", "assistant"] * 2
    assert shown.messages[1] == entry("assistant", "So.")


def test_a_thumb_is_the_newest_rating_and_there_is_one_per_reply():
    said = [
        feedback(rating=-1),
        feedback(rating=1),
        feedback(comment="x"),
        feedback("a2", rating=-1),
    ]
    thread = [user(), reply(), user(id="q2"), reply(id="a2"), user(id="q3"), reply(id="a3")]
    assert show(thread, said).thumbs == ["Like", "Dislike", None]


@pytest.mark.parametrize(
    "ending, said",
    [
        ("interrupted", "Stopped before the end."),
        ("length", "Cut off"),
        ("override", "Answered from an approved correction."),
        ("stop", ""),
        (None, ""),
    ],
)
def test_how_a_reply_ended_stands_under_it(ending, said):
    found = under(user(), reply(finish_reason=ending))
    assert (said in found) if said else found == ""


def test_a_notice_is_not_said_twice():
    notice = "Answered from an approved correction."
    found = under(user(), reply(finish_reason="override"), notices={"a1": (notice, "Other.")})
    assert found.count(notice) == 1
    assert "Other." in found


def test_the_adapter_that_answered_is_named():
    assert "Version 7" in under(user(), reply(adapter_id=7))
    assert under(user(), reply()) == ""


def test_sources_are_numbered_and_hold_the_passage():
    inputs = Inputs(
        "How?", "", 1, passages=(passage(), passage(document="b <b>.md", text="1\n\n2"))
    )
    found = under(user(), reply(inputs=inputs))
    assert "<summary>[1] a.md</summary>" in found
    assert "<summary>[2] b &lt;b&gt;.md</summary>" in found
    assert "1&#10;&#10;2" in found


def test_a_sentence_has_the_number_of_the_passage_that_it_rests_on():
    passages = passage(text="Boats cost much."), passage(text="Open from Tuesday to Friday.")
    inputs = Inputs("When?", "", 1, passages=passages)
    said = reply("We are open from Tuesday [7]. Welcome!", inputs=inputs)
    shown = show((user(), said)).messages[-1]["content"][0]["text"]
    assert shown == "We are open from Tuesday. [2] Welcome!"
    assert "[2] a.md" in under(user(), said)
    # what was shown to the model and says nothing of it is no source
    assert "[1] a.md" not in under(user(), said) and ENGLISH("unsupported") not in under(
        user(), said
    )


def test_where_no_sentence_rests_on_a_passage_all_are_shown_and_it_is_said():
    inputs = Inputs("When?", "", 1, passages=(passage(), passage()))
    found = under(user(), reply("We are open on Sunday.", inputs=inputs))
    assert found.index(ENGLISH("unsupported")) < found.index("[1] a.md") < found.index("[2] a.md")
    assert ENGLISH("unsupported") not in under(user(), reply("We are open on Sunday."))
    assert ENGLISH("unsupported") not in under(user(), reply("", inputs=inputs))


def test_an_override_shows_no_sources():
    inputs = Inputs("How?", "", 1, passages=(passage(),))
    assert "source" not in under(user(), reply(inputs=inputs, override_id=4))


@pytest.mark.parametrize(
    "address, linked", [("https://a.example/x?a=1&b=2", True), ("javascript:alert(1)", False)]
)
def test_only_web_addresses_become_links(address, linked):
    inputs = Inputs("How?", "", 1, passages=(passage(source_url=address),))
    found = under(user(), reply(inputs=inputs))
    assert ("<a href=" in found) is ('rel="noopener nofollow"' in found) is linked


@pytest.mark.parametrize(
    "status, said",
    [
        ("new", "you will see it here once it is approved"),
        ("quarantined", "you will see it here once it is approved"),
        ("rejected", "decided not to take"),
        ("approved", "Better &lt;b&gt;."),
    ],
)
def test_what_became_of_a_correction_stands_under_the_reply(status, said):
    given = feedback(status=status, correction="Mine.", rating=None)
    if status == "approved":
        given = feedback(status=status, correction="Mine.", approved_correction="Better <b>.")
    assert said in under(user(), reply(), said=[given, feedback(rating=1)])


def test_what_stands_under_a_reply_is_one_html_block():
    inputs = Inputs("How?", "", 1, passages=(passage(text="a\r\n\r\n\r\nb"),))
    said = [feedback(correction="x\n\ny", status="approved", approved_correction="x\n\ny")]
    found = under(user(), reply(inputs=inputs), said=said, notices={"a1": ("One\n\ntwo.",)})
    assert "\n" not in found and "\r" not in found
    assert found.startswith(UNDER)


def test_the_script_cuts_copied_text_where_the_part_under_the_reply_begins():
    assert f"'\\n{UNDER}'" in (UI / "chat.js").read_text()


def test_one_line_is_escaped_text_without_line_breaks():
    assert one_line(" <a>\n&\r\n ") == "&lt;a&gt;&#10;&amp;"
    assert one_line(r"$$ \(a\)") == "&#36;&#36; &#92;(a&#92;)"  # no formula begins in it
