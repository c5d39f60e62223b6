import os

import pytest

from knowledge import documents
from knowledge.documents import DocumentUnreadable, Section, media_type_of, read_document
from storage.errors import BadInput
from tests.knowledge.files import encrypt_pdf, write_docx, write_pdf


def test_the_same_text_is_read_from_every_format(tmp_path):
    (tmp_path / "a.md").write_text("# Head\n\nBody text.\n")
    (tmp_path / "a.HTM").write_text("<h1>Head</h1><p>Body text.</p>")
    write_pdf(tmp_path / "a.pdf", [[(20, "Head"), (11, "Body text.")]])
    for name in ("a.md", "a.HTM", "a.pdf"):
        assert read_document(tmp_path / name) == [Section("Head", "Body text.")]
    write_docx(tmp_path / "a.docx")
    assert read_document(tmp_path / "a.docx")[0].heading == "Travel policy"
    (tmp_path / "a.txt").write_text("# no head\nBody text.")
    assert read_document(tmp_path / "a.txt") == [Section("", "# no head\nBody text.")]


def test_the_type_goes_by_the_name_given(tmp_path):
    (tmp_path / "upload").write_text("# Head\nx")
    assert read_document(tmp_path / "upload", name="a.md") == [Section("Head", "x")]
    assert media_type_of("A.PDF") == "application/pdf"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_say_what_they_are(tmp_path, encoding):
    (tmp_path / "a.txt").write_text("größer 大", encoding=encoding)
    assert read_document(tmp_path / "a.txt") == [Section("", "größer 大")]


def test_a_page_may_declare_its_encoding(tmp_path):
    page = '<meta http-equiv="content-type" content="text/html; charset=iso-8859-1"><p>größer'
    (tmp_path / "a.html").write_bytes(page.encode("latin-1"))
    assert read_document(tmp_path / "a.html") == [Section("", "größer")]


def test_control_characters_are_taken_out(tmp_path):
    (tmp_path / "a.md").write_bytes(b"# He\x1b[31mad\n\nBo\x08dy.\x0cNext")
    assert read_document(tmp_path / "a.md") == [Section("He[31mad", "Body.\nNext")]


def test_each_fault_is_one_sentence_with_the_name_and_the_remedy(tmp_path):
    (tmp_path / "empty.md").touch()
    (tmp_path / "blank.txt").write_text(" \n\t\n")
    (tmp_path / "latin.txt").write_bytes("größer".encode("latin-1"))
    (tmp_path / "binary.md").write_bytes(bytes(range(128)) * 40)
    (tmp_path / "garbage.pdf").write_bytes(os.urandom(5000))
    (tmp_path / "table.xlsx").write_bytes(b"PK")
    (tmp_path / "folder.md").mkdir()
    encrypt_pdf(write_pdf(tmp_path / "locked.pdf", [[(11, "x")]]), "pass")
    faults = {
        "empty.md": "is empty: there is nothing to ingest.",
        "blank.txt": "holds no text: there is nothing to ingest.",
        "latin.txt": "is not UTF-8 text: save it as UTF-8.",
        "binary.md": "is not UTF-8 text: save it as UTF-8.",
        "garbage.pdf": "is damaged or no PDF file (",
        "table.xlsx": "is of an unknown type: known are .md, .markdown, .txt, .html, ",
        "folder.md": "is no file: check its path.",
        "missing.md": "is no file: check its path.",
        "locked.pdf": "is encrypted: save a copy without a password and ingest that.",
    }
    for name, fault in faults.items():
        with pytest.raises(DocumentUnreadable) as raised:
            read_document(tmp_path / name)
        assert str(raised.value).startswith(f"The document '{name}' {fault}")
        assert "\n" not in str(raised.value)
    assert issubclass(DocumentUnreadable, BadInput)


def test_too_large_a_file_is_refused_unread(tmp_path):
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(documents.MOST_TEXT_BYTES + 1)  # sparse: takes no room on the disk
    with pytest.raises(DocumentUnreadable, match="has 20 MB, 20 MB is the most: split it"):
        read_document(tmp_path / "a.txt")
