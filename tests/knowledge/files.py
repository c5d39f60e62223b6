"""Small real files of each format, made by hand or by the format's own library."""

import io
from collections.abc import Sequence
from pathlib import Path

from pypdf import PdfReader, PdfWriter

Line = tuple[int, str]
"""(size of its type in points, text)."""


def write_pdf(path: Path, pages: Sequence[Sequence[Line]]) -> Path:
    """A PDF 1.4 with one Helvetica, a line below the other."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", _FONT]
    kids = []
    for page in pages:
        content = _content(page)
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] "
            b"/Resources << /Font << /F1 3 0 R >> >> /Contents %d 0 R >>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), b" ".join(kids))
    path.write_bytes(_file(objects))
    return path


_FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


def _content(page: Sequence[Line]) -> bytes:
    drawn, y = b"BT\n", 780
    for size, text in page:
        escaped = text.encode("cp1252").replace(b"\\", b"\\\\")
        escaped = escaped.replace(b"(", b"\\(").replace(b")", b"\\)")
        drawn += b"/F1 %d Tf 1 0 0 1 60 %d Tm (%s) Tj\n" % (size, y, escaped)
        y -= size * 3 // 2
    return drawn + b"ET"


def _file(objects: list[bytes]) -> bytes:
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer << /Size %d /Root 1 0 R >>\n"
        b"startxref\n%d\n%%%%EOF" % (len(objects) + 1, table, len(objects) + 1, len(out))
    )


def encrypt_pdf(path: Path, password: str) -> Path:
    """The PDF in place, encrypted by AES-256; `password` opens it."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(path.read_bytes())))
    writer.encrypt(user_password=password, owner_password="owner", algorithm="AES-256")
    with path.open("wb") as file:
        writer.write(file)
    return path


def write_docx(path: Path) -> Path:
    """A title, two headings, a list and a table."""
    import docx

    document = docx.Document()
    document.add_heading("Travel policy", level=0)
    document.add_paragraph("This policy binds all staff.")
    document.add_heading("Trains", level=1)
    document.add_paragraph("Second class only.", style="List Bullet")
    document.add_paragraph("Book a week ahead.", style="List Bullet")
    document.add_heading("Rates", level=2)
    table = document.add_table(rows=0, cols=2)
    for left, right in [("Country", "Euro a day"), ("Austria", "42")]:
        cells = table.add_row().cells
        cells[0].text, cells[1].text = left, right
    document.save(str(path))
    return path
