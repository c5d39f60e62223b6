"""Which request goes to which cell, by nginx itself where it is installed."""

import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from assistant.router_config import Routed, nginx_config
from storage.errors import BadInput

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def routed(name: str, server: str, *workspaces: str, keys: tuple[str, ...] = ()) -> Routed:
    return Routed(name, server, workspaces, keys)


def test_one_workspace_in_two_cells_is_refused():
    cells = [routed("a", "h:1", "shop"), routed("b", "h:2", "shop")]
    with pytest.raises(BadInput, match="'a' and 'b' both have a workspace 'shop'"):
        nginx_config(cells, domain="chat.example.com")


@pytest.mark.parametrize("domain", ["", "a b", "a;b", "A.b", "a.b}", '"'])
def test_a_domain_is_no_configuration(domain):
    with pytest.raises(BadInput, match="is no domain"):
        nginx_config([routed("a", "h:1")], domain=domain)


def test_what_is_listened_on_is_no_configuration():
    with pytest.raises(BadInput, match="nothing to listen on"):
        nginx_config([routed("a", "h:1")], domain="a.b", listen="80; include /etc/passwd")
    with pytest.raises(BadInput, match="no cell to send"):
        nginx_config([], domain="a.b")


class Tells(BaseHTTPRequestHandler):
    """Says which server it is and what it was asked for."""

    def do_GET(self) -> None:
        said = f"{self.server.server_port} {self.headers['Host']} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def server():
    made = ThreadingHTTPServer(("127.0.0.1", 0), Tells)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    try:
        yield made.server_port
    finally:
        made.shutdown()
        made.server_close()


@contextmanager
def nginx(folder, text: str, port: int):
    """nginx with this file included, as long as the block runs."""
    from tests.nginx import start_nginx

    with start_nginx(folder, text, port) as running:
        yield running


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_each_request_goes_to_its_cell(tmp_path):
    port = free_port()
    with server() as one, server() as two:
        cells = [
            routed("a", f"127.0.0.1:{one}", "shop", "a_b", keys=("embed_A-key_1",)),
            routed("b", f"127.0.0.1:{two}", "sales", keys=("embed_B-key_2",)),
        ]
        text = nginx_config(cells, domain="chat.test", listen=f"127.0.0.1:{port}")
        with nginx(tmp_path, text, port) as reload, httpx.Client() as http:

            def asked(host: str, path: str) -> tuple[int, str]:
                url = f"http://127.0.0.1:{port}{path}"
                found = http.get(url, headers={"Host": host})
                return found.status_code, found.text

            for host, path, cell, reached in (
                ("shop.chat.test", "/", one, "/?workspace=shop"),
                ("a_b.chat.test", "/", one, "/?workspace=a_b"),
                ("sales.chat.test", "/?workspace=other", two, "/?workspace=other"),
                ("sales.chat.test", "/?x=1", two, "/?workspace=sales"),
                ("sales.chat.test", "/v1/models?a=b", two, "/v1/models?a=b"),
                ("b.cells.chat.test", "/admin/", two, "/admin/"),
                ("chat.test", "/embed/embed_B-key_2", two, "/embed/embed_B-key_2"),
                ("shop.chat.test", "/embed/embed_B-key_2/ask", two, "/embed/embed_B-key_2/ask"),
                ("chat.test", "/embed/embed_A-key_1/avatar", one, "/embed/embed_A-key_1/avatar"),
                ("chat.test", "/widget.js", one, "/widget.js"),
                ("chat.test", "/ui/panel.css", one, "/ui/panel.css"),
                ("sales.chat.test", "/ui/page.css", two, "/ui/page.css"),
            ):
                said = asked(host, path)
                assert said == (200, f"{cell} {host} {reached}"), (host, path)
            for host, path in (
                ("unknown.chat.test", "/"),
                ("chat.test", "/v1/models"),
                ("chat.test", "/admin/"),
                ("shop.chat.test", "/embed/embed_C"),
            ):
                assert asked(host, path)[0] == 404, (host, path)
            swapped = [routed("a", f"127.0.0.1:{one}"), routed("b", cells[1].server, "shop")]
            reload(nginx_config(swapped, domain="chat.test", listen=f"127.0.0.1:{port}"))
            end = time.monotonic() + 5
            while not asked("shop.chat.test", "/")[1].startswith(str(two)):
                assert time.monotonic() < end
                time.sleep(0.02)


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_nginx_takes_ten_thousand_workspaces(tmp_path):
    cells = [
        routed(
            f"c{n}",
            f"127.0.0.1:{2000 + n}",
            *(f"w{n}-{m}" for m in range(100)),
            keys=tuple(f"embed_{n}-{m}-{'x' * 36}" for m in range(100)),
        )
        for n in range(100)
    ]
    text = nginx_config(cells, domain="chat.test", listen="127.0.0.1:1")
    from tests.nginx import configuration

    place = configuration(tmp_path, text)
    done = subprocess.run([NGINX, "-t", "-p", tmp_path, "-c", place], capture_output=True)
    assert done.returncode == 0, done.stderr
