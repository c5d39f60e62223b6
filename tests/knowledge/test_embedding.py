import socket
import threading

import numpy as np
import pytest

from storage.errors import BadInput


def test_vectors_have_length_one_and_the_models_dimension(embedder):
    vectors = embedder.embed(["a pump", "a valve", "a pump"])
    assert vectors.shape == (3, embedder.dimension) == (3, 384)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors[0], vectors[2], atol=1e-5)
    assert embedder.embed([]).shape == (0, 384)


def test_a_text_is_read_with_those_around_it(embedder):
    texts = ["The pump stands in the cellar.", "It is blue.", "It was bought in 2019."]
    [alone] = embedder.embed_in_context([("", [texts[1]])])
    _, beside, _ = embedder.embed_in_context([("", texts)])
    asked = embedder.embed(["What colour has the pump?"])[0]
    assert np.allclose(np.linalg.norm(beside), 1, atol=1e-5)
    assert asked @ beside > asked @ alone + 0.1
    apart = embedder.embed_in_context([("", [text]) for text in texts])
    assert apart.shape == (3, 384)
    assert np.allclose(apart[1], alone, atol=1e-5)
    assert alone @ embedder.embed([texts[1]])[0] > 0.8
    assert embedder.embed_in_context([]).shape == (0, 384)


def test_more_text_than_fits_is_read_in_windows(embedder):
    texts = [
        f"Paragraph {number} is about pumps. " + "They lift water. " * 16 for number in range(9)
    ]
    together = embedder.embed_in_context([("", texts)])
    assert together.shape == (9, 384)
    # windows of three, and none is alone: the last begins further back where that fits
    assert np.allclose(together[:3], embedder.embed_in_context([("", texts[:3])]), atol=1e-5)
    last = embedder.embed_in_context([("", texts[6:8])])[1]
    assert np.allclose(embedder.embed_in_context([("", texts[:8])])[7], last, atol=0.2)
    odd = ["", "\ud800", "word " * 600, "a pump"]
    assert np.isfinite(embedder.embed_in_context([("", odd)])).all()


def test_windows_of_any_lengths_come_back_in_their_order(embedder):
    runs = [("", [f"Pump {n}. " + "It lifts water. " * (n * 7 % 40)]) for n in range(30)]
    together = embedder.embed_in_context(runs)
    alone = np.concatenate([embedder.embed_in_context([run]) for run in runs])
    assert np.allclose(together, alone, atol=1e-5)


def test_a_model_that_takes_no_mean_reads_each_text_alone(embedder, monkeypatch):
    texts = ["The pump stands in the cellar.", "It is blue."]
    [pooling] = [one for one in embedder._model if type(one).__name__ == "Pooling"]
    monkeypatch.setattr(pooling, "pooling_mode", "cls")
    assert np.allclose(embedder.embed_in_context([("", texts)]), embedder.embed(texts), atol=1e-5)


def test_what_means_the_same_is_near(embedder):
    goods, jacket, question = embedder.embed(
        ["Goods may be sent back within 30 days.", "It is blue.", "How long may I return goods?"]
    )
    assert question @ goods > question @ jacket + 0.2


def test_a_text_has_the_same_vector_in_any_batch(embedder):
    texts = [f"Text number {number} " + "long " * number for number in range(40)]
    together = embedder.embed(texts)
    alone = np.concatenate([embedder.embed([text]) for text in texts[::13]])
    assert np.allclose(together[::13], alone, atol=1e-5)


def test_tokens_are_counted_without_a_limit_and_without_special_ones(embedder):
    assert embedder.count_tokens("") == 0
    assert embedder.count_tokens("hello world") == 2
    assert embedder.count_tokens("hello " * 1000) == 1000
    assert embedder.max_tokens == 254


def test_text_that_is_no_text(embedder):
    assert embedder.embed(["\ud800 lone", "nul \0 byte", ""]).shape == (3, 384)
    assert embedder.count_tokens("\ud800") >= 0


def test_many_threads_get_their_own_answers(embedder):
    texts = [f"Sentence {number} about pumps" for number in range(8)]
    alone, found = embedder.embed(texts), {}

    def ask(number: int) -> None:
        for _ in range(5):
            found[number] = embedder.embed([texts[number]])[0]
            assert embedder.count_tokens(texts[number]) >= 4

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.allclose(found[number], alone[number], atol=1e-5) for number in range(8))


def test_torch_keeps_its_number_of_threads(embedder):
    import torch

    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    own = embedder._worker.submit(torch.get_num_threads).result()
    assert own == 1
    assert seen == [torch.get_num_threads()]


def test_a_local_folder_is_a_model_too(embedder):
    from knowledge.embedding import Embedder, model_folder

    folder = str(model_folder(embedder.name))
    other = Embedder(folder)
    try:
        assert np.allclose(other.embed(["a pump"]), embedder.embed(["a pump"]), atol=1e-5)
        assert other.slug != embedder.slug
        assert other.slug == other.slug.strip("-.") and len(other.slug) < 60
    finally:
        other.close()


@pytest.mark.parametrize("make", [lambda path: path / "none", lambda path: path])
def test_no_model_is_said_in_one_sentence(tmp_path, make):
    from knowledge.embedding import Embedder

    with pytest.raises(BadInput, match="^The embedder .* cannot be loaded .*: name a local folder"):
        Embedder(str(make(tmp_path)))


def test_the_default_needs_no_network(monkeypatch):
    from knowledge.embedding import Embedder

    def refuse(*given):
        raise AssertionError(f"tried to reach {given}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    loaded = Embedder()
    assert loaded.embed(["a pump"]).shape == (1, 384)
    loaded.close()
