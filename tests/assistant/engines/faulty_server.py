"""An OpenAI-compatible server that is at fault in a chosen way: for tests, over real TCP."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from assistant.engines.remote_place import RemotePlace

WORDS = ["One ", "two ", "three ", "four."]


class FaultyServer(ThreadingHTTPServer):
    """`fault` is what it does when it is asked for a reply; without one it counts to four."""

    daemon_threads = True
    fault = ""
    asked = 0

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.over = threading.Event()

    @property
    def place(self) -> RemotePlace:
        return RemotePlace(f"http://127.0.0.1:{self.server_port}", timeout=1.0)


class _Handler(BaseHTTPRequestHandler):
    server: FaultyServer

    def do_GET(self):
        if self.path == "/v1/models":
            self.say(200, json.dumps({"data": [{"id": "counter"}]}))
        else:
            self.say(404, '{"detail": "Not Found"}')

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/completions":
            self.server.asked += 1
            getattr(self, self.server.fault or "well")()
        else:
            self.say(404, '{"detail": "Not Found"}')

    def well(self):
        self.begin()
        for word in WORDS:
            self.event(word)
        self.event("", "stop")
        self.wfile.write(b"data: [DONE]\n\n")

    def goes_on(self):
        self.begin()
        while not self.server.over.wait(0.05):
            self.event("word ")

    def hangs(self):
        self.server.over.wait(20)

    def hangs_after_two_words(self):
        self.begin()
        self.event(WORDS[0])
        self.event(WORDS[1])
        self.server.over.wait(20)

    def dies_after_two_words(self):
        self.begin()
        self.event(WORDS[0])
        self.event(WORDS[1])

    def fails(self):
        self.say(500, '{"error": {"message": "out of memory"}}')

    def is_busy_once(self):
        if self.server.asked > 1:
            self.well()
        else:
            self.say(429, "slow down", retry_after="0")

    def is_busy_for_long(self):
        self.say(503, "slow down", retry_after="3600")

    def says_rubbish(self):
        self.begin()
        self.wfile.write(b"data: {{{\n\n")

    def says_other_things(self):
        self.begin()
        self.wfile.write(b'data: {"choices": [{"delta": {"content": "hello"}}]}\n\n')

    def says_a_page(self):
        self.say(200, "<html>Welcome</html>")

    def tells_an_error(self):
        self.begin()
        self.event(WORDS[0])
        self.wfile.write(b'data: {"error": {"message": "the engine died"}}\n\n')

    def begin(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()

    def event(self, text, reason=None):
        choice = {"index": 0, "text": text, "finish_reason": reason}
        self.wfile.write(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())

    def say(self, status, text, retry_after=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        if retry_after is not None:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *given):
        """Nothing on the screen."""


@contextmanager
def faulty_server(port: int = 0) -> Iterator[FaultyServer]:
    """One that listens until the block ends."""
    with FaultyServer(port) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            serving.join()
