"""A small server that speaks as much of the Hub's language as an upload needs, on this machine."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_good"


class Hub(ThreadingHTTPServer):
    """Repositories with their files; `public` names those that everybody may read."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[str, dict[str, bytes]] = {}
        self.public: set[str] = set()
        self.objects: dict[str, bytes] = {}
        self.calls: list[str] = []

    @property
    def url(self) -> str:
        """Its HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def running_hub():
    """A hub until the block ends."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._noted()
        repo = self.path.removeprefix("/api/models/").split("?")[0].removesuffix("/revision/main")
        if not self._known():
            return
        if repo not in self.server.repos:
            return self._say({"error": "Repository not found"}, 404, "RepoNotFound")
        private = repo not in self.server.public
        self._say({"id": repo, "modelId": repo, "private": private, "sha": "0" * 40})

    def do_PUT(self):
        self._noted()
        content = self._body()
        oid = self.path.rsplit("/", 1)[1]
        assert hashlib.sha256(content).hexdigest() == oid
        self.server.objects[oid] = content
        self._say({})

    def do_POST(self):
        self._noted()
        body = self._body()
        if not self._known():
            return
        path = self.path.split("?")[0]
        if path == "/api/repos/create":
            self._say(self._create(json.loads(body)))
        elif path == "/api/validate-yaml":
            self._say({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if one["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for one in json.loads(body)["files"]
            ]
            self._say({"files": files})
        elif path.endswith("/info/lfs/objects/batch"):
            self._say({"transfer": "basic", "objects": self._batch(json.loads(body))})
        elif "/commit/" in path:
            repo = path.removeprefix("/api/models/").split("/commit/")[0]
            self._commit(self.server.repos[repo], body.decode().splitlines())
            url = f"{self.server.url}/{repo}/commit/{'1' * 40}"
            self._say({"success": True, "commitOid": "1" * 40, "commitUrl": url})
        else:
            self._say({"error": f"no such path {path}"}, 404)

    def _create(self, asked):
        repo = f"{asked['organization']}/{asked['name']}"
        self.server.repos[repo] = {}
        if asked.get("visibility") != "private" and not asked.get("private"):
            self.server.public.add(repo)
        return {"url": f"{self.server.url}/{repo}", "name": repo}

    def _batch(self, asked):
        return [
            {
                **one,
                "authenticated": True,
                "actions": {"upload": {"href": f"{self.server.url}/objects/{one['oid']}"}},
            }
            for one in asked["objects"]
        ]

    def _commit(self, files, lines):
        for line in map(json.loads, lines):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.objects[value["oid"]]

    def _known(self):
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        self._say({"error": "Invalid credentials"}, 401)
        return False

    def _body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _noted(self):
        self.server.calls.append(f"{self.command} {self.path}")

    def _say(self, value, code=200, error=None):
        content = json.dumps(value).encode()
        self.send_response(code)
        if error:
            self.send_header("X-Error-Code", error)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
