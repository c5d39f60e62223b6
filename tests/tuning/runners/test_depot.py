"""A round's repository on a real server: private, whole files, gone when it is over."""

import pytest
from huggingface_hub import HfApi, constants

from storage.errors import BadInput, Refused
from storage.hub import HubFailed
from tests.assistant.hub import TOKEN, running_hub
from tuning.runners.depot import Depot, get_base, put_base


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with running_hub() as hub:
        yield hub


@pytest.fixture
def api(hub):
    return HfApi(endpoint=hub.url, token=TOKEN)


def test_a_file_goes_up_and_comes_back(hub, api, tmp_path):
    depot = Depot(api, "ada/round")
    depot.make()
    assert "datasets/ada/round" not in hub.public
    (tmp_path / "a.tar.gz").write_bytes(b"much")
    depot.put(tmp_path / "a.tar.gz", "a.tar.gz")
    came = []
    assert depot.get("a.tar.gz", lambda path: came.append(path.read_bytes()))
    assert came == [b"much"]
    assert not depot.get("b.tar.gz", came.append)
    depot.delete()
    assert hub.repos == {} and not depot.get("a.tar.gz", came.append)
    depot.delete()  # once more does no harm


def test_what_the_taker_raises_is_its_own(hub, api, tmp_path):
    depot = Depot(api, "ada/round")
    depot.make()
    (tmp_path / "a.tar.gz").write_bytes(b"much")
    depot.put(tmp_path / "a.tar.gz", "a.tar.gz")

    def take(path):
        raise BadInput("not that")

    with pytest.raises(BadInput, match="not that"):
        depot.get("a.tar.gz", take)


def test_a_repository_that_everybody_reads_is_refused(hub, api):
    hub.repos["datasets/ada/round"] = {}
    hub.public.add("datasets/ada/round")
    with pytest.raises(Refused, match="read by everybody"):
        Depot(api, "ada/round").make()


def test_the_base_goes_up_once(hub, api, tiny_base, tmp_path):
    put_base(api, "ada/base", tiny_base.folder)
    sent = len(hub.calls)
    put_base(api, "ada/base", tiny_base.folder)
    assert not [call for call in hub.calls[sent:] if "commit" in call]
    assert "model.gguf" not in hub.repos["ada/base"]
    get_base(api, "ada/base", tmp_path / "base")
    for path in (tmp_path / "base").iterdir():
        assert path.read_bytes() == (tiny_base.folder / path.name).read_bytes()


def test_a_hub_that_is_down_is_a_sentence(hub, api):
    hub.down = True
    with pytest.raises(HubFailed, match="answer 503"):
        Depot(api, "ada/round").make()
