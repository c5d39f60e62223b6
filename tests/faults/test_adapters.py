"""Adapters that are broken, foreign or hostile never answer; swapping good ones mixes nothing."""

import json
import os
import pickle
import random
import shutil
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest

from assistant.adapter_import import import_adapter
from assistant.app import App
from assistant.promotion import let_serve
from assistant.reply import Done, ReplyOptions, reply
from assistant.signing import sign_made
from assistant.uploaded_zip import unpacked
from storage.adapters import list_adapters, promote, serving_adapter
from storage.conversations import start_conversation
from storage.database import write, write_transaction
from storage.errors import ApprenticeError
from tests import tiny
from tests.made_adapter import made
from tests.tiny import make_tiny_adapter, make_tiny_base
from tests.tuning.spoilt import PLAIN, RESEALED, reseal
from tuning.adapter_files import (
    CONFIG,
    MANIFEST,
    WEIGHTS,
    AdapterRefused,
    manifest_hash,
    save_adapter,
)

TOKENS = 8
READERS = 16
QUESTIONS = ("List the completed orders.", "How do I return a product?", "What is a jib?")


def said(app: App, workspace, question: str = QUESTIONS[0], adapter="serving"):
    """(which adapter is named on the reply, what it says)."""
    with closing(app.db()) as db:
        talk = start_conversation(db, workspace.id, "someone")
    options = ReplyOptions(adapter=adapter, max_tokens=TOKENS)
    *_, done = reply(app, workspace, talk.id, "someone", question, options=options)
    assert isinstance(done, Done)
    return done.message.adapter_id, done.message.content


def serve(app: App, adapter_id: int) -> None:
    with closing(app.db()) as db:
        promote(db, adapter_id, actor="user:1", override_reason="a test")


def kept_as_it_is(app: App, adapter_id: int) -> None:
    """Let row and signature fit the folder: only what is in it can still speak against it."""
    with closing(app.db()) as db, write_transaction(db):
        hash = manifest_hash(app.adapter_folder(adapter_id))
        write(db, "update adapters set manifest_hash = ? where id = ?", hash, adapter_id)
        sign_made(app.settings, db, adapter_id)


def refusal(app: App, adapter_id: int) -> str:
    """Why it is neither loaded nor let serve, without its own name; '' when it is not refused."""
    told = ""
    for attempt in (app.load_adapter, lambda id: _let_serve(app, id)):
        try:
            attempt(adapter_id)
        except AdapterRefused as error:
            told = told or f"{error.reason}: {error}".replace(str(app.adapter_folder(0).parent), "")
        except ApprenticeError as error:
            return told or f"not refused as an adapter: {error}"
        else:
            return ""
    return told.replace(f"/{adapter_id}", "")


def _let_serve(app: App, adapter_id: int) -> None:
    with closing(app.db()) as db:
        let_serve(app, db, adapter_id, actor="user:1", reason="a test")


def test_a_broken_adapter_is_refused_before_it_serves(app, workspace, tmp_path, record_property):
    """B6: 62 ways to spoil an adapter; and three that were made for another base."""
    good = made(app, workspace, "lora", tmp_path)
    serve(app, good)
    before = said(app, workspace)
    whole = made(app, workspace, "lora", tmp_path, seed=2)
    kept = shutil.copytree(app.adapter_folder(whole), tmp_path / "whole")
    told = {}
    for name, (spoil, _) in {**PLAIN, **RESEALED}.items():
        folder = app.adapter_folder(whole)
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
        with np.errstate(all="ignore"):
            if name in PLAIN:
                spoil(folder, _fresh(tmp_path / "moved"))
            else:
                spoil(folder)
                reseal(folder)
        if (folder / MANIFEST).is_file():
            kept_as_it_is(app, whole)
        told[name] = _without_hashes(refusal(app, whole))
        app.forget_adapter(whole)
    for name, (change, seed) in OTHER_BASES.items():
        told[name] = _for_another_base(app, workspace, tmp_path, change, seed)
    record_property("bar", "B6")
    record_property("trials", len(told))
    taken = [name for name, why in told.items() if not why or "not refused" in why]
    record_property("failures", len(taken))
    assert not taken
    assert len(told) >= 28 and len(set(told.values())) >= 28, sorted(told.values())
    assert said(app, workspace) == before == (good, before[1])
    with closing(app.db()) as db:
        assert serving_adapter(db, workspace.id).id == good


OTHER_BASES = {
    "another depth": ({"LAYERS": 3}, 0),
    "another width": ({"HEADS": 4, "WIDTH": 128, "INNER": 192}, 0),
    "other weights": ({}, 7),
}


def _for_another_base(app: App, workspace, tmp_path, change, seed: int) -> str:
    """The refusal of an adapter of another base; but for other weights it claims to be for ours."""
    name = f"base{len(change)}{seed}"
    with pytest.MonkeyPatch.context() as patch:
        for key, value in change.items():
            patch.setattr(tiny, key, value)
        base = make_tiny_base(tmp_path / name, seed=seed)
    weights = make_tiny_adapter(base, tmp_path / f"{name}-adapter")
    claimed = app.base.fingerprint if change else base.fingerprint
    folder = tmp_path / f"{name}-saved"
    save_adapter(
        weights, folder, base_fingerprint=claimed, method="lora", round_id=None, metrics={}
    )
    home = made(app, workspace, "lora", _fresh(tmp_path / f"{name}-home"))
    shutil.rmtree(app.adapter_folder(home))
    folder.rename(app.adapter_folder(home))
    kept_as_it_is(app, home)
    return _without_hashes(refusal(app, home))


def _fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _without_hashes(text: str) -> str:
    return " ".join(word for word in text.split() if len(word) < 64)


def test_swaps_mix_nothing(app, workspace, tmp_path, record_property):
    """B7, short: one swap in five is to a new version, which is loaded first."""
    _swap(app, workspace, tmp_path, record_property, swaps=20)


@pytest.mark.slow
def test_many_swaps_mix_nothing(app, workspace, tmp_path, record_property):
    """B7."""
    _swap(app, workspace, tmp_path, record_property, swaps=200)


def _swap(app: App, workspace, tmp_path, record_property, *, swaps: int) -> None:
    """Readers ask without pause while two adapters take turns; each reply is one adapter's own."""
    pair = [made(app, workspace, "lora", tmp_path, seed=seed) for seed in (1, 2)]
    alone = {(a, q): said(app, workspace, q, a)[1] for a in pair for q in QUESTIONS}
    assert all(alone[pair[0], q] != alone[pair[1], q] for q in QUESTIONS)
    same = {a: a for a in pair}  # a later version -> the first one with its weights
    serve(app, pair[0])
    seen: list[tuple[int | None, str, str]] = []
    stop = threading.Event()

    def read(number: int) -> None:
        chance = random.Random(number)
        while not stop.is_set():
            question = chance.choice(QUESTIONS)
            seen.append((*said(app, workspace, question), question))

    with ThreadPoolExecutor(READERS) as pool:
        readers = [pool.submit(read, number) for number in range(READERS)]
        try:
            for number in range(1, swaps + 1):
                before = len(seen)
                turn = number % 2
                if number % 5 == 0:
                    scratch = _fresh(tmp_path / "version")
                    new = made(app, workspace, "lora", scratch, seed=turn + 1)
                    same[new] = same[pair[turn]]
                    pair[turn] = new
                serve(app, pair[turn])
                while len(seen) < before + 4 and not any(one.done() for one in readers):
                    time.sleep(0.01)
        finally:
            stop.set()
        for one in readers:
            one.result()
    wrong = [(a, text) for a, text, q in seen if text != alone.get((same.get(a), q))]
    record_property("bar", "B7")
    record_property("trials", swaps)
    record_property("replies", len(seen))
    record_property("failures", len(wrong))
    assert not wrong
    assert {a for a, _, _ in seen} == set(same) and len(seen) >= 4 * swaps


class Canary:
    """Unpickled, it writes a file: nobody should."""

    def __init__(self, path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def _code(path) -> str:
    return f"import os\nos.system('touch {path}')\n"


def _put(name: str, text: str):
    return lambda folder, canary: (folder / name).write_text(text.replace("CANARY", str(canary)))


def _pickled(name: str):
    return lambda folder, canary: (folder / name).write_bytes(pickle.dumps(Canary(canary)))


def _run(name: str):
    return lambda folder, canary: (folder / name).write_text(_code(canary))


def _linked(name: str, to: str):
    def link(folder, canary) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(to)

    return link


def _set(name: str, **values):
    def change(folder, canary) -> None:
        found = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**found, **values}))
        if (folder / MANIFEST).is_file() and name != MANIFEST:
            reseal(folder)

    return change


def _in_place_of_weights(folder, canary) -> None:
    (folder / WEIGHTS).unlink()
    with zipfile.ZipFile(folder / WEIGHTS, "w") as file:  # what torch.save writes
        file.writestr("archive/data.pkl", pickle.dumps(Canary(canary)))


def _pipe(folder, canary) -> None:
    (folder / WEIGHTS).unlink()
    os.mkfifo(folder / WEIGHTS)


EVERYWHERE = {
    "adapter_model.bin": _pickled("adapter_model.bin"),
    "pytorch_model.pt": _pickled("pytorch_model.pt"),
    "training_args.bin": _pickled("training_args.bin"),
    "rng_state.pth": _pickled("rng_state.pth"),
    "a .pkl": _pickled("x.pkl"),
    "a .ckpt in capitals": _pickled("x.CKPT"),
    "a joblib": _pickled("x.joblib"),
    "a numpy archive": _pickled("x.npz"),
    "a pickle in place of the weights": _pickled(WEIGHTS),
    "torch.save's zip in place of the weights": _in_place_of_weights,
    "a program": _run("modeling_tiny.py"),
    "a program's compiled form": _run("modeling_tiny.pyc"),
    "a library": _run("kernel.so"),
    "auto_map": _set(CONFIG, auto_map={"AutoModel": "modeling_tiny.Tiny"}),
    "a module to run": _set(CONFIG, run_this="os.system"),
    "a pattern for targets": _set(CONFIG, target_modules="(a+)+$"),
    "a config that is a link": _linked(CONFIG, "/etc/passwd"),
    "weights that are a link": _linked(WEIGHTS, "/etc/passwd"),
    "weights that are a pipe": _pipe,
    "a link beside": _linked("notes.txt", "/etc/passwd"),
}
IN_OURS = {
    "a template": _put("chat_template.jinja", "{{ ''.__class__ }}"),
    "a tokenizer with a template": _put("tokenizer_config.json", '{"chat_template": "{{ x }}"}'),
    "a tokenizer": _put("tokenizer.json", "{}"),
    "a model's config with auto_map": _put("config.json", '{"auto_map": {"AutoModel": "x.Y"}}'),
    "a module list": _put("modules.json", '[{"type": "os.system"}]'),
    "auto_mapping": _set(CONFIG, auto_mapping={"base_model_class": "os.system"}),
    "a note": _put("notes.txt", "x"),
    "more files in the manifest": _set(MANIFEST, files={"../../x": {"sha256": "", "bytes": 0}}),
    "another format": _set(MANIFEST, format=2),
    "a field to be called": _set(MANIFEST, __reduce__="os.system"),
}
ZIPPED = ("../../CANARY", "/CANARY", "a/../../CANARY", "..\\CANARY", "C:CANARY", "link")


def test_what_could_run_code_is_refused(app, workspace, tmp_path, record_property):
    """B29: in PEFT's folders, in ours and in zips; nothing runs, nothing is left behind."""
    canary = tmp_path / "canary"
    theirs = make_tiny_adapter(app.base, tmp_path / "theirs")
    facts = {"base_fingerprint": app.base.fingerprint, "method": "lora", "round_id": None}
    save_adapter(theirs, tmp_path / "ours", metrics={}, **facts)
    tried, taken = 0, []
    for folder, artefacts in (("theirs", EVERYWHERE), ("ours", {**EVERYWHERE, **IN_OURS})):
        for name, spoil in artefacts.items():
            copy = shutil.copytree(tmp_path / folder, tmp_path / "copy")
            spoil(copy, canary)
            tried += 1
            if not _refused(lambda: _take_in(app, copy)):  # noqa: B023  called at once
                taken.append(f"{folder}: {name}")
            shutil.rmtree(copy)
    for entry in ZIPPED:
        tried += 1
        if not _refused(lambda: _take_in_zip(app, tmp_path, entry, canary)):  # noqa: B023
            taken.append(f"zip: {entry}")
    record_property("bar", "B29")
    record_property("trials", tried)
    record_property("failures", len(taken))
    assert tried >= 30 and not taken
    assert not canary.exists() and not list(app.datadir.root.rglob("*CANARY*"))
    with closing(app.db()) as db:
        assert list_adapters(db, workspace.id) == []
    assert list(app.datadir.adapters.iterdir()) == []


def test_a_tokenizer_and_a_template_beside_peft_files_are_not_taken(app, workspace, tmp_path):
    """What its own trainer leaves in every folder: no reason to refuse, and none to keep it."""
    folder = make_tiny_adapter(app.base, tmp_path / "theirs")
    for name in ("a template", "a tokenizer", "a tokenizer with a template"):
        IN_OURS[name](folder, "")
    known = _take_in(app, folder)
    assert {path.name for path in app.adapter_folder(known.id).iterdir()} == {
        *(CONFIG, WEIGHTS, MANIFEST),
        "README.md",
    }


def _take_in(app: App, folder):
    return import_adapter(app, folder, workspace="default", actor="user:1")


def _take_in_zip(app: App, tmp_path, entry: str, canary) -> None:
    path = tmp_path / "given.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(tmp_path / "theirs" / CONFIG, CONFIG)
        info = zipfile.ZipInfo(entry)
        if entry == "link":
            info.external_attr = 0o120777 << 16
        archive.writestr(info, str(canary))
    with unpacked(path, CONFIG, within=app.datadir.adapters) as folder:
        _take_in(app, folder)


def _refused(attempt) -> bool:
    try:
        attempt()
    except ApprenticeError:
        return True
    return False
