"""Files that are damaged, or made to do harm, through the reader that every upload takes.

Whatever becomes of the child that reads them: the server's process goes on, no file is left, and
somebody is told in one sentence.
"""

import io
import os
import random
import resource
import time
import zipfile
import zlib
from pathlib import Path

import pytest

from knowledge.documents import IN_PROCESS, read_document
from knowledge.sections import DocumentUnreadable
from knowledge.unpacking import MOST_MEMORY, MOST_SECONDS, unpack
from tests.knowledge.files import write_docx, write_pdf

BAR = "B18"
TEXT = "The kettle is blue. " * 40


def told(record, trials, failures):
    record("bar", BAR)
    record("trials", trials)
    record("failures", failures)


def mutants(good: bytes, count: int, seed: int):
    """Changed bytes, cuts, repeats and foreign pieces: what zzuf and radamsa do."""
    chance = random.Random(seed)
    tokens = [b"%PDF-1.7", b"endstream", b"<<" * 300, b"/Kids [1 0 R]", b"PK\x03\x04", b"\xff" * 64]
    tokens += [
        b"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>&a;",
        b"\0" * 200,
        b"-1",
        b"[",
    ]
    for _ in range(count):
        data = bytearray(good)
        for _ in range(chance.randint(1, 20)):
            at = chance.randrange(len(data))
            what = chance.randrange(5)
            if what == 0:
                data[at] = chance.randrange(256)
            elif what == 1:
                del data[at : at + chance.randrange(1, 400)]
            elif what == 2:
                data[at:at] = chance.choice(tokens)
            elif what == 3:
                data[at:at] = data[at : at + chance.randrange(1, 2000)]
            else:
                data = data[: max(at, 10)]
            if not data:
                data = bytearray(b"x")
        yield bytes(data)


def kinds(folder: Path) -> dict[str, bytes]:
    word, page = folder / "good.docx", folder / "good.pdf"
    write_docx(word)
    write_pdf(page, [[(12, TEXT[:60])]])
    html = f"<html><body><h1>Kettles</h1><p>{TEXT}</p></body></html>"
    markdown = f"# Kettles\n\n{TEXT}\n\n- one\n- two\n"
    return {
        ".docx": word.read_bytes(),
        ".pdf": page.read_bytes(),
        ".html": html.encode(),
        ".md": markdown.encode(),
        ".txt": TEXT.encode(),
    }


def attack(folder: Path, kind: str, data: bytes) -> str:
    """What is wrong with how a file was taken; '' where all is well."""
    path = folder / f"attack{kind}"
    path.write_bytes(data)
    begun = time.monotonic()
    try:
        read_document(path)
    except DocumentUnreadable as error:
        said = str(error)
        if len(said) > 600 or "Traceback" in said or str(folder) in said or "\n" in said:
            return f"{kind} says {said[:200]!r}"
    except Exception as error:  # noqa: BLE001  any other is the finding
        return f"{kind} raises {type(error).__name__}: {str(error)[:100]}"
    took = time.monotonic() - begun
    return f"{kind} took {took:.0f} s" if took > 3 * MOST_SECONDS else ""


@pytest.mark.parametrize("count", [4, pytest.param(400, marks=pytest.mark.slow)])
def test_mutants_end_in_text_or_in_a_sentence(tmp_path, record_property, count):
    failures, trials = [], 0
    folder, good = tmp_path / "in", kinds(tmp_path)
    folder.mkdir()
    for kind, data in good.items():
        # the cheap ones, read in this process, many times
        times = count if kind in (".pdf", ".docx") else 10 * count
        for mutant in mutants(data, times, seed=7):
            trials += 1
            if fault := attack(folder, kind, mutant):
                failures.append(fault)
    left = [path.name for path in folder.iterdir() if not path.name.startswith("attack")]
    told(record_property, trials, len(failures) + len(left))
    assert not failures and not left


def packed(**files: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/"), data)
    return file.getvalue()


def flate(size: int) -> bytes:
    """A PDF whose only page unpacks to `size` bytes."""
    stream = zlib.compress(b" " * size, 9)
    head = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    head += b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    head += b"3 0 obj<</Type/Page/Parent 2 0 R/Contents 4 0 R>>endobj\n"
    head += b"4 0 obj<</Filter/FlateDecode/Length %d>>stream\n" % len(stream)
    return head + stream + b"\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF"


LOOP = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[2 0 R 2 0 R]"
)
LOOP += b"/Count 2/Parent 2 0 R>>endobj\ntrailer<</Root 1 0 R/Prev 0>>\nstartxref\n0\n%%EOF"
XXE = b"""<?xml version="1.0"?><!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">
<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;">]>
<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">
<w:body><w:p><w:r><w:t>&x;&c;</w:t></w:r></w:p></w:body></w:document>"""
TYPES = b"""<?xml version="1.0"?><Types xmlns=
"http://schemas.openxmlformats.org/package/2006/content-types"/>"""
BOMBS = {
    "a page of 600 MB": (".pdf", lambda: flate(600_000_000)),
    "pages that are their own pages": (".pdf", lambda: LOOP),
    "nothing but a beginning": (".pdf", lambda: b"%PDF-1.7" + os.urandom(5000)),
    "a document of 400 MB": (".docx", lambda: packed(word__document_xml=b"a" * 400_000_000)),
    "a zip in a zip": (".docx", lambda: packed(word__document=packed(a=packed(b=b"x" * 9)))),
    "entities": (
        ".docx",
        lambda: packed(**{"word/document.xml": XXE, "[Content_Types].xml": TYPES}),
    ),
    "names that lead out": (".docx", lambda: packed(**{"../../x": b"x", "/etc/x": b"y"})),
    "brackets": (".md", lambda: b"![" * 150_000),
    "lists in lists": (".md", lambda: b"- " * 500_000),
    "quotes in quotes": (".md", lambda: b">" * 1_000_000),
    "boxes in boxes": (".html", lambda: b"<div>" * 1_000_000),
    "tables in tables": (".html", lambda: b"<table><tr><td>" * 100_000),
    "paragraphs": (".html", lambda: b"<p>word " * 500_000),
    "other letters": (".html", lambda: b"<meta charset=utf-7>+ADw-script+AD4-" * 10_000),
    "zeros": (".txt", lambda: b"\0" * 1_000_000),
}
SHORT = ("names that lead out", "a document of 400 MB", "entities", "brackets", "zeros")


@pytest.mark.parametrize(
    "name",
    [one if one in SHORT else pytest.param(one, marks=pytest.mark.slow) for one in BOMBS],
)
def test_a_bomb_harms_its_reader_alone(tmp_path, record_property, name):
    kind, make = BOMBS[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    data = make()
    made = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
    fault = attack(tmp_path, kind, data)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before - made
    told(record_property, 1, int(bool(fault)))
    assert not fault
    assert own < 5, "it was read in this process"
    assert [path.name for path in tmp_path.iterdir()] == [f"attack{kind}"]


def test_a_document_quotes_no_file_of_the_server(tmp_path):
    path = tmp_path / "a.docx"
    path.write_bytes(BOMBS["entities"][1]())
    try:
        found = read_document(path)
    except DocumentUnreadable as error:
        found = str(error)
    assert "root:" not in str(found)


def test_the_child_knows_no_secret_and_writes_no_file(tmp_path, monkeypatch):
    """What breaks out of a reader finds little: measured on the child itself."""
    spy = tmp_path / "sitecustomize.py"
    spy.write_text(
        "import atexit, os, resource, sys\n"
        "def tell():\n"
        "    said = [sorted(os.environ), resource.getrlimit(resource.RLIMIT_FSIZE)]\n"
        "    said.append(resource.getrlimit(resource.RLIMIT_AS))\n"
        f"    os.write(os.open({str(tmp_path / 'told')!r}, os.O_WRONLY), repr(said).encode())\n"
        "if 'knowledge.unpacking' in sys.orig_argv: atexit.register(tell)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("APPRENTICE_REMOTE_KEY", "secret")
    os.mkfifo(tmp_path / "told")
    reading = os.open(tmp_path / "told", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert unpack(tmp_path / "none", ".md", "a.md", "# One\n\nTwo.")
        said = os.read(reading, 65536).decode()
    finally:
        os.close(reading)
    assert "APPRENTICE_REMOTE_KEY" not in said and "PATH" in said
    assert f"(0, 0), ({MOST_MEMORY}, {MOST_MEMORY})" in said


def test_long_markdown_is_read_as_short_one_is(tmp_path):
    path = tmp_path / "a.md"
    path.write_text("# Kettles\n\n" + "\n\n".join(f"Kettle {n} is blue." for n in range(12_000)))
    assert path.stat().st_size > IN_PROCESS
    [section] = read_document(path)
    assert "Kettle 11999 is blue." in section.text
