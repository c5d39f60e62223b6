import pytest
from sentence_transformers import CrossEncoder

from knowledge.reranking import Reranker
from storage.errors import BadInput
from storage.records import Passage
from tests.cross_encoder import make_cross_encoder

TEXTS = ["Goods go back in 30 days.", "The pump is too hot.", "We open at nine.", "", "\ud800 odd"]


def test_passages_come_in_the_order_of_its_scores(tmp_path):
    folder = make_cross_encoder(tmp_path)
    passages = [Passage(n, 1, "a.md", text, "h", 1.0) for n, text in enumerate(TEXTS)]
    asked = "How long may I return things?"
    reranker = Reranker(folder)
    found = [passage.chunk_id for passage in reranker.rerank(asked, passages)]
    assert reranker.rerank(asked, []) == []
    reranker.close()
    plain = CrossEncoder(folder, device="cpu", local_files_only=True)
    scores = plain.predict([(asked, text.replace("\ud800", "\ufffd")) for text in TEXTS])
    assert len(set(scores.tolist())) == len(TEXTS)
    assert found == sorted(range(len(TEXTS)), key=lambda place: -scores[place])
    assert found != list(range(len(TEXTS)))


def test_what_is_no_cross_encoder_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"reranker .*empty' cannot be loaded"):
        Reranker(str(tmp_path / "empty"))
    two = make_cross_encoder(tmp_path, labels=2)
    with pytest.raises(BadInput, match="gives 2 scores: name one with one"):
        Reranker(two)
