"""A small server that speaks as much of the Hub's language as we use, on this machine.

Repositories of models and datasets (made, uploaded to, listed, downloaded, deleted, their large
files too), who a token belongs to, jobs (`hub_jobs.py`), and logging in by OpenID Connect.
"""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from tests.assistant.hub_jobs import Jobs

TOKEN = "hf_good"
LARGE = (".safetensors", ".gz")
"""What goes as a large file; the rest is in the commit."""
CLIENT = ("client-of-the-space", "its-secret")


class Hub(ThreadingHTTPServer):
    """Repositories with their files: a model's by its name, a dataset's with `datasets/` before it.

    `public` names those that everybody may read; `person` is who logs in at the authorize page.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[str, dict[str, bytes]] = {}
        self.tags: dict[str, set[str]] = {}
        self.public: set[str] = set()
        self.objects: dict[str, bytes] = {}
        self.calls: list[str] = []
        self.down = False
        self.person = {"sub": "1", "preferred_username": "ada"}
        self.codes: dict[str, dict[str, str]] = {}
        self.jobs = Jobs()

    @property
    def url(self) -> str:
        """Its HF_ENDPOINT and OPENID_PROVIDER_URL."""
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
        hub.jobs.stop()
        hub.shutdown()
        hub.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self._noted()
        path = unquote(urlsplit(self.path).path)
        if self.server.down:
            return self._say({"error": "The Hub is down"}, 503)
        if path == "/.well-known/openid-configuration":
            return self._say(
                {
                    "authorization_endpoint": f"{self.server.url}/oauth/authorize",
                    "token_endpoint": f"{self.server.url}/oauth/token",
                    "userinfo_endpoint": f"{self.server.url}/oauth/userinfo",
                }
            )
        if path == "/oauth/authorize":
            return self._authorize(parse_qs(urlsplit(self.path).query))
        if path == "/oauth/userinfo":
            return self._userinfo()
        if not self._known():
            return None
        if path == "/api/whoami-v2":
            access = {"auth": {"accessToken": {"role": "write"}}}
            return self._say({"type": "user", "name": "ada", **access})
        if path.startswith("/api/jobs/"):
            return self._job(path)
        repo, rest = self._repo_of(path)
        if repo not in self.server.repos:
            return self._say(
                {"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"}
            )
        return self._read(repo, rest)

    def do_DELETE(self):
        self._noted()
        asked = json.loads(self._body())
        if self.server.down:
            return self._say({"error": "The Hub is down"}, 503)
        if not self._known():
            return None
        assert self.path == "/api/repos/delete"
        repo = f"{asked['organization']}/{asked['name']}"
        repo = f"datasets/{repo}" if asked.get("type") == "dataset" else repo
        if self.server.repos.pop(repo, None) is None:
            missing = {"X-Error-Code": "RepoNotFound"}
            return self._say({"error": "Repository not found"}, 404, missing)
        return self._say({})

    def _job(self, path, spec=None):
        """One job: started (`spec`), looked at, its log followed, or cancelled."""
        owner, *rest = path.removeprefix("/api/jobs/").split("/")
        jobs = self.server.jobs
        if spec is not None:
            if jobs.refuses:
                return self._say({"error": jobs.refuses}, 402)
            return self._say(jobs.start(owner, spec).described())
        if rest[0] not in jobs.all:
            return self._say({"error": "Job not found"}, 404)
        job = jobs.all[rest[0]]
        if rest[1:] == ["cancel"]:
            job.cancel()
        elif rest[1:] == ["logs"]:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                jobs.stream(job, self._chunk, lambda: self.server.down)
                self._chunk(b"")
            except OSError:
                pass  # the reader left, or the stream was cut: amid a body, so it is noticed
            self.close_connection = True
            return None
        return self._say(job.described())

    def _chunk(self, content):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.flush()

    def _read(self, repo, rest):
        files = self.server.repos[repo]
        kind, *inside = rest.split("/")
        if kind == "tree":
            folder = "/".join(inside[1:])
            found = [self._described(repo, name) for name in sorted(files) if folder in name]
            missing = {"X-Error-Code": "EntryNotFound"}
            return self._say(found) if found else self._say({"error": "None"}, 404, missing)
        if kind == "lfs-files":
            return self._say(
                [
                    {
                        "fileOid": _oid(content),
                        "filename": name,
                        "oid": _oid(content),
                        "pushedAt": "2026-11-23T00:00:00.000Z",
                        "ref": "refs/heads/main",
                        "size": len(content),
                    }
                    for name, content in files.items()
                    if name.endswith(LARGE)
                ]
            )
        if kind == "resolve":
            if (name := "/".join(inside[1:])) not in files:
                return self._say({"error": "None"}, 404, {"X-Error-Code": "EntryNotFound"})
            content = files[name]
            more = {"X-Repo-Commit": "1" * 40, "ETag": f'"{_oid(content)}"'}
            return self._send(content, 200, {**more, "X-Linked-Size": str(len(content))})
        private = repo not in self.server.public
        name = repo.removeprefix("datasets/")
        return self._say({"id": name, "modelId": name, "private": private, "sha": "0" * 40})

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
        if self.server.down:
            return self._say({"error": "The Hub is down"}, 503)
        path = unquote(self.path.split("?")[0])
        if path == "/oauth/token":
            return self._token({key: one[0] for key, one in parse_qs(body.decode()).items()})
        if not self._known():
            return None
        if path == "/api/repos/create":
            return self._say(self._create(json.loads(body)))
        if path.startswith("/api/jobs/"):
            return self._job(path, None if path.endswith("/cancel") else json.loads(body))
        if path == "/api/validate-yaml":
            return self._say({"errors": [], "warnings": []})
        if path.endswith("/info/lfs/objects/batch"):
            return self._say({"transfer": "basic", "objects": self._batch(json.loads(body))})
        repo, rest = self._repo_of(path)
        return self._write(repo, rest, body)

    def _write(self, repo, rest, body):
        kind, _, inside = rest.partition("/")
        if kind == "preupload":
            files = [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if one["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                }
                for one in json.loads(body)["files"]
            ]
            self._say({"files": files})
        elif kind == "commit":
            self._commit(self.server.repos[repo], body.decode().splitlines())
            url = f"{self.server.url}/{repo}/commit/{'1' * 40}"
            self._say({"success": True, "commitOid": "1" * 40, "commitUrl": url})
        elif kind == "paths-info":
            asked = parse_qs(body.decode()).get("paths") or json.loads(body)["paths"]
            known = [name for name in asked if name in self.server.repos[repo]]
            self._say([self._described(repo, name) for name in known])
        elif kind == "tag":
            self.server.tags.setdefault(repo, set()).add(json.loads(body)["tag"])
            self._say({})
        elif rest == "lfs-files/batch":
            files = self.server.repos[repo]
            for oid in json.loads(body)["deletions"]["sha"]:
                for name in [name for name, one in files.items() if _oid(one) == oid]:
                    del files[name]
                self.server.objects.pop(oid, None)
            self._say({})
        else:
            self._say({"error": f"no such path {kind} {inside}"}, 404)

    def _repo_of(self, path):
        """The repository of an address under /api/ or of a download, and what follows its name."""
        parts = path.removeprefix("/api/").strip("/").split("/")
        if parts[0] in ("models", "datasets"):
            kind, parts = parts[0], parts[1:]
        else:
            kind = "models"
        name = "/".join(parts[:2])
        return (f"datasets/{name}" if kind == "datasets" else name), "/".join(parts[2:])

    def _described(self, repo, name):
        content = self.server.repos[repo][name]
        found = {"type": "file", "path": name, "size": len(content), "oid": "2" * 40}
        if name.endswith(LARGE):
            found["lfs"] = {"oid": _oid(content), "size": len(content), "pointerSize": 134}
        return found

    def _create(self, asked):
        owner = asked.get("organization") or "ada"
        repo = f"{owner}/{asked['name']}"
        if asked.get("type") == "dataset":
            repo = f"datasets/{repo}"
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

    # ---- logging in

    def _authorize(self, asked):
        """The person says yes at once; the code counts once and for this challenge."""
        given = {key: values[0] for key, values in asked.items()}
        assert given["response_type"] == "code" and given["client_id"] == CLIENT[0]
        code = f"code-{len(self.server.codes)}"
        self.server.codes[code] = given
        back = {"code": code, "state": given["state"]}
        self._send(b"", 302, {"Location": f"{given['redirect_uri']}?{urlencode(back)}"})

    def _token(self, given):
        asked = self.server.codes.pop(given.get("code"), None)
        key = base64.b64encode(":".join(CLIENT).encode()).decode()
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        right = (
            asked is not None
            and self.headers.get("Authorization") == f"Basic {key}"
            and given["grant_type"] == "authorization_code"
            and given["redirect_uri"] == asked["redirect_uri"]
            and challenge == asked["code_challenge"]
        )
        if not right:
            return self._say({"error": "invalid_grant"}, 400)
        return self._say({"access_token": "oauth-token", "token_type": "bearer"})

    def _userinfo(self):
        if self.headers.get("Authorization") != "Bearer oauth-token":
            return self._say({"error": "invalid_token"}, 401)
        return self._say(self.server.person)

    # ---- answers

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

    def _say(self, value, code=200, headers=None):
        content = json.dumps(value).encode()
        self._send(content, code, {"Content-Type": "application/json", **(headers or {})})

    def _send(self, content, code, headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _oid(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
