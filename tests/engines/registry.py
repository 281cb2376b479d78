"""Debian's docker-registry on loopback: plain, with passwords, or with TLS; in the network of an engine if need be."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.engines.netns import in_network_of

REGISTRY = "docker-registry"
USER, PASSWORD = "ann", "s3cret"
# bcrypt of PASSWORD: the registry takes nothing else.
HTPASSWD = f"{USER}:$2b$04$QF4f/4DAmqNJ.58iBCkqaOlnkHevDyjjaIv2JILsnL17ahdtPOH9W\n"


def is_installed() -> bool:
    """Whether this machine has the registry."""
    return shutil.which(REGISTRY) is not None


class Registry:
    """One registry with its own storage, on a free port of 127.0.0.1. Use in a `with` block."""

    def __init__(
        self,
        *,
        network_of: int | None = None,
        htpasswd: str = "",
        tls: tuple[Path, Path] | None = None,
        client_authority: Path | None = None,
    ):
        """`tls` is a certificate and its key; with `client_authority` clients need one of its certificates."""
        self._network_of = network_of
        self._directory = Path(tempfile.mkdtemp(prefix="registry-"))
        self._tls = tls
        self._client_authority = client_authority
        self._htpasswd = htpasswd
        self.port = in_network_of(network_of, _free_port)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """What comes before the repository's name."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Registry:
        configuration: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self._directory / "data")}, "delete": {"enabled": True}},
            "http": {"addr": self.host},
        }
        if self._tls:
            configuration["http"]["tls"] = {"certificate": str(self._tls[0]), "key": str(self._tls[1])}
            if self._client_authority:
                configuration["http"]["tls"]["clientcas"] = [str(self._client_authority)]
        if self._htpasswd:
            (self._directory / "htpasswd").write_text(self._htpasswd)
            configuration["auth"] = {"htpasswd": {"realm": "tests", "path": str(self._directory / "htpasswd")}}
        (self._directory / "config.yml").write_text(json.dumps(configuration))  # JSON is YAML
        log = (self._directory / "log").open("wb")
        command = [REGISTRY, "serve", str(self._directory / "config.yml")]
        if self._network_of is not None:
            command = ["nsenter", "-n", "-t", str(self._network_of), *command]
        with log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _wait(self) -> None:
        """Until it listens."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                in_network_of(self._network_of, lambda: socket.create_connection(("127.0.0.1", self.port), 1)).close()
                return
            except OSError:
                assert self._process is not None
                assert self._process.poll() is None, (self._directory / "log").read_text()
                time.sleep(0.05)  # a process that is not ours to ask tells only by answering
        raise AssertionError((self._directory / "log").read_text())

    def get(self, path: str, accept: str = "*/*") -> tuple[int, bytes]:
        """The status and the body of a request for `/v2/` and `path`, made as a user."""
        scheme = "https" if self._tls else "http"
        request = urllib.request.Request(f"{scheme}://{self.host}/v2/{path}", headers={"Accept": accept})
        if self._htpasswd:
            request.add_header("Authorization", "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
        context = ssl._create_unverified_context() if self._tls else None

        def ask() -> tuple[int, bytes]:
            try:
                with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read()

        return in_network_of(self._network_of, ask)

    def storage_bytes(self) -> int:
        """What its storage holds."""
        return sum(path.stat().st_size for path in (self._directory / "data").rglob("data") if path.is_file())


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
