"""One's own writing: rows, mails without what is not the author's, documents cut to size."""

import pytest

from assistant.commands.writing import LONGEST, own_words, pieces, read_writing
from storage.errors import BadInput
from tests.assistant.command_line import write_rows

ASKED = """From: Kim Berg <kim@example.org>
To: ann@example.org
Subject: Lamp
Message-ID: <1@example.org>
Date: Mon, 2 Nov 2026 09:00:00 +0000

Hello, when does my lamp arrive? I ordered it two weeks ago.
"""
ANSWERED = """From: Ann Holm <Ann@example.org>
To: kim@example.org
Subject: Re: Lamp
Message-ID: <2@example.org>
In-Reply-To: <1@example.org>
Date: Mon, 2 Nov 2026 10:00:00 +0000

Hi Kim,

your lamp left us this morning and is with you tomorrow. Sorry for the wait!

Cheers, Ann

On 2 Nov 2026, kim@example.org wrote:
> Hello, when does my lamp arrive?
--\x20
Ann Holm, Lamps & Co
"""
OWN = (
    "Hi Kim,\n\nyour lamp left us this morning and is with you tomorrow. Sorry for the wait!"
    "\n\nCheers, Ann"
)


def mbox(path, *mails):
    path.write_text("".join(f"From somebody Mon Nov  2 09:00:00 2026\n{mail}\n" for mail in mails))
    return path


def test_rows_know_what_was_asked(tmp_path):
    path = write_rows(
        tmp_path / "own.jsonl",
        {"prompt": "Say no.", "completion": "Alas, no."},
        {"completion": "A text that answers nothing known."},
    )
    found = read_writing([path], None)
    assert [(one.instruction, one.text) for one in found] == [
        ("Say no.", "Alas, no."),
        (None, "A text that answers nothing known."),
    ]


def test_mails_of_the_author_answer_what_is_there_too(tmp_path):
    found = read_writing([mbox(tmp_path / "mails.mbox", ASKED, ANSWERED)], "ann@EXAMPLE.org")
    assert [one.text for one in found] == [OWN]
    assert found[0].instruction == (
        "Answer this mail: Hello, when does my lamp arrive? I ordered it two weeks ago."
    )


def test_one_mail_as_a_file(tmp_path):
    path = tmp_path / "one.eml"
    path.write_text(ANSWERED)
    assert [(one.text, one.instruction) for one in read_writing([path], None)] == [(OWN, None)]


def test_quotes_and_signature_are_not_the_authors():
    assert own_words("Yes.\n\nOn Monday a@b.c wrote:\n> No?\n\nBye.\n-- \nMe") == "Yes.\n\nBye."
    assert own_words("My list:\n> quoted") == "My list:"


def test_several_senders_need_an_author(tmp_path):
    path = mbox(tmp_path / "mails.mbox", ASKED, ANSWERED)
    with pytest.raises(BadInput, match="2 senders.*--author ADDRESS"):
        read_writing([path], None)
    with pytest.raises(BadInput, match="no mail from 'eve@example.org'"):
        read_writing([path], "eve@example.org")


def test_documents_and_folders(tmp_path):
    (tmp_path / "sub").mkdir()
    text = "We went to the island and stayed for three long days."
    (tmp_path / "sub" / "trip.md").write_text(f"# A trip\n\n{text}\n")
    (tmp_path / "twice.txt").write_text(text)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    found = read_writing([tmp_path], None)
    assert [(one.text, one.source) for one in found] == [(text, "trip.md")]


def test_long_texts_are_cut_where_they_end():
    sentence = "This is one sentence of exactly nine words, see."
    made = pieces(f"{' '.join([sentence] * 20)}\n\nShort end that still has at least eight words.")
    assert all(len(one.split()) <= LONGEST for one in made)
    assert " ".join(" ".join(made).split()).count(sentence) == 20
    assert made[-1].endswith("eight words.")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("none.md", "Too short.", "no text of 8 words"),
        ("bad.jsonl", '{"prompt": "x"}', "no completion"),
        ("bad.pdf", "no pdf at all", "bad.pdf"),
    ],
)
def test_what_holds_no_writing_is_refused(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=said):
        read_writing([tmp_path / name], None)


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match="no file or folder"):
        read_writing([tmp_path / "nowhere"], None)


def test_a_mail_in_an_unknown_encoding_gives_nothing(tmp_path):
    path = tmp_path / "odd.eml"
    head = "From: a@b.c\nContent-Type: text/plain; charset=klingon\n\n"
    path.write_bytes(head.encode() + b"\xff\xfe words " * 20)
    with pytest.raises(BadInput, match="holds no text"):
        read_writing([path], None)


def test_several_files_are_one_writing(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(OWN)
    (tmp_path / "c.txt").write_text(f"Again, {OWN}")
    paths = [tmp_path / name for name in ("a.txt", "b.txt", "c.txt")]
    assert [one.source for one in read_writing(paths, None)] == ["a.txt", "c.txt"]
