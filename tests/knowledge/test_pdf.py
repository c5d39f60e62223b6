from pathlib import Path

from knowledge.pdf import is_locked, open_pdf, pdf_parts
from knowledge.sections import Section, outline
from tests.knowledge.files import Line, encrypt_pdf, write_pdf


def read(path: Path, *pages: list[Line]) -> list[Section]:
    return outline(pdf_parts(open_pdf(write_pdf(path, pages))))


def test_larger_lines_are_headings_and_wrapped_lines_are_joined(tmp_path):
    first: list[Line] = [
        (20, "Warranty"),
        (11, "Pumps have a warranty of two years, which starts on"),
        (11, "the day of delivery (see below). Keep the invoice."),
        (14, "Claims"),
        (11, "Pump | 24 months"),
        (11, "Seal | 12 months"),
    ]
    assert read(tmp_path / "a.pdf", first, [(11, "On the next page too.")]) == [
        Section(
            "Warranty",
            "Pumps have a warranty of two years, which starts on the day of delivery (see below). "
            "Keep the invoice.",
        ),
        Section("Warranty > Claims", "Pump | 24 months\nSeal | 12 months\nOn the next page too."),
    ]


def test_a_heading_may_take_two_lines(tmp_path):
    body = "Most of a page is set in the type of its body."
    page: list[Line] = [(18, "A long title that"), (18, "goes on"), (10, body)]
    assert read(tmp_path / "a.pdf", page) == [Section("A long title that goes on", body)]


def test_text_of_one_size_has_no_headings(tmp_path):
    assert read(tmp_path / "a.pdf", [(11, "Umlaute: größer."), (11, "Second.")]) == [
        Section("", "Umlaute: größer.\nSecond.")
    ]


def test_only_a_password_to_open_locks_a_pdf(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", [[(11, "Secret.")]])
    assert is_locked(open_pdf(encrypt_pdf(path, "pass")))
    path = write_pdf(tmp_path / "b.pdf", [[(11, "Not secret.")]])
    reader = open_pdf(encrypt_pdf(path, ""))
    assert not is_locked(reader)
    assert outline(pdf_parts(reader)) == [Section("", "Not secret.")]
