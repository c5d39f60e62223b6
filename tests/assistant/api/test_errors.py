"""What an error of the house becomes."""

import pytest

from assistant.api.errors import FAULT, ApiError, as_api_error, error_body, error_response
from assistant.engines.protocol import EngineFailed
from storage.database import DatabaseBusy
from storage.errors import BadInput, NotFound, Refused


@pytest.mark.parametrize(
    "error, status, kind",
    [
        (BadInput("x"), 400, "invalid_request_error"),
        (NotFound("x"), 404, "invalid_request_error"),
        (Refused("x"), 409, "invalid_request_error"),
        (DatabaseBusy("x"), 503, "server_error"),
        (EngineFailed("x"), 503, "server_error"),
        (ApiError(429, "x", wait_s=0.2), 429, "rate_limit_error"),
    ],
)
def test_each_error_has_its_status_and_type(error, status, kind):
    meant = as_api_error(error)
    assert (meant.status, str(meant)) == (status, "x")
    assert error_body(meant)["error"]["type"] == kind
    assert ("retry-after" in error_response(meant).headers) == (status in (429, 503))


def test_a_fault_of_ours_tells_nothing_of_itself():
    meant = as_api_error(ValueError("a secret"))
    assert (meant.status, str(meant)) == (500, FAULT)
