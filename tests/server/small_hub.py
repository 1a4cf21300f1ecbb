"""A small hub on this machine, with as much of the API as huggingface_hub's `snapshot_download` uses.

It can be gated, be cut off in the middle of a file, and be slow; it notes what it was asked for.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

_INFO = re.compile(r"/api/models/([^/]+/[^/]+)/revision/([^/?]+)")
_TREE = re.compile(r"/api/models/([^/]+/[^/]+)/tree/([^/?]+)")
_FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/([^?]+)")


def commit_of(revision: str) -> str:
    return hashlib.sha1(revision.encode()).hexdigest()


@dataclass
class SmallHub:
    """`models` holds the files of each repository by name and revision."""

    models: dict[str, dict[str, Mapping[str, bytes]]] = field(default_factory=dict)
    gated_for: str | None = None  # the key that may read files
    cut_after: dict[str, int] = field(default_factory=dict)  # bytes, once a file
    held: dict[str, Event] = field(default_factory=dict)  # files whose second half waits
    halfway: Event = field(default_factory=Event)
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # files, with the range
    url: str = ""

    def files(self, repo: str, revision: str) -> Mapping[str, bytes] | None:
        revisions = self.models.get(repo, {})
        by_commit = {commit_of(name): files for name, files in revisions.items()}
        return revisions.get(revision, by_commit.get(revision))

    def commit(self, repo: str, revision: str) -> str:
        return commit_of(revision) if revision in self.models[repo] else revision


@contextmanager
def running_hub(hub: SmallHub) -> Iterator[SmallHub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            for pattern, act in ((_INFO, self.info), (_TREE, self.tree)):
                if found := pattern.match(self.path):
                    act(found[1], found[2])
                    return
            if found := _FILE.match(self.path):
                self.file(found[1], found[2], found[3], body)
            else:
                self.refuse(404, "EntryNotFound")

        def info(self, repo: str, revision: str) -> None:
            files = hub.files(repo, revision)
            if files is None:
                self.refuse(404, "RevisionNotFound" if repo in hub.models else "RepoNotFound")
                return
            siblings = [
                {"rfilename": name, "size": len(content), "blobId": hashlib.sha1(content).hexdigest()}
                for name, content in files.items()
            ]
            self.send_json({"id": repo, "sha": hub.commit(repo, revision), "siblings": siblings})

        def tree(self, repo: str, revision: str) -> None:
            files = hub.files(repo, revision)
            assert files is not None
            self.send_json(
                [
                    {
                        "type": "file",
                        "path": name,
                        "size": len(content),
                        "oid": hashlib.sha1(content).hexdigest(),
                    }
                    for name, content in files.items()
                ]
            )

        def file(self, repo: str, revision: str, name: str, body: bool) -> None:
            content = (hub.files(repo, revision) or {}).get(name)
            if content is None:
                self.refuse(404, "EntryNotFound")
                return
            if hub.gated_for is not None and self.headers.get("Authorization") != f"Bearer {hub.gated_for}":
                self.refuse(401, "GatedRepo")
                return
            asked = self.headers.get("Range")
            start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
            rest = content[start:]
            self.send_response(206 if asked else 200)
            self.send_header("X-Repo-Commit", hub.commit(repo, revision))
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(rest)))
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if not body:
                return
            hub.asked.append((name, asked))
            self.send_body(name, rest)

        def send_body(self, name: str, rest: bytes) -> None:
            cut = hub.cut_after.pop(name, None)
            if cut is not None:
                self.wfile.write(rest[:cut])
                self.close_connection = True
                return
            half = len(rest) // 2
            self.wfile.write(rest[:half])
            if name in hub.held:
                self.wfile.flush()
                hub.halfway.set()
                hub.held[name].wait(60)
            self.wfile.write(rest[half:])

        def refuse(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("X-Error-Message", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def send_json(self, content: object) -> None:
            text = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # a client that was stopped

    server = Server(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        for event in hub.held.values():
            event.set()
        server.shutdown()
        server.server_close()
        thread.join()
