"""The official Gradio client against the real server."""

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError


def client(service, key):
    headers = {"Authorization": f"Bearer {service.keys.get(key, key)}"}
    return Client(service.url, headers=headers, verbose=False)


def test_it_answers_and_goes_on_with_a_conversation(service):
    asks = client(service, "all")
    first = asks.predict("Hello.", "default", "", api_name="/chat")
    assert first["id"].startswith("chatcmpl-")
    second = asks.predict("And now?", "default", first["conversation"], api_name="/chat")
    assert second["conversation"] == first["conversation"]
    pieces = list(asks.submit("Hello.", "default", "", api_name="/chat"))
    assert len(pieces) > 1 and pieces[-1]["answer"] == first["answer"]


@pytest.mark.parametrize(
    "key, said", [("wrong", "not valid"), ("feedback", "not be used for chat")]
)
def test_it_wants_a_key(service, key, said):
    with pytest.raises(AppError, match=said):
        client(service, key).predict("Hello.", "default", "", api_name="/chat")


def test_another_workspace_is_not_there(service):
    with pytest.raises(AppError, match="no model 'default'"):
        client(service, "team").predict("Hello.", "default", "", api_name="/chat")
