"""What goes wrong at the API, in the shape that the OpenAI clients know.

`{"error": {"message", "type", "param", "code"}}`; the status says which exception the client
raises (https://platform.openai.com/docs/guides/error-codes).
"""

from starlette.responses import JSONResponse

from assistant.withdrawals import Withdrawn
from storage.database import DatabaseBusy
from storage.errors import ApprenticeError, BadInput, Moving, NotFound, Refused
from storage.text import clean

FAULT = "An error at the server ended this answer; its log has the details."

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_STATUS: tuple[tuple[type[ApprenticeError], int], ...] = (
    (DatabaseBusy, 503),  # before Refused, which these three are too
    (Moving, 503),
    (Withdrawn, 403),
    (NotFound, 404),
    (BadInput, 400),
    (Refused, 409),
)


class ApiError(Exception):
    """A refusal with its status; `code` and `param` are for programs."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        wait_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.wait_s = wait_s
        """Seconds after which it is worth another try."""


def as_api_error(error: Exception) -> ApiError:
    """What an error of the house means to a client; any other is a fault of ours, 500."""
    if isinstance(error, ApiError):
        return error
    if not isinstance(error, ApprenticeError):
        return ApiError(500, FAULT)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 503)
    return ApiError(status, str(error), wait_s=1 if status == 503 else None)


def error_body(error: ApiError) -> dict[str, dict[str, str | None]]:
    """The error as JSON."""
    usual = "server_error" if error.status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": clean(str(error)),
            "type": _TYPES.get(error.status, usual),
            "param": clean(error.param) if error.param else None,
            "code": error.code,
        }
    }


def error_response(error: ApiError) -> JSONResponse:
    """The error as an answer."""
    headers = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.wait_s is not None:
        headers["Retry-After"] = str(max(1, round(error.wait_s)))
    return JSONResponse(error_body(error), error.status, headers)
