import json
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from knowledge.sections import DocumentUnreadable, Section, outline
from knowledge.unpacking import unpack
from tests.knowledge.files import encrypt_pdf, write_docx, write_pdf


def test_a_docx_keeps_headings_lists_and_tables(tmp_path):
    path = write_docx(tmp_path / "a.docx")
    assert outline(unpack(path, ".docx", "a.docx")) == [
        Section("Travel policy", "This policy binds all staff."),
        Section("Travel policy > Trains", "- Second class only.\n- Book a week ahead."),
        Section("Travel policy > Trains > Rates", "Country | Euro a day\nAustria | 42"),
    ]


def test_a_pdf_comes_through_the_child(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", [[(20, "Head"), (11, "Body text.")]])
    assert outline(unpack(path, ".pdf", "a.pdf")) == [Section("Head", "Body text.")]


def test_what_is_wrong_is_said_in_one_sentence(tmp_path):
    locked = encrypt_pdf(write_pdf(tmp_path / "a.pdf", [[(11, "Secret.")]]), "pass")
    scan = write_pdf(tmp_path / "scan.pdf", [[]])
    old = tmp_path / "old.docx"
    old.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    cases = [
        (locked, ".pdf", "is encrypted: save a copy without a password and ingest that."),
        (scan, ".pdf", "has pages but no text in them, as a scan has: run text recognition first."),
        (old, ".docx", "is encrypted or in the old Word format: save it as .docx without"),
    ]
    for path, kind, fault in cases:
        with pytest.raises(DocumentUnreadable) as raised:
            unpack(path, kind, path.name)
        assert str(raised.value).startswith(f"The document '{path.name}' {fault}")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (".pdf", b"%PDF-1.7 and then nothing"),
        (".pdf", bytes(range(256)) * 9),
        (".docx", b"PK\x03\x04" + bytes(range(256))),
        (".docx", b"%PDF-1.7"),
    ],
)
def test_damaged_files_are_refused(tmp_path, kind, data):
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(DocumentUnreadable, match="^The document 'x.y' is damaged or no "):
        unpack(path, kind, "x.y")


def test_a_truncated_pdf_gives_its_text_or_a_sentence(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", [[(11, "Body text.")]] * 3)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    try:
        assert "Body text." in str(unpack(path, ".pdf", "a.pdf"))
    except DocumentUnreadable as error:
        assert str(error).startswith("The document 'a.pdf' ")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.docx"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("word/document.xml", "w") as entry,
    ):
        for _ in range(201):
            entry.write(bytes(1_000_000))
    with pytest.raises(DocumentUnreadable, match="unpacks to more than 200 MB"):
        unpack(path, ".docx", "bomb.docx")


def test_a_pdf_bomb_takes_the_child_only(tmp_path):
    # 300 MB of zeroes as one page's content: 1.3 MB as a file
    bomb = zlib.compress(bytes(300_000_000), 1)
    path = write_pdf(tmp_path / "bomb.pdf", [[(11, "x")]])
    whole = path.read_bytes()
    start, end = whole.index(b"<< /Length "), whole.index(b"\nendstream")
    stream = b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s" % (len(bomb), bomb)
    path.write_bytes(whole[:start] + stream + whole[end:])
    with pytest.raises(DocumentUnreadable):
        unpack(path, ".pdf", "bomb.pdf")


def test_the_child_limits_itself(tmp_path):
    code = "import resource as r; from knowledge.unpacking import main; import sys\n"
    code += (
        "main('.pdf', sys.argv[1]); print(r.getrlimit(r.RLIMIT_AS)[0], r.getrlimit(r.RLIMIT_CPU))"
    )
    path = write_pdf(tmp_path / "a.pdf", [[(11, "x")]])
    root = Path(__file__).parents[2]
    out = subprocess.run(
        [sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True, cwd=root
    )
    answer, limits = out.stdout.splitlines()
    assert json.loads(answer) == {"parts": [[0, "x"]]}
    assert limits == f"{1 << 30} (30, 30)"
