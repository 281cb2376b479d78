"""git repositories served on loopback: by git's own daemon, by its program behind HTTP, and as files alone."""

from __future__ import annotations

import base64
import http.server
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_WHO = {f"GIT_{role}_{what}": "a@b.c" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
COMMITTED_S = 1_600_000_000


def git(directory: Path, *words: str) -> str:
    """What git prints."""
    dates = {"GIT_AUTHOR_DATE": f"{COMMITTED_S} +0000", "GIT_COMMITTER_DATE": f"{COMMITTED_S} +0000"}
    env = {"PATH": os.defpath, "HOME": "/nonexistent", **_WHO, **dates}
    done = subprocess.run(["git", "-C", directory, *words], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def make_repository(path: Path) -> list[str]:
    """A repository at `path` with two commits and a tag on the first one; their numbers."""
    (path / "sub").mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    commits = []
    for text in ("one\n", "two\n"):
        (path / "file").write_text(text)
        (path / "sub/Dockerfile").write_text(f"FROM busybox\nCOPY . /made/\nRUN echo {text.strip()} > /which\n")
        (path / "sub/run").write_text("#!/bin/sh\n")
        (path / "sub/run").chmod(0o755)
        git(path, "add", ".")
        git(path, "commit", "-q", "-m", text.strip())
        commits.append(git(path, "rev-parse", "HEAD"))
    git(path, "tag", "first", commits[0])
    git(path, "update-server-info")
    return commits


@contextmanager
def daemon(root: Path) -> Iterator[str]:
    """git daemon for everything below `root`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(subprocess.check_output(["git", "--exec-path"], text=True).strip()) / "git-daemon"
    command = [program, "--export-all", "--listen=127.0.0.1", f"--port={port}", f"--base-path={root}", str(root)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={"PATH": os.defpath, "HOME": "/nonexistent"})
    try:
        _wait_for(port)
        yield f"git://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, "git daemon does not answer"
        time.sleep(0.02)


@contextmanager
def over_http(root: Path, *, is_smart: bool, login: str = "") -> Iterator[str]:
    """An HTTP server for everything below `root`, which speaks git's protocol, or gives files.

    One that speaks it answers only who has the `login`, `user:password`, if there is one.
    """
    authorization = f"Basic {base64.b64encode(login.encode()).decode()}" if login else None

    class Files(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *words: object) -> None:
            super().__init__(*words, directory=str(root))  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    class Smart(Files):
        def do_GET(self) -> None:
            self._backend(b"")

        def do_POST(self) -> None:
            self._backend(self.rfile.read(int(self.headers["Content-Length"])))

        def _backend(self, body: bytes) -> None:
            if authorization and self.headers.get("Authorization") != authorization:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            path, _, query = self.path.partition("?")
            env = {
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "PATH": os.defpath,
            }
            answer = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=True)
            head, _, content = answer.stdout.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(fields.pop("Status", "200 OK").split()[0]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Smart if is_smart else Files) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
