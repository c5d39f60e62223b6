"""A real website on this machine: pages by path, some of which can be changed while it runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Headers = dict[str, str]


@dataclass(frozen=True)
class Reply:
    """What one path answers."""

    body: bytes = b""
    status: int = 200
    headers: Headers = field(default_factory=lambda: {"Content-Type": "text/html; charset=utf-8"})


@dataclass
class Site:
    """Pages by path with query; `asked` is each request as (path, headers)."""

    address: str
    pages: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[str, Headers]] = field(default_factory=list)
    other: Callable[[str], Reply] = lambda path: Reply(b"not here", 404)
    """Answers the paths that have no page."""

    @property
    def host(self) -> str:
        return self.address.removeprefix("http://").removeprefix("https://")

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def put(self, path: str, body: str | bytes = b"", status: int = 200, **headers: str) -> None:
        """A page; a keyword such as `X_Robots_Tag` is a header."""
        data = body.encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = Reply(data, status, {"Content-Type": "text/html"} | named)

    def page(self, path: str, text: str, *links: str, head: str = "", **headers: str) -> None:
        """A page of HTML with a heading, a sentence and links."""
        leads = "".join(f'<a href="{link}">on</a> ' for link in links)
        self.put(
            path,
            f"<html><head><title>{text}</title>{head}</head><body><nav>Home News Jobs</nav>"
            f"<main><h1>{text}</h1><p>All about {text}.</p>{leads}</main></body></html>",
            **headers,
        )

    def redirect(self, path: str, to: str, status: int = 301) -> None:
        self.put(path, b"", status, Location=to)


class Server(ThreadingHTTPServer):
    """Silent about clients that leave early."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing on the terminal."""


@contextmanager
def website(certificate: Path | None = None) -> Iterator[Site]:
    """A site that answers until the block ends; over TLS with a certificate and its key."""
    site = Site("")
    server = Server(("127.0.0.1", 0), _handler(site))
    if certificate:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "https" if certificate else "http"
    site.address = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or each answer takes 40 ms

        def do_GET(self) -> None:
            site.asked.append((self.path, dict(self.headers)))
            reply = site.pages.get(self.path) or site.other(self.path)
            tag = reply.headers.get("ETag")
            same = tag is not None and self.headers.get("If-None-Match") == tag
            self.send_response(304 if same else reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            body = b"" if same else reply.body
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            """Nothing on the terminal."""

    return Handler
