"""An adapter handed out: as PEFT's own folder, as one merged model, or as GGUF.

What is handed out is asked the gate's questions by the engine that others load it with, and what
came of that lies beside it. An adapter's own files are not asked where the engine that serves loads
those very bytes. Every copy is on record, since an erasure has to name it.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from assistant.app import App
from assistant.commands.folders import new_folder
from assistant.engines.choose import serving_engine
from assistant.parity import LEAST_SAME_VERDICTS, Parity, ask_both
from storage import adapters
from storage.audit import audit
from storage.copies import record_copy
from storage.models import BaseModel, fingerprint
from storage.records import Adapter
from tuning.adapter_files import GGUF, PARITY, adapter_kind, verify_adapter

MODEL_GGUF = "model.gguf"
CARD = "README.md"
LOG = "export.log"
FORMATS = ("peft", "merged", "gguf")

Say = Callable[[float, str], None]


@dataclass(frozen=True)
class Exported:
    """What became of an export. Without a `folder` it was not alike enough to be kept."""

    adapter: int
    format: str
    folder: str | None
    parity: Parity | None
    """None where nothing was asked."""
    said: str
    """The figures in words, or why nothing was asked."""


class _NotAlike(Exception):
    """Leaves the draft of an export behind."""


def export_adapter(
    app: App,
    adapter_id: int,
    to: Path,
    *,
    format: str = "peft",
    quantization: str = "f16",
    least: float = LEAST_SAME_VERDICTS,
    anyway: str | None = None,
    actor: str,
    say: Say = lambda share, note: None,
) -> Exported:
    """Writes the new folder `to`. Under `least` it is kept only with a reason in `anyway`.

    `format` is one of FORMATS; `quantization` (f16, q8_0) is for GGUF. Raises AdapterRefused for
    files that do not verify or, merged, fit another base, Refused and BadInput for what the format
    cannot hold, BadInput when `to` exists.
    """
    with closing(app.db()) as db:
        known = adapters.adapter(db, adapter_id)
        _verify(app, known, fits_base=format != "peft")
        why = _why_not_asked(app, known) if format == "peft" else None
        kind = quantization if format == "gguf" else None
        parity = None
        try:
            with new_folder(to) as draft:
                if format == "peft":
                    _copy(app, known, draft)
                else:
                    _merge(app, known, draft, kind, say)
                parity = None if why else _asked(app, known, draft, format, least, say)
                said = parity.sentence() if parity else str(why)
                _describe(app, known, draft, format, parity, said)
                if parity and not (parity.good or anyway):
                    raise _NotAlike
                _record(db, known, to, format, kind, actor)
        except _NotAlike:
            _audit(db, known, actor, "export refused", format, parity, None)
            return Exported(known.id, format, None, parity, said)
        reason = None if parity is None or parity.good else anyway
        _audit(db, known, actor, "adapter exported", format, parity, reason)
    return Exported(known.id, format, str(to), parity, said)


def _why_not_asked(app: App, known: Adapter) -> str | None:
    """Why an adapter's own files are asked nothing; None where others may hear something else.

    Others load them by PEFT, in torch. llama.cpp serves a float16 form that is made from them.
    """
    if known.base_fingerprint != app.base.fingerprint:
        return (
            "The files are the adapter's own, byte for byte. They were asked nothing: their base "
            "model is not the one that serves here."
        )
    kind = adapter_kind(app.adapter_folder(known.id))
    if serving_engine(app.base, app.settings.engine, kind, app.settings.context) == "torch_peft":
        return (
            "The files are the adapter's own, byte for byte, and are what the engine that serves "
            "loads too, so they were asked nothing."
        )
    return None


def _verify(app: App, known: Adapter, *, fits_base: bool) -> None:
    verify_adapter(
        app.adapter_folder(known.id),
        app.base.fingerprint if fits_base else known.base_fingerprint,
        expected_manifest=known.manifest_hash,
    )


def _copy(app: App, known: Adapter, draft: Path) -> None:
    # The GGUF form is made again where it is needed; it is no part of PEFT's format.
    shutil.copytree(
        app.adapter_folder(known.id),
        draft,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns(f"*{Path(GGUF).suffix}"),
    )


def _merge(app: App, known: Adapter, draft: Path, quantization: str | None, say: Say) -> None:
    from tuning.merge import merge_in_child

    log = app.datadir.root / LOG
    log.unlink(missing_ok=True)
    merge_in_child(
        app.base.folder,
        app.adapter_folder(known.id),
        draft,
        log=log,
        gguf=app.base.gguf,
        quantization=quantization,
        on_progress=lambda share, note: say(0.3 * share, note),
    )


def _asked(app: App, known: Adapter, draft: Path, format: str, least: float, say: Say) -> Parity:
    if format == "peft":
        exported = app.base
    elif format == "gguf":
        exported = BaseModel(app.base.name, app.base.folder, draft / MODEL_GGUF, "")
    else:
        exported = BaseModel(app.base.name, draft, None, fingerprint(draft))
    return ask_both(
        app,
        known,
        exported,
        format=format,
        least=least,
        log=app.datadir.root / LOG,
        files=draft if format == "peft" else None,
        say=lambda share, note: say(0.3 + 0.7 * share, note),
    )


def _describe(
    app: App, known: Adapter, draft: Path, format: str, parity: Parity | None, said: str
) -> None:
    """Leaves the certificate beside the files, and a card unless an adapter brings its own."""
    serves = known.base_fingerprint == app.base.fingerprint
    files = {path.name: _facts(path) for path in sorted(draft.iterdir())}
    facts: dict[str, Any] = {
        "adapter": known.id,
        "adapter_manifest": known.manifest_hash,
        "base_model": app.base.name if serves else None,
        "base_fingerprint": known.base_fingerprint,
        "format": format,
        "parity": parity.to_json() if parity else None,
        "said": said,
        "files": files,
    }
    (draft / PARITY).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    if format != "peft":
        (draft / CARD).write_text(_card(app, known, format, said), encoding="utf-8")


def _card(app: App, known: Adapter, format: str, said: str) -> str:
    tags = "tags: [apprentice, gguf]" if format == "gguf" else "tags: [apprentice]"
    library = "" if format == "gguf" else "library_name: transformers\n"
    return (
        f"---\n{library}pipeline_tag: text-generation\n{tags}\n---\n\n"
        f"# Adapter {known.id}, merged into its base\n\n"
        f"`{app.base.name}` (fingerprint `{app.base.fingerprint[:12]}`) with a {known.method} "
        "adapter that Apprentice taught from approved corrections.\n\n"
        f"{said} `{PARITY}` has the figures and the hashes of the files.\n"
    )


def _facts(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": digest, "bytes": path.stat().st_size}


def _record(
    db: Database, known: Adapter, to: Path, format: str, quantization: str | None, actor: str
) -> None:
    record_copy(
        db,
        kind="export",
        adapter_id=known.id,
        round_id=known.round_id,
        place=str(to),
        format=f"{format} {quantization}" if quantization else format,
        actor=actor,
        hash=known.manifest_hash,
    )


def _audit(
    db: Database,
    known: Adapter,
    actor: str,
    act: str,
    format: str,
    parity: Parity | None,
    reason: str | None,
) -> None:
    detail: dict[str, Any] = {"format": format}
    if parity:
        detail |= {"same_verdicts": parity.same_verdicts, "same_tokens": parity.same_tokens}
    if reason:
        detail["anyway"] = reason
    audit(db, actor, act, f"adapter:{known.id}", detail)
