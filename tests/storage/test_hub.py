"""What the Hub's library raises becomes one sentence that says what to do."""

import pytest
from huggingface_hub import HfApi

from storage.errors import Refused
from storage.hub import HubFailed, make_repo, told
from tests.assistant.hub import TOKEN, running_hub


@pytest.fixture(scope="module")
def api():
    with running_hub() as hub:
        yield HfApi(endpoint=hub.url, token=TOKEN)


@pytest.fixture(autouse=True)
def not_offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


@pytest.mark.parametrize(
    "repo, endpoint, token, said",
    [
        ("a//b", None, TOKEN, "write NAME/REPO"),
        ("ada/x", None, "hf_bad", "answer 401"),
        ("ada/x", "http://127.0.0.1:1", TOKEN, "cannot be reached"),
    ],
)
def test_one_sentence(api, repo, endpoint, token, said):
    asked = HfApi(endpoint=endpoint or api.endpoint, token=token)
    with pytest.raises(HubFailed, match=said), told(repo):
        make_repo(asked, repo)


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_repository_is_private_unless_it_is_said(api, kind):
    make_repo(api, f"ada/{kind}", kind=kind)
    assert api.repo_info(f"ada/{kind}", repo_type=kind).private
    make_repo(api, f"ada/open-{kind}", kind=kind, public=True)
    make_repo(api, f"ada/open-{kind}", kind=kind, public=True)
    with pytest.raises(Refused, match="read by everybody"):
        make_repo(api, f"ada/open-{kind}", kind=kind)
