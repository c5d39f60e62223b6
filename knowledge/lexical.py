"""The lexical index: which chunks share words with a question, weighed by BM25 (tantivy).

It is held in memory and read from SQLite when a workspace is first searched: 100,000 chunks take
6 s. SQLite's own FTS5 weighs every row that has any of the words, which takes 0.2 s there.
"""

import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import tantivy
from sqlite_utils import Database
from tantivy import Filter, Occur, Query, Tokenizer

from knowledge.english import FILLERS, HOW_MUCH, SMALL
from storage.documents import chunk_ids, chunk_texts, newest_chunk
from storage.text import clean

_MOST_WORDS = 64  # of a query
_HEAP = 15_000_000  # bytes of a writer, the least that tantivy takes
_ANALYZER = (
    tantivy.TextAnalyzerBuilder(Tokenizer.simple())
    .filter(Filter.remove_long(200))
    .filter(Filter.lowercase())
    .filter(Filter.ascii_fold())
    .filter(Filter.stemmer("english"))
    .build()
)


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("id", stored=True, indexed=True)
    builder.add_text_field("text", tokenizer_name="words", index_option="freq")
    return builder.build()


_SCHEMA = _schema()


@dataclass
class _Words:
    """One workspace's words, and the chunks that they were read from."""

    index: tantivy.Index
    ids: set[int] = field(default_factory=set)
    newest: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def stems(text: str) -> set[str]:
    """The words of a text without case, accents and English endings."""
    return set(_ANALYZER.analyze(clean(text)))


_SMALL = frozenset(stem for word in SMALL | FILLERS for stem in stems(word))


def telling_stems(text: str) -> set[str]:
    """Those that say something."""
    return stems(text) - _SMALL


class LexicalIndex:
    """Chunks by their words, for the workspaces of one database. Thread-safe.

    Nobody tells it of changes. A query first reads the chunks that are newer than the newest it
    knows, for ids only grow; where a hit is gone from SQLite, it forgets all that are.
    """

    def __init__(self) -> None:
        """Empty; each workspace is read when it is first searched."""
        self._lock = threading.Lock()
        self._workspaces: dict[int, _Words] = {}

    def query(
        self, db: Database, workspace_id: int, query: str, limit: int
    ) -> list[tuple[int, float]]:
        """(chunk id, BM25 score) of the best live chunks that share a word with `query`."""
        terms = list(dict.fromkeys(_ANALYZER.analyze(clean(query))))[:_MOST_WORDS]
        if not terms or limit < 1:
            return []
        known = self._words(workspace_id)
        with known.lock:
            _read_new(db, workspace_id, known)
            found = _search(known.index, terms, limit)
            if chunk_ids(db, workspace_id, among=[hit for hit, _ in found]) != {*dict(found)}:
                gone = known.ids - chunk_ids(db, workspace_id)
                _write(known.index, forget=gone)
                known.ids -= gone
                found = _search(known.index, terms, limit)
        return found

    def rarity(self, db: Database, workspace_id: int, query: str) -> dict[str, float]:
        """The words of `query` that say something, as stems, and what each counts: BM25's idf."""
        words = telling_stems(HOW_MUCH.sub(" ", query.casefold()))
        known = self._words(workspace_id)
        with known.lock:
            _read_new(db, workspace_id, known)
            searcher = known.index.searcher()
            having = {word: searcher.doc_freq("text", word) for word in words}
        without = {word: searcher.num_docs - count for word, count in having.items()}
        return {
            word: math.log(1 + (without[word] + 0.5) / (count + 0.5))
            for word, count in having.items()
        }

    def _words(self, workspace_id: int) -> _Words:
        with self._lock:
            if workspace_id not in self._workspaces:
                index = tantivy.Index(_SCHEMA)
                index.register_tokenizer("words", _ANALYZER)
                self._workspaces[workspace_id] = _Words(index)
            return self._workspaces[workspace_id]


def _read_new(db: Database, workspace_id: int, known: _Words) -> None:
    newest = newest_chunk(db, workspace_id)
    if newest > known.newest:
        new = chunk_texts(db, workspace_id, after=known.newest)
        _write(known.index, add=new)
        known.ids.update(chunk_id for chunk_id, _ in new)
        known.newest = newest


def _write(
    index: tantivy.Index, *, add: Iterable[tuple[int, str]] = (), forget: Iterable[int] = ()
) -> None:
    writer = index.writer(_HEAP, 1)
    for chunk_id in forget:
        writer.delete_documents_by_term("id", chunk_id)
    for chunk_id, text in add:
        writer.add_document(tantivy.Document(id=chunk_id, text=text))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()


def _search(index: tantivy.Index, terms: Sequence[str], limit: int) -> list[tuple[int, float]]:
    wanted = [(Occur.Should, Query.term_query(_SCHEMA, "text", term)) for term in terms]
    searcher = index.searcher()
    hits = searcher.search(Query.boolean_query(wanted), limit, count=False).hits
    return [(int(searcher.doc(address)["id"][0]), float(score)) for score, address in hits]
