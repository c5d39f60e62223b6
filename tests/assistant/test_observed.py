"""Requests as they are counted and written down: by door, never by address."""

import json
import logging

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from assistant.logs import REQUESTS, request_id
from assistant.observed import Observed, door_of


@pytest.fixture
def seen():
    return []


@pytest.fixture
def client(seen):
    def fails(request):
        raise RuntimeError("canary")

    def well(request):
        return PlainTextResponse(request_id.get())

    routes = [Route("/v1/well", well), Route("/fails", fails)]
    observed = Observed(Starlette(routes=routes), lambda *said: seen.append(said))
    return TestClient(observed, raise_server_exceptions=False)


def test_each_request_has_a_number_of_its_own(client, seen):
    first, second = client.get("/v1/well"), client.get("/v1/well")
    assert first.text == first.headers["x-request-id"] != second.text
    assert seen == [("v1", "GET", 200)] * 2
    assert request_id.get() == ""


def test_what_is_not_there_and_what_fails_is_counted(client, seen, caplog):
    caplog.set_level(logging.INFO, logger=REQUESTS)  # its own level may be set by then
    client.get("/canary?canary")
    client.request("CANARY", "/admin/x")
    client.get("/fails")
    assert seen == [("page", "GET", 404), ("admin", "other", 404), ("page", "GET", 500)]
    fields = [record.fields for record in caplog.records if record.name == "assistant.requests"]
    assert [one["status"] for one in fields] == [404, 404, 500]
    assert "canary" not in json.dumps(fields).lower()


@pytest.mark.parametrize(
    "path, door",
    [("/", "page"), ("", "page"), ("*", "page"), ("/v1", "v1"), ("/metrics", "metrics")],
)
def test_doors(path, door):
    assert door_of(path) == door
