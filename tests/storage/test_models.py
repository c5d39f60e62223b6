"""Base models on disk: found, fetched, verified, identified."""

import json
import shutil

import numpy as np
import pytest
from gguf import GGUFReader, dequantize
from safetensors.numpy import load_file

from storage import models
from storage.errors import BadInput
from storage.models import (
    EMBEDDED_FOLDER,
    RECORD,
    Damaged,
    chat_template,
    find_base,
    fingerprint,
    resolve_base,
    verify,
)
from storage.wheel import ModelUnavailable, PinnedFile, file_sha256
from tests.tiny import make_tiny_base
from tests.wheels import make_wheel


@pytest.fixture
def folder(tiny_base, tmp_path):
    """A copy of the tiny base that a test may spoil."""
    return shutil.copytree(tiny_base.folder, tmp_path / "own")


@pytest.fixture
def embedded(tiny_base, tmp_path, monkeypatch):
    """The tiny base's GGUF stands for the embedded one: the wheel to take it from."""
    wheel = make_wheel(tmp_path / "tiny_llm-0.1-py3-none-any.whl", tiny_base.gguf)
    pinned = PinnedFile(
        requirement="tiny-llm==0.1",
        wheel_sha256=file_sha256(wheel),
        member="tiny_llm/model.gguf",
        sha256=file_sha256(tiny_base.gguf),
        size=tiny_base.gguf.stat().st_size,
        local_wheel_variable="APPRENTICE_EMBEDDED_WHEEL",
    )
    monkeypatch.setattr(models, "EMBEDDED_FILE", pinned)
    monkeypatch.setenv("APPRENTICE_EMBEDDED_WHEEL", str(wheel))
    return wheel


def test_a_folder_is_a_base(folder, tmp_path):
    base = resolve_base(str(folder), tmp_path / "models")
    assert base.folder == folder and base.gguf == folder / "model.gguf"
    assert base.name == str(folder)
    assert base.fingerprint == fingerprint(folder)


def test_the_fingerprint_is_of_weights_tokenizer_and_template(folder):
    before = fingerprint(folder)
    (folder / "README.md").write_text("another file")
    (folder / "model.gguf").unlink()
    assert fingerprint(folder) == before
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    changed = fingerprint(folder)
    make_tiny_base(folder, seed=1)
    assert len({before, changed, fingerprint(folder)}) == 3


def test_a_changed_folder_is_another_base(folder, tmp_path):
    first = resolve_base(str(folder), tmp_path / "models")
    assert verify(first)
    make_tiny_base(folder, seed=1)
    assert not verify(first)
    assert resolve_base(str(folder), tmp_path / "models").fingerprint != first.fingerprint


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.999])
def test_a_cut_file_is_refused(folder, tmp_path, part):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: int(weights.stat().st_size * part)])
    with pytest.raises(Damaged, match=r"model\.safetensors"):
        resolve_base(str(folder), tmp_path / "models")


@pytest.mark.parametrize("part", [0.0, 0.001, 0.1, 0.5])
def test_a_cut_gguf_is_refused_also_when_it_was_whole_before(folder, tmp_path, part):
    resolve_base(str(folder), tmp_path / "models")
    gguf = folder / "model.gguf"
    gguf.write_bytes(gguf.read_bytes()[: int(gguf.stat().st_size * part)])
    with pytest.raises(Damaged, match=r"model\.gguf"):
        resolve_base(str(folder), tmp_path / "models")


@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_folder_that_is_not_whole_is_refused(folder, tmp_path, missing):
    (folder / missing).unlink()
    with pytest.raises(BadInput, match=missing.replace("model", "").replace(".", r"\.")):
        resolve_base(str(folder), tmp_path / "models")


def test_two_gguf_files_are_for_a_person_to_choose(folder, tmp_path):
    shutil.copy(folder / "model.gguf", folder / "other.gguf")
    with pytest.raises(BadInput, match="2 GGUF"):
        resolve_base(str(folder), tmp_path / "models")


@pytest.mark.parametrize("name", ["nothing", "/no/such/folder", "../up", "a/b/c", ""])
def test_other_names_are_refused(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="no base model|holds no"):
        resolve_base(name or "''", tmp_path / "models")


def test_a_hub_id_without_a_network_says_so(tmp_path):
    with pytest.raises(ModelUnavailable, match="nobody/nothing"):
        resolve_base("nobody/nothing", tmp_path / "models")


def test_weights_are_not_fetched_twice():
    """Mistral and Llama keep a copy in their makers' own form beside them."""
    from huggingface_hub.utils import filter_repo_objects

    taken = ["model-1-of-2.safetensors", "config.json", "chat_template.jinja"]
    left = ["consolidated.safetensors", "original/params.json", "onnx/config.json", "run.py"]
    rules = {"allow_patterns": models._HUB_FILES, "ignore_patterns": models._HUB_COPIES}
    assert list(filter_repo_objects([*taken, *left], **rules)) == taken


def test_chat_template_in_the_tokenizer_config(folder):
    text = chat_template(folder)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(BadInput, match="no chat template"):
        chat_template(folder)
    config = folder / "tokenizer_config.json"
    named = [{"name": "tools", "template": "x"}, {"name": "default", "template": text}]
    for value in (text, named):
        config.write_text(json.dumps({"chat_template": value}))
        assert chat_template(folder) == text


def test_embedded_is_fetched_converted_and_remembered(embedded, tmp_path):
    notes = []
    at = tmp_path / "models"
    assert find_base("embedded", at) is None
    base = resolve_base("embedded", at, progress=lambda fraction, note: notes.append(note))
    assert base.name == "embedded" and verify(base) and len(notes) > 1
    assert find_base("embedded", at) == base
    embedded.unlink()  # not needed again
    notes.clear()
    assert resolve_base("embedded", at, progress=lambda *_: notes.append(1)) == base
    assert not notes
    assert sorted(path.name for path in at.iterdir()) == [".lock", EMBEDDED_FOLDER]


@pytest.mark.parametrize("cut", ["model.safetensors", "model.gguf", "tokenizer.json"])
def test_embedded_file_cut_in_half_is_made_again(embedded, tmp_path, cut):
    base = resolve_base("embedded", tmp_path / "models")
    path = base.folder / cut
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Damaged, match=cut):
        find_base("embedded", tmp_path / "models")
    assert resolve_base("embedded", tmp_path / "models") == base
    assert path.read_bytes() == whole


def test_embedded_with_other_bytes_of_the_same_length_is_found_by_verify(embedded, tmp_path):
    base = resolve_base("embedded", tmp_path / "models")
    data = bytearray(base.gguf.read_bytes())
    data[-1] ^= 1
    base.gguf.write_bytes(data)
    assert not verify(base)


def test_embedded_of_format_1_is_converted_from_the_file_that_it_served(
    embedded, tiny_base, tmp_path
):
    base = resolve_base("embedded", tmp_path / "models")
    served = base.gguf.read_bytes()
    shutil.copy(tiny_base.gguf, base.gguf)
    known = json.loads((base.folder / RECORD).read_text())
    (base.folder / RECORD).write_text(json.dumps({**known, "format": 1}))
    embedded.unlink()
    assert resolve_base("embedded", tmp_path / "models") == base
    assert base.gguf.read_bytes() == served and verify(base)


def test_embedded_is_served_in_eight_bits_of_the_weights_that_are_taught(embedded, tmp_path):
    base = resolve_base("embedded", tmp_path / "models")
    served = {tensor.name: tensor for tensor in GGUFReader(base.gguf).tensors}
    taught = load_file(base.folder / "model.safetensors")
    for ours, theirs in [("ffn_down", "mlp.down_proj"), ("attn_output", "self_attn.o_proj")]:
        tensor = served[f"blk.0.{ours}.weight"]
        assert tensor.tensor_type.name == "Q8_0"
        values = taught[f"model.layers.0.{theirs}.weight"]
        off = np.abs(dequantize(tensor.data, tensor.tensor_type) - values)
        assert (
            0 < off.max() < np.abs(values).max() / 200
        )  # half a step of 127, and its rounded scale


def test_conversion_that_stopped_half_way_is_done_again(embedded, tmp_path):
    draft = tmp_path / "models" / f".{EMBEDDED_FOLDER}.part"
    draft.mkdir(parents=True)
    (draft / "model.safetensors").write_bytes(b"half")
    for name in ("fetched.gguf", "model.gguf"):
        (draft / name).write_bytes(b"half")
    assert verify(resolve_base("embedded", tmp_path / "models"))
