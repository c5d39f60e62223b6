"""Which documents a round's general questions were about, kept when the documents are removed."""

from collections import Counter
from collections.abc import Iterable, Sequence

from sqlite_utils import Database

from storage.database import rows, write, write_transaction
from storage.records import Passage, RoundDocument
from storage.text import clean, to_json


def add_round_documents(db: Database, round_id: int, passages: Iterable[Passage]) -> None:
    """Note the documents of the passages that the round's questions showed."""
    counts = Counter((passage.document_id, passage.document) for passage in passages)
    with write_transaction(db):
        for (document_id, name), count in counts.items():
            write(
                db,
                """insert into round_documents (round_id, name, document_id, rows)
                values (?, ?, (select id from documents where id = ?), ?)
                on conflict do update set rows = excluded.rows""",
                round_id,
                clean(name),
                document_id,
                count,
            )


def round_documents(db: Database, round_ids: Sequence[int]) -> list[RoundDocument]:
    """The documents that these rounds asked about, by round and name."""
    found = rows(
        db,
        """select round_id, name, document_id, rows from round_documents
        where round_id in (select value from json_each(?)) order by round_id, name""",
        to_json(list(round_ids)),
    )
    return [RoundDocument(**row) for row in found]
