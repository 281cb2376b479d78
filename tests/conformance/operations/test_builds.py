"""The classic builder's one operation, parameter by parameter."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.operations.proofs import Api, proves
from tests.kernel.image.trees import file, layer

BUILD = "/build"


class Site(http.server.BaseHTTPRequestHandler):
    """Serves a context, and a Dockerfile alone."""

    def do_GET(self) -> None:
        """Either of them."""
        alone = b"FROM busybox\nRUN echo alone > /from\n"
        body = context(Dockerfile="FROM busybox\nCOPY one /from\n", one="archive") if "tar" in self.path else alone
        self.send_response(200)
        self.send_header("Content-Type", "application/x-tar" if "tar" in self.path else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def site() -> Iterator[str]:
    """The address of such a server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def context(**files: str) -> bytes:
    """A context of these files."""
    return layer(*(file(name, text.encode()) for name, text in files.items()))


def build(api: Api, body: bytes, **query: Any) -> tuple[str, str]:
    """The text that a build prints, and its error."""
    answer = api.ask("POST", BUILD, body=body, headers={"Content-Type": "application/x-tar"}, **query)
    assert answer.status == 200, answer.body
    told = [json.loads(line) for line in answer.body.splitlines()]
    return "".join(line.get("stream", "") for line in told), "".join(line.get("error", "") for line in told)


def taken(api: Api, image: str) -> dict[str, Any]:
    """What the image is; it is removed."""
    shown: dict[str, Any] = api.ok("GET", "/images/{name}/json", image)
    api.ok("DELETE", "/images/{name}", image, force=True)
    return shown


LIMITS = {
    "memory": 64 << 20,
    "memswap": -1,
    "cpushares": 512,
    "cpusetcpus": "0",
    "cpuperiod": 100000,
    "cpuquota": 50000,
}


@proves(
    "ImageBuild",
    "body dockerfile t q buildargs labels target networkmode extrahosts nocache pull rm forcerm platform cachefrom"
    " memory memswap cpushares cpusetcpus cpuperiod cpuquota shmsize",
    statuses="200",
)
def test_build_takes_what_is_asked_of_it(api: Api) -> None:
    """Arguments, labels, the stage, the limits and the names of its commands' world reach the image."""
    look = "grep -q some.host /etc/hosts && [ $(ls /sys/class/net | wc -l) = 1 ] && df -k /dev/shm | grep -qw 2048"
    text = f"FROM busybox AS one\nARG WHO\nRUN {look}\nENV A=$WHO\nFROM one\nRUN false\n"
    query: dict[str, Any] = {
        "dockerfile": "other",
        "t": "made:1",
        "buildargs": {"WHO": "me"},
        "labels": {"k": "v"},
        "target": "one",
        "networkmode": "none",
        "extrahosts": "some.host:10.0.0.1",
        "shmsize": 2 << 20,
        "platform": "linux/amd64",
        "nocache": True,
        "rm": True,
        "forcerm": True,
        "pull": False,
        "cachefrom": json.dumps(["busybox"]),
    }
    query |= LIMITS
    printed, error = build(api, context(other=text), **query)
    assert error == "", printed
    assert "Successfully tagged made:1" in printed
    config = taken(api, "made:1")["Config"]
    assert config["Labels"]["k"] == "v"
    assert "A=me" in config["Env"]
    quiet, _ = build(api, context(Dockerfile="FROM busybox\nLABEL a=b\n"), q=True, t="made:2")
    assert quiet.startswith("sha256:")
    assert taken(api, "made:2")["Id"] == quiet.strip()


@proves("ImageBuild", "remote", statuses="200")
def test_build_of_what_an_address_has(api: Api, site: str) -> None:
    """A Dockerfile alone, or an archive."""
    for path in ("Dockerfile", "context.tar"):
        printed, error = build(api, b"", remote=f"{site}/{path}", t="made:3")
        assert error == "", printed
        taken(api, "made:3")


@proves("ImageBuild", "squash outputs version", statuses="400")
def test_build_refuses_what_it_does_not_do(api: Api) -> None:
    """What the classic builder alone does not have, with a sentence; a bad file and a bad name are the client's."""
    body = context(Dockerfile="FROM busybox\n")
    for query in ({"squash": True}, {"outputs": json.dumps([{"Type": "local"}])}, {"builder_version": "2"}):
        assert api.refused("POST", BUILD, body=body, **query)[0] == 501
    assert api.refused("POST", BUILD, body=context(Dockerfile="FRO busybox\n"))[0] == 400
    assert api.refused("POST", BUILD, body=body, t="NO")[0] == 400
