"""A Hugging Face hub in memory: what its library asks to make a model, to put files there in a commit and to get them.

Files of tensors travel as Git LFS, which is what a client without xet does; errors say what they are in X-Error-Code.
"""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_right"
LARGE = (".safetensors", ".onnx")
NAME, REVISION = r"(?P<name>[^/]+/[^/]+)", r"(?P<revision>[^/]+)"


@dataclass
class Reply:
    """What the hub answers."""

    status: int = 200
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def told(facts: dict[str, Any]) -> Reply:
    return Reply(200, json.dumps(facts).encode(), {"Content-Type": "application/json"})


def refused(status: int, code: str, words: str) -> Reply:
    return Reply(status, json.dumps({"error": words}).encode(), {"X-Error-Code": code, "X-Error-Message": words})


@dataclass
class Model:
    """A repository: its commits, the last one last, each with all of its files."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    @property
    def files(self) -> dict[str, bytes]:
        """Those of the last commit."""
        return self.commits[self.head]

    def sha_of(self, revision: str | None) -> str | None:
        """None where there is no such revision."""
        if revision in (None, "main"):
            return self.head
        return revision if revision in self.commits else None

    def add(self, files: dict[str, bytes]) -> str:
        sha = hashlib.sha1(f"{len(self.commits)} {sorted(files)}".encode()).hexdigest()
        self.commits[sha] = files
        return sha


class FakeHub:
    """Used as a context manager; `url` is what HF_ENDPOINT is to be, `models` what it has."""

    def __init__(self) -> None:
        self.models: dict[str, Model] = {}
        self.large: dict[str, bytes] = {}
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "FakeHub":
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, method: str, path: str, body: bytes, token: str | None) -> Reply:
        if token not in (None, f"Bearer {TOKEN}"):
            return refused(401, "Unauthorized", "Invalid username or password.")
        for wanted, pattern, answer in ROUTES:
            if method in wanted.split() and (match := re.fullmatch(pattern, path)):
                found = self.models.get(match.groupdict().get("name", ""))
                if "name" in match.groupdict() and (found is None or (found.private and token is None)):
                    return refused(404 if token else 401, "RepoNotFound", "Repository not found")
                return answer(self, body=body, signed=token is not None, **match.groupdict())
        return refused(404, "NotFound", f"{method} {path}")

    def create(self, *, body: bytes, signed: bool) -> Reply:
        asked = json.loads(body)
        name = f"{asked.get('organization') or 'tester'}/{asked['name']}"
        if not signed:
            return refused(401, "Unauthorized", "Invalid username or password.")
        if name in self.models:
            taken = {"error": "You already created this model repo", "url": f"{self.url}/{name}"}
            return Reply(409, json.dumps(taken).encode())
        self.models[name] = Model(asked.get("private") or asked.get("visibility") == "private")
        self.models[name].add({".gitattributes": b""})
        return told({"url": f"{self.url}/{name}", "name": name})

    def card(self, *, body: bytes, signed: bool) -> Reply:
        return told({"errors": [], "warnings": []})

    def planned(self, *, body: bytes, signed: bool, name: str, revision: str) -> Reply:
        """How each file is to come."""
        paths = [file["path"] for file in json.loads(body)["files"]]
        modes = [("lfs" if path.endswith(LARGE) else "regular") for path in paths]
        pairs = zip(paths, modes, strict=True)
        return told({"files": [{"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in pairs]})

    def large_ones(self, *, body: bytes, signed: bool, name: str) -> Reply:
        """Where large files are to go, those that are not there yet."""
        found = []
        for each in json.loads(body)["objects"]:
            actions = {"upload": {"href": f"{self.url}/large/{each['oid']}"}}
            found.append(each | ({} if each["oid"] in self.large else {"actions": actions}))
        return told({"transfer": "basic", "objects": found})

    def put(self, *, body: bytes, signed: bool, oid: str) -> Reply:
        if hashlib.sha256(body).hexdigest() != oid:
            return Reply(400)
        self.large[oid] = body
        return Reply()

    def commit(self, *, body: bytes, signed: bool, name: str, revision: str) -> Reply:
        if not signed:
            return refused(401, "Unauthorized", "Invalid username or password.")
        files = dict(self.models[name].files)
        for line in body.splitlines():
            item = json.loads(line)
            if item["key"] == "file":
                files[item["value"]["path"]] = base64.b64decode(item["value"]["content"])
            elif item["key"] == "lfsFile":
                files[item["value"]["path"]] = self.large[item["value"]["oid"]]
        sha = self.models[name].add(files)
        return told({"success": True, "commitOid": sha, "commitUrl": f"{self.url}/{name}/commit/{sha}"})

    def facts(self, *, body: bytes, signed: bool, name: str, revision: str | None) -> Reply:
        model = self.models[name]
        if (sha := model.sha_of(revision)) is None:
            return refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        siblings = [{"rfilename": path} for path in sorted(model.commits[sha])]
        return told({"id": name, "sha": sha, "private": model.private, "siblings": siblings, "tags": []})

    def file(self, *, body: bytes, signed: bool, name: str, revision: str, path: str) -> Reply:
        if (sha := self.models[name].sha_of(revision)) is None:
            return refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if path not in (files := self.models[name].commits[sha]):
            return refused(404, "EntryNotFound", "Entry not found")
        etag = f'"{hashlib.sha256(files[path]).hexdigest()}"'
        return Reply(200, files[path], {"X-Repo-Commit": sha, "ETag": etag})


ROUTES: list[tuple[str, str, Any]] = [
    ("POST", "/api/repos/create", FakeHub.create),
    ("POST", "/api/validate-yaml", FakeHub.card),
    ("POST", f"/api/models/{NAME}/preupload/{REVISION}", FakeHub.planned),
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch", FakeHub.large_ones),
    ("PUT", "/large/(?P<oid>[0-9a-f]{64})", FakeHub.put),
    ("POST", f"/api/models/{NAME}/commit/{REVISION}", FakeHub.commit),
    ("GET", f"/api/models/{NAME}(?:/revision/{REVISION})?", FakeHub.facts),
    ("GET HEAD", f"/{NAME}/resolve/{REVISION}/(?P<path>.+)", FakeHub.file),
]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: FakeHub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is said."""

    def answer(self) -> None:
        path, body = unquote(urlsplit(self.path).path), self._body()
        reply = self.server.hub.answer(self.command, path, body, self.headers.get("Authorization"))
        self.send_response(reply.status)
        for key, value in (reply.headers | {"Content-Length": str(len(reply.content))}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.content)

    do_GET = do_HEAD = do_POST = do_PUT = answer

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)
