"""The API's own description: for programs and for people, to anybody, from here alone."""

import re

import httpx

ROUTES = {"/chat/completions", "/feedback", "/models", "/models/{model}"}


def test_the_document_is_of_the_api_alone(service):
    document = httpx.get(f"{service.url}/v1/openapi.json").json()
    assert set(document["paths"]) == ROUTES
    assert document["servers"] == [{"url": "/v1"}]
    [scheme] = document["components"]["securitySchemes"].values()
    assert scheme["scheme"] == "bearer"
    for path in ("/openapi.json", "/docs", "/v1/redoc"):
        assert httpx.get(service.url + path).status_code in (401, 404)


def test_the_page_names_every_route_and_field_and_fetches_nothing(service):
    answer = httpx.get(f"{service.url}/v1/docs")
    assert answer.status_code == 200 and "<script" not in answer.text
    for route in ROUTES:
        assert f"/v1{route}" in answer.text
    assert "`" not in answer.text
    for field in ("max_completion_tokens", "idempotency_key", "correction"):
        assert f"<code>{field}</code>" in answer.text
    assert f"curl {service.url}/v1/chat/completions" in answer.text
    assert all(
        address.startswith("/") for address in re.findall(r'(?:src|href)="([^"]*)"', answer.text)
    )
