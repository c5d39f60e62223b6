"""The composition root: one object that holds what a running assistant is made of.

Heavy parts (model, embedder, index) are opened on first use, once, whatever thread asks first, so
that a page can be shown before the model is read.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlite_utils import Database

from assistant.index_place import chroma_place
from assistant.settings import Settings
from assistant.under_way import UnderWay
from assistant.withdrawals import Withdrawals
from storage.adapters import adapter as adapter_row
from storage.connections import Connections
from storage.datadir import DataDir, open_datadir, own
from storage.house import BASE_MODEL, do_planned_switch, house_setting
from storage.records import Adapter

if TYPE_CHECKING:
    from assistant.engines.protocol import Engine
    from assistant.engines.remote_replicas import Counts
    from assistant.tokens import ChatTokenizer
    from knowledge.dense import DenseIndex
    from knowledge.embedding import Embedder
    from knowledge.lexical import LexicalIndex
    from knowledge.reranking import Reranker
    from storage.models import BaseModel
    from tuning.adapter_kinds import Kind

log = logging.getLogger(__name__)

Progress = Callable[[float, str], None]

RETIRED_KEPT = 2
"""Retired adapters kept loaded for a quick roll back; each costs about 10 MB for a 135M base."""


class App:
    """What serves one data directory. Made by `open_app`, which holds the directory's lock."""

    def __init__(
        self, settings: Settings, datadir: DataDir, progress: Progress | None = None
    ) -> None:
        self.settings = settings
        self.datadir = datadir
        self.progress = progress
        self._connections = Connections(datadir.database)
        self.under_way = UnderWay()
        self.withdrawals = Withdrawals(self.db)
        self.former: App | None = None
        """On a base that is only tried: the app on the base that serves meanwhile."""
        self._parts: dict[str, Any] = {}
        self._locks: dict[str, threading.RLock] = {}
        self._lock = threading.Lock()
        self._kinds: dict[int, Kind] = {}  # of the adapters that were verified

    def db(self) -> Database:
        """A connection, given back by its `close`: one per request or thread, never shared."""
        return self._connections.lend()

    @property
    def base(self) -> "BaseModel":
        """The base model's files; fetched and converted on first use."""
        return self._once("base", self._open_base)

    def base_if_here(self) -> "BaseModel | None":
        """The base model if its files are here already; fetches nothing."""
        from storage.models import find_base

        return self.base if self.has("base") else find_base(self._base_name(), self.datadir.models)

    def check_base(self) -> None:
        """Raises Damaged when a base model in a folder of the owner's is cut; fetches nothing."""
        from storage.models import check_weights, is_local

        if is_local(name := self._base_name()):
            check_weights(Path(name).expanduser())

    @property
    def tokenizer(self) -> "ChatTokenizer":
        """The base model's tokenizer and chat template."""
        return self._once("tokenizer", self._open_tokenizer)

    @property
    def engine(self) -> "Engine":
        """What turns token ids into text."""
        return self._once("engine", self._open_engine)

    @property
    def embedder(self) -> "Embedder":
        """What turns text into vectors."""
        return self._once("embedder", self._open_embedder)

    @property
    def reranker(self) -> "Reranker | None":
        """What weighs passages again, if a setting names it."""
        return self._once("reranker", self._open_reranker)

    @property
    def index(self) -> "DenseIndex":
        """The vectors in Chroma, its folder or a server; a cache of SQLite."""
        return self._once("index", self._open_index)

    @property
    def lexical(self) -> "LexicalIndex":
        """The words of the chunks, in memory; a cache of SQLite."""
        return self._once("lexical", self._open_lexical)

    def has(self, part: str) -> bool:
        """Whether `part` ("engine", "index", ...) is open already; opens nothing."""
        return part in self._parts

    def adapter_folder(self, adapter_id: int) -> Path:
        """The folder of one adapter version."""
        return self.datadir.adapters / str(adapter_id)

    def load_adapter(self, adapter_id: int) -> Adapter:
        """Verify an adapter's files against its row and this base, then load it; idempotent.

        Raises NotFound for an unknown id and AdapterRefused for files that do not verify, or an
        engine that does not say by them what it should (see `proving.py`).
        """
        with closing(self.db()) as db:
            row = adapter_row(db, adapter_id)
        with self._lock_for("adapters"):
            if adapter_id not in self._kinds:
                self._kinds[adapter_id] = self._verified_kind(row)
            engine = self.engine_for(adapter_id)
            if adapter_id not in engine.adapters():
                engine.load(adapter_id, self.adapter_folder(adapter_id))
                self._prove(row, engine)
        return row

    def forget_adapter(self, adapter_id: int) -> None:
        """Take an adapter out of the engine if it is in there; replies under way still end."""
        self._kinds.pop(adapter_id, None)
        for name in ("engine", "engine beside"):
            if self.has(name):
                self._parts[name].unload(adapter_id)

    def engine_for(self, adapter_id: int | None) -> "Engine":
        """The engine that answers by a loaded adapter, or by the base (None).

        What llamacpp cannot serve is answered by torch_peft beside it, opened when first asked for;
        the base's weights are then held twice. With APPRENTICE_ENGINE=llamacpp there is no second
        engine, and loading raises BadInput.
        """
        kind = self._kinds.get(adapter_id) if adapter_id is not None else None
        if kind is None or self.settings.engine != "auto":
            return self.engine
        from assistant.engines.choose import engine_beside

        beside = engine_beside(self.engine.name, kind)
        return self.engine if beside is None else self._once("engine beside", self._open_beside)

    def replicas_with(self, adapter_id: int | None) -> "Counts | None":
        """How many model servers have the adapter that serves (None: answer at all).

        None for an engine that asks one place only, or is not open yet.
        """
        counts = getattr(self.engine, "replicas_with", None) if self.has("engine") else None
        found: Counts | None = counts(adapter_id) if counts else None
        return found

    def _verified_kind(self, row: Adapter) -> "Kind":
        from assistant.signing import trusted
        from tuning.adapter_files import adapter_kind

        folder, base = self.adapter_folder(row.id), self.base
        with closing(self.db()) as db:
            trusted(self.settings, db, row, folder, base.fingerprint, base_folder=base.folder)
        return adapter_kind(folder)

    def _prove(self, row: Adapter, engine: "Engine") -> None:
        from assistant.proving import prove

        prove(self, row, engine)

    def on_base(self, base_model: str) -> "App":
        """This app on another base model, for a round that tries it; close only this one."""
        settings = self.settings.model_copy(update={"base_model": base_model})
        other = App(settings, self.datadir, self.progress)
        other.former = self
        return other

    @property
    def fixed_base(self) -> str | None:
        """The base model that APPRENTICE_BASE_MODEL or a caller names, if one does."""
        fixed = "base_model" in self.settings.model_fields_set
        return self.settings.base_model if fixed else None

    def close(self) -> None:
        """Stop the engine and close the index."""
        for name in ("engine", "engine beside", "index"):
            part = self._parts.pop(name, None)
            if part is not None:
                part.close()
        self._connections.close()

    def _lock_for(self, name: str) -> threading.RLock:
        with self._lock:
            return self._locks.setdefault(name, threading.RLock())

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._parts:
            with self._lock_for(name):
                if name not in self._parts:
                    self._parts[name] = make()
        return self._parts[name]

    def _open_base(self) -> "BaseModel":
        from storage.models import resolve_base

        return resolve_base(self._base_name(), self.datadir.models, progress=self.progress)

    def _base_name(self) -> str:
        """What the settings name, else what a `rebase` switched to, else the default."""
        with closing(self.db()) as db:
            switched = house_setting(db, BASE_MODEL)
        return self.fixed_base or switched or self.settings.base_model

    def _open_tokenizer(self) -> "ChatTokenizer":
        from assistant.tokens import ChatTokenizer

        return ChatTokenizer(self.base.folder)

    def _open_engine(self) -> "Engine":
        from assistant.engines.choose import open_engine
        from assistant.engines.remote_place import remote_place

        return open_engine(
            self.base,
            engine=self.settings.engine,
            threads=self.settings.threads,
            context=self.settings.context,
            remote=remote_place(self.settings),
        )

    def _open_beside(self) -> "Engine":
        from assistant.engines.choose import open_engine

        log.info("torch_peft opens beside %s: the base is held twice", self.engine.name)
        return open_engine(
            self.base,
            engine="torch_peft",
            threads=self.settings.threads,
            context=self.settings.context,
        )

    def _open_embedder(self) -> "Embedder":
        from knowledge.embedding import Embedder

        return self.former.embedder if self.former else Embedder(self.settings.embedder)

    def _open_reranker(self) -> "Reranker | None":
        if self.former or not self.settings.reranker:
            return self.former.reranker if self.former else None
        from knowledge.reranking import Reranker

        return Reranker(self.settings.reranker)

    def _open_index(self) -> "DenseIndex":
        if self.former:
            return self.former.index
        with closing(self.db()) as db:
            place = chroma_place(self.settings, db)
        if place:
            from knowledge.dense_server import ServerIndex

            return ServerIndex(place)
        from knowledge.dense_folder import FolderIndex

        return FolderIndex(self.datadir.chroma)

    def _open_lexical(self) -> "LexicalIndex":
        from knowledge.lexical import LexicalIndex

        return self.former.lexical if self.former else LexicalIndex()


@contextmanager
def open_app(settings: Settings, *, progress: Progress | None = None) -> Iterator[App]:
    """The app that owns `settings.data` until the block ends.

    Raises DataDirBusy when another process owns the directory, BadInput for a Chroma server's
    address that is none.
    """
    datadir = open_datadir(settings.data)
    with own(datadir):
        app = App(settings, datadir, progress)
        # open until the end: with no connection left SQLite removes its log, and on a full disk the
        # next reader could not make it again
        with closing(app.db()) as db:
            chroma_place(settings, db)  # an address that is none is said now, not at a question
            do_planned_switch(db, app.fixed_base)
            try:
                yield app
            finally:
                app.close()
