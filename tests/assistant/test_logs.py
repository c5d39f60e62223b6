"""What the server writes down: JSON on request, and never what somebody wrote."""

import io
import json
import logging
from contextlib import ExitStack, closing

import httpx
import pytest
from fastapi import FastAPI

from assistant.api.door import KeyRing
from assistant.api.server import build_api
from assistant.app import App
from assistant.logs import REQUESTS, request_id, set_up_logs
from assistant.observed import Observed
from assistant.settings import Settings, read_settings
from storage.datadir import open_datadir
from storage.errors import BadInput
from storage.keys import create_key
from tests.serving import on_a_port

CANARY = "the heron of Ostrava"


@pytest.fixture
def lines():
    """Set up logging as the server does; gives what was written, and all is as before after it."""
    root, stream = logging.getLogger(), io.StringIO()
    names = ("assistant", REQUESTS)
    before = (root.handlers[:], root.level, [logging.getLogger(name).level for name in names])

    def begin(**settings):
        set_up_logs(Settings(**settings), stream)
        return stream

    yield begin
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    for name, level in zip(names, before[2], strict=True):
        logging.getLogger(name).setLevel(level)


def fail():
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        raise RuntimeError(f"because of {CANARY}") from error


def write_some():
    log = logging.getLogger("assistant.test")
    log.warning("round %d: %s", 3, BadInput("No such thing."))
    log.warning("it broke: %s", ValueError(CANARY))
    try:
        fail()
    except RuntimeError:
        log.exception("the reply failed")


@pytest.mark.parametrize("kind", ["text", "json"])
def test_an_unforeseen_error_is_told_without_its_text(lines, kind):
    written = lines(log=kind)
    write_some()
    said = written.getvalue()
    assert CANARY not in said
    assert "round 3: No such thing." in said and "it broke: ValueError" in said
    assert "RuntimeError" in said and "ValueError" in said and "in fail" in said


@pytest.mark.parametrize("kind", ["text", "json"])
def test_details_are_written_on_request(lines, kind):
    written = lines(log=kind, log_details=True)
    write_some()
    assert written.getvalue().count(CANARY) >= 3


def test_each_line_is_an_object_with_the_number_of_its_request(lines):
    written = lines(log="json")
    token = request_id.set("ab12")
    write_some()
    request_id.reset(token)
    logging.getLogger(REQUESTS).info("request", extra={"fields": {"door": "v1", "status": 200}})
    first, _, third, last = [json.loads(line) for line in written.getvalue().splitlines()]
    assert first["request"] == "ab12" and first["level"] == "warning"
    assert first["logger"] == "assistant.test" and first["at"].endswith("Z")
    assert third["error"] == "RuntimeError" and "in fail" in third["where"]
    assert last["status"] == 200 and "request" not in last


def test_lines_for_people_leave_out_requests_that_went_well(lines):
    written = lines()
    log = logging.getLogger(REQUESTS)
    log.info("request", extra={"fields": {"status": 200}})
    log.warning("request", extra={"fields": {"status": 500}})
    assert written.getvalue().count("\n") == 1 and "request status=500" in written.getvalue()


class BrokenApp(App):
    """Its engine fails, and says with which words."""

    def _open_engine(self):
        engine = super()._open_engine()

        class Broken:
            def __getattr__(self, name):
                return getattr(engine, name)

            def stream(self, *given):
                raise RuntimeError(f"cannot answer {CANARY}")

        return Broken()


@pytest.mark.parametrize("kind", [App, BrokenApp])
def test_no_log_quotes_a_question(lines, capfd, tmp_path, tiny_base, kind):
    written = lines(log="json")
    settings = read_settings(
        data=tmp_path / "own", base_model=str(tiny_base.folder), threads=1, context=512
    )
    with ExitStack() as stack:
        app = stack.enter_context(closing(kind(settings, open_datadir(settings.data))))
        with closing(app.db()) as db:
            key = create_key(db, "all", workspace_id=None, actor="test")[1]
        api = FastAPI()
        api.mount("/v1", build_api(app, KeyRing(app)))
        url = stack.enter_context(on_a_port(Observed(api, lambda *ended: None)))
        client = stack.enter_context(
            httpx.Client(
                base_url=url,
                headers={"Authorization": f"Bearer {key}"},
                timeout=60,
                limits=httpx.Limits(max_keepalive_connections=0),
            )
        )

        def ask(content, **more):
            said = [{"role": "user", "content": content}]
            body = {"model": "default", "messages": said, "max_tokens": 4, **more}
            return client.post("/v1/chat/completions", json=body).status_code

        assert ask(CANARY) == (200 if kind is App else 500)
        ask(CANARY, stream=True)
        assert ask(f"{CANARY} " * 400) == 400
        assert ask(CANARY, model=CANARY) == 404
        assert ask(CANARY, tools=[CANARY]) == 400
        assert client.post("/v1/feedback", json={"message_id": CANARY}).status_code == 404
        assert client.get(f"/v1/{CANARY}?q={CANARY}").status_code == 404
        client.get(f"/{CANARY}")
    said = written.getvalue()
    numbers = [json.loads(line).get("request") for line in said.splitlines()]
    assert len(set(filter(None, numbers))) >= 8
    assert ("RuntimeError" in said) == (kind is BrokenApp)
    out, err = capfd.readouterr()
    for text in (said, out, err):
        assert CANARY not in text and CANARY.replace(" ", "%20") not in text


@pytest.mark.parametrize("kind", ["text", "json"])
@pytest.mark.parametrize(
    "name", ["a\nERROR all is lost", "a\r\x1b[2K", "a\u2028", "a\ud800", "a\0"]
)
def test_a_name_makes_no_second_line(lines, kind, name):
    """Nor moves a terminal's cursor; half a character could not be written at all."""
    stream = lines(log=kind)
    logging.getLogger("assistant").error("the user %s is no %s", name, BadInput(name))
    said = stream.getvalue()
    assert len(said.splitlines()) == 1 and said.encode()
    assert said.removesuffix("\n").isprintable() and "is no a" in said
