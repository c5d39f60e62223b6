"""PDF, DOCX and long HTML and Markdown to parts, in a process of its own with limits.

The first two unpack: a file of some kilobytes can ask for all memory or for hours. The others take
their readers seconds a megabyte where they are written for it. The child may use 30 s of processor
time and 1 GB, writes no file and is told no secret; whatever becomes of it, the server goes on.
"""

import json
import os
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

from knowledge.sections import DocumentTextless, DocumentUnreadable, Part

MOST_SECONDS = 30
MOST_MEMORY = 1 << 30
MOST_PAGES = 2000
MOST_TEXT = 10_000_000
_MOST_UNPACKED = 200_000_000
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"  # OLE: what .doc files and encrypted .docx files are

_TOLD = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "VIRTUAL_ENV", "TMPDIR", "LD_LIBRARY_PATH")
"""What the child knows of our surroundings; keys and passwords are there too."""

_TOO_MUCH = f"needs more than {MOST_SECONDS} s or 1 GB to read: split it into smaller files"


def unpack(path: Path, kind: str, name: str, text: str | None = None) -> list[Part]:
    """The parts of a file of `kind` `.pdf` or `.docx`; `name` is what to call it to people.

    Of `.html` and `.md` the decoded `text` is given. Raises DocumentUnreadable for a file that is
    damaged, encrypted or too large, and for a PDF without text.
    """
    code_root = str(Path(__file__).parent.parent)
    search = os.pathsep.join([code_root, *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        done = subprocess.run(
            [sys.executable, "-m", "knowledge.unpacking", kind, str(path)],
            input=(text or "").encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**_surroundings(), "PYTHONPATH": search},
            timeout=3 * MOST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _unreadable(name, _TOO_MUCH) from None
    if done.returncode != 0:  # killed by a limit
        raise _unreadable(name, _TOO_MUCH)
    answer = json.loads(done.stdout)
    if "fault" in answer:
        raise _unreadable(name, answer["fault"])
    parts: list[Part] = [(level, text) for level, text in answer["parts"]]
    if kind == ".pdf" and not any(text.strip() for _, text in parts):
        fault = "has pages but no text in them, as a scan has: run text recognition first"
        raise DocumentTextless(f"The document {name!r} {fault}.")
    return parts


def _surroundings() -> dict[str, str]:
    return {name: os.environ[name] for name in _TOLD if name in os.environ}


def _unreadable(name: str, fault: str) -> DocumentUnreadable:
    return DocumentUnreadable(f"The document {name!r} {fault}.")


class _Fault(Exception):
    """What is wrong with the file, to follow its name in a sentence."""


def main(kind: str, path: str) -> None:
    """The child: print the parts, or the fault, as JSON."""
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        parts = _READERS[kind](Path(path))
        if sum(len(text) for _, text in parts) > MOST_TEXT:
            raise _Fault("holds more than 10 million characters: split it into smaller files")
        answer = json.dumps({"parts": parts})
    except _Fault as fault:
        answer = json.dumps({"fault": str(fault)})
    except MemoryError:
        answer = json.dumps({"fault": _TOO_MUCH})
    # what a parser raises over a damaged file has no common class: KeyError, RecursionError, ...
    except Exception as error:  # noqa: BLE001
        answer = json.dumps({"fault": _damaged(kind, error)})
    print(answer)


def _damaged(kind: str, error: Exception) -> str:
    what = f"{type(error).__name__}: {error}".splitlines()[0][:120]
    return f"is damaged or no {kind[1:].upper()} file ({what}): save it anew and ingest that"


def _pdf_parts(path: Path) -> list[Part]:
    from knowledge.pdf import is_locked, open_pdf, pdf_parts

    reader = open_pdf(path)
    if is_locked(reader):
        raise _Fault("is encrypted: save a copy without a password and ingest that")
    if len(reader.pages) > MOST_PAGES:
        raise _Fault(f"has more than {MOST_PAGES} pages: split it into smaller files")
    return pdf_parts(reader)


def _docx_parts(path: Path) -> list[Part]:
    import mammoth

    from knowledge.markup import fragment_parts

    with path.open("rb") as file:
        if file.read(4) == _OLD_OFFICE:
            raise _Fault(
                "is encrypted or in the old Word format: save it as .docx without a password"
            )
        with zipfile.ZipFile(file) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MOST_UNPACKED:
                raise _Fault("unpacks to more than 200 MB: split it into smaller files")
        file.seek(0)
        html = mammoth.convert_to_html(
            file,
            style_map=_DOCX_HEADINGS,
            convert_image=mammoth.images.img_element(lambda image: {"src": ""}),
        ).value
    return fragment_parts(html)


def _html_parts(path: Path) -> list[Part]:
    from knowledge.markup import html_parts

    return html_parts(sys.stdin.buffer.read().decode())


def _markdown_parts(path: Path) -> list[Part]:
    from knowledge.markup import markdown_parts

    return markdown_parts(sys.stdin.buffer.read().decode())


# the title of the document stands above its headings
_DOCX_HEADINGS = "\n".join(
    ["p[style-name='Title'] => h1:fresh"]
    + [f"p[style-name='heading {n}'] => h{min(n + 1, 6)}:fresh" for n in range(1, 7)]
)
_READERS = {
    ".pdf": _pdf_parts,
    ".docx": _docx_parts,
    ".html": _html_parts,
    ".htm": _html_parts,
    ".md": _markdown_parts,
    ".markdown": _markdown_parts,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
