"""What is made of files elsewhere is what is made of them here."""

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from knowledge.chunk_vectors import AT_ONCE, whole_runs
from knowledge.preparing import (
    Cut,
    FileToRead,
    as_text,
    content_hash,
    from_text,
    prepare,
    read_chunks,
)

CUT = Cut(32, 4)


def files_of(docs: Path) -> list[FileToRead]:
    (docs / "long.md").write_text("# Pumps\n\n" + "The pump number 7 needs a new filter. " * 300)
    (docs / "empty.md").touch()
    paths = sorted(path for path in docs.rglob("*") if path.is_file())
    return [FileToRead(path, str(path.relative_to(docs))) for path in paths]


def test_each_file_has_its_chunks_and_a_vector_for_each(docs, embedder):
    files = files_of(docs)
    made = prepare(files, CUT, embedder, lru_cache(embedder.count_tokens))
    assert [one.path for one in made] == [file.path for file in files]
    for file, one in zip(files, made, strict=True):
        assert one.content == content_hash(file.path)
        if one.fault:
            assert file.name == "empty.md" and "empty" in one.fault and not len(one.vectors)
            continue
        assert list(one.chunks) == read_chunks(file, CUT, embedder.count_tokens)
        alone = embedder.embed_in_context(whole_runs(one.chunks))
        assert one.vectors == pytest.approx(alone, abs=1e-5)


def test_it_comes_home_as_it_was_made(docs, embedder):
    files = files_of(docs)
    odd = docs / os.fsdecode(b"odd-\xff.txt")
    odd.write_text("A name that is no Unicode.")
    files.append(FileToRead(odd, "odd.txt"))
    for one in prepare(files, CUT, embedder, embedder.count_tokens):
        text = as_text(one)
        assert text.isascii() and "\n" not in text
        again = from_text(text)
        assert (again.path, again.content, again.fault) == (one.path, one.content, one.fault)
        assert list(again.chunks) == list(one.chunks)
        assert np.array_equal(again.vectors, one.vectors) or not len(one.chunks)


def test_a_file_that_is_gone_is_left_to_who_asks(tmp_path, embedder):
    gone = FileToRead(tmp_path / "gone.txt", "gone.txt")
    [one] = prepare([gone], CUT, embedder, embedder.count_tokens)
    assert one.content == "" and one.fault is None and one.chunks == []


def test_runs_are_sections_cut_where_the_index_would_cut_them():
    chunks = [("A", f"a{n}") for n in range(AT_ONCE + 3)] + [("B", "b"), ("A", "again")]
    assert [(heading, len(texts)) for heading, texts in whole_runs(chunks)] == [
        *(("A", AT_ONCE), ("A", 3), ("B", 1), ("A", 1))
    ]
