"""What the doctor says of the Chroma server."""

from contextlib import closing

import pytest

from assistant.doctor_index import chroma_server as checks
from assistant.settings import Settings
from storage.database import open_database
from tests.chroma_server import chroma_server


@pytest.fixture
def look(datadir):
    def found(**given):
        settings = Settings(data=datadir.root, **given)
        with closing(open_database(datadir.database)) as db:
            return [*checks(settings, db)]

    return found


def test_nothing_is_said_of_the_folder(look):
    assert look() == []


def test_a_server_that_answers_is_named_and_one_that_does_not_too(look, tmp_path):
    with chroma_server(tmp_path / "chroma-server") as server:
        (fine,) = look(chroma_url=server.url, chroma_token="s3cret")
        assert fine.state == "ok" and server.url in fine.detail and "apprentice-" in fine.detail
        (refused,) = look(chroma_url=server.url, chroma_database="nowhere")
        assert refused.state == "fail" and "APPRENTICE_CHROMA_DATABASE" in refused.detail
        (open_,) = look(chroma_url=server.url.replace("127.0.0.1", "0.0.0.0"), chroma_token="s3c")
        assert open_.state == "warn" and "unencrypted" in open_.detail
    (away,) = look(chroma_url=server.url, chroma_token="s3cret")
    assert away.state == "fail" and server.url in away.detail and "by words" in away.remedy
    (bad,) = look(chroma_url="chroma:8000")
    assert bad.state == "fail" and bad.remedy
    assert "s3cret" not in str([fine, refused, away, bad])
