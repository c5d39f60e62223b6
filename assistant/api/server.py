"""The API as one application, to be mounted at `/v1`."""

from contextlib import closing
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse

from assistant.api.chat import chat_routes
from assistant.api.door import KeyDoor, KeyRing
from assistant.api.errors import ApiError, as_api_error, error_response
from assistant.api.feedback import feedback_routes
from assistant.api.models import list_models
from assistant.api.page import api_page
from assistant.app import App
from storage.errors import ApprenticeError


def build_api(app: App, ring: KeyRing) -> FastAPI:
    """Every route of the API behind the door that wants a key, errors in OpenAI's shape."""
    api = FastAPI(
        title="Apprentice",
        version="1",
        docs_url=None,
        redoc_url=None,
        # the door checks the key; this tells the OpenAPI page so
        dependencies=[Depends(HTTPBearer(auto_error=False, description="An API key"))],
    )
    api.add_middleware(KeyDoor, ring=ring)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _http)
    for kind in (ApiError, ApprenticeError, Exception):
        api.add_exception_handler(kind, lambda request, error: error_response(as_api_error(error)))
    api.include_router(chat_routes(app))
    api.include_router(feedback_routes(app))
    _model_routes(app, api)

    @api.get("/docs", include_in_schema=False)
    def explained(request: Request) -> HTMLResponse:
        return api_page(api.openapi(), f"{request.base_url}v1")

    return api


def _model_routes(app: App, api: FastAPI) -> None:
    @api.get("/models", summary="List what may be asked")
    def list_all(request: Request) -> dict[str, Any]:
        """The workspaces of this key, and their adapters as `workspace@adapter`."""
        with closing(app.db()) as db:
            return {"object": "list", "data": list_models(db, request.scope["key"])}

    @api.get("/models/{model}", summary="One of them")
    def retrieve(request: Request, model: str) -> dict[str, Any]:
        """404 for one that this key may not ask."""
        with closing(app.db()) as db:
            known = {item["id"]: item for item in list_models(db, request.scope["key"])}
        if model not in known:
            said = f"There is no model {model[:100]!r} for this key: GET /v1/models lists them."
            raise ApiError(404, said, code="model_not_found", param="model")
        return known[model]


def _invalid(request: Request, error: Exception) -> JSONResponse:
    """The first of what is wrong with a body, with where it is."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return error_response(ApiError(400, "The body is not JSON."))
    where = ".".join(str(step) for step in first["loc"][1:])
    said = f"{where or 'The body'}: {first['msg']}."
    return error_response(ApiError(400, said, param=where or None))


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    said = {
        404: "There is no such address: see /v1/docs for those there are.",
        405: f"This address takes no {request.method}: see /v1/docs.",
    }.get(error.status_code, error.detail)
    return error_response(ApiError(error.status_code, said))
