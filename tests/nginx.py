"""A real nginx with our configuration included, in a folder of its own."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin") or "nginx"
_MAIN = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/apprentice.conf;
}}
"""


def configuration(folder: Path, text: str) -> Path:
    """The main file, which includes ours."""
    (folder / "apprentice.conf").write_text(text)
    place = folder / "nginx.conf"
    place.write_text(_MAIN.format(folder=folder))
    return place


def reload_words(folder: Path) -> list[str]:
    """The command that has a running one read its files again."""
    return [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-s", "reload"]


@contextmanager
def start_nginx(folder: Path, text: str, port: int) -> Iterator[Callable[[str], None]]:
    """It listens on `port`; what is given takes another text and reloads."""
    place = configuration(folder, text)
    running = subprocess.Popen([NGINX, "-p", folder, "-c", place], stderr=subprocess.PIPE)
    try:
        _wait(running, port)

        def reload(new: str) -> None:
            (folder / "apprentice.conf").write_text(new)
            subprocess.run(reload_words(folder), check=True, capture_output=True)

        yield reload
    finally:
        running.terminate()
        running.wait(timeout=10)


def _wait(running: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if running.poll() is not None and running.stderr:
            raise AssertionError(running.stderr.read().decode())
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("nginx does not listen")
