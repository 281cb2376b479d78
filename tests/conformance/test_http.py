"""The API itself, byte by byte: versions, paths, headers, malformed requests. No client would send most of this."""

from __future__ import annotations

import json
import re
import socket

import pytest

from tests.conformance.differences import sentence
from tests.engines.engine import Engine


def test_ping_has_dockers_headers(engine: Engine) -> None:
    """GET and HEAD /_ping: OK, with the API version, the engine's kind and no caching."""
    got = engine.request("GET", "/_ping")
    assert (got.status, got.body) == (200, b"OK")
    assert got.headers["content-type"].startswith("text/plain")
    assert tuple(map(int, got.headers["api-version"].split("."))) >= (1, 41)
    assert got.headers["ostype"] == "linux"
    assert "docker-experimental" in got.headers
    assert "no-cache" in got.headers["cache-control"]
    head = engine.request("HEAD", "/_ping")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["api-version"] == got.headers["api-version"]


def test_every_reply_has_the_api_version(engine: Engine) -> None:
    """Errors carry it as well."""
    for target in ("/containers/json", "/containers/no-such/json"):
        assert "api-version" in engine.request("GET", target).headers


@pytest.mark.parametrize("version", ["v1.24", "v1.30", "v1.41"])
def test_versioned_paths_work(engine: Engine, version: str) -> None:
    """Old clients find their paths."""
    assert engine.request("GET", f"/{version}/containers/json").json == []
    assert engine.request("GET", f"/{version}/_ping").body == b"OK"
    assert engine.request("GET", f"/{version}/version").json["Os"] == "linux"


def test_version_out_of_reach_is_refused(engine: Engine) -> None:
    """A version above the engine's own, or older than any, is 400 with Docker's sentence."""
    newest = engine.request("GET", "/version").json["ApiVersion"]
    got = engine.request("GET", "/v9.99/containers/json")
    assert got.status == 400
    assert got.message == f"client version 9.99 is too new. Maximum supported API version is {newest}"
    got = engine.request("GET", "/v1.1/containers/json")
    assert got.status == 400
    assert b"client version 1.1 is too old" in got.body


def test_unknown_path_is_404_page_not_found(engine: Engine) -> None:
    """The sentence that a stock daemon gives."""
    got = engine.request("GET", "/v1.41/no/such/path")
    assert (got.status, got.message) == (404, "page not found")


def test_malformed_json_is_400(engine: Engine) -> None:
    """A body that is no JSON, of another type, or empty: 400 and a sentence, never 500."""
    headers = {"Content-Type": "application/json"}
    for body in (b"{", b'{"Image": 5}', b"[]", b'{"Image": "busybox", "HostConfig": {"Memory": "much"}}', b""):
        got = engine.request("POST", "/containers/create", body, headers)
        assert re.fullmatch(sentence(engine, "malformed-json-status"), str(got.status)), (body, got.body)
        assert got.message


def test_body_of_another_content_type_is_refused(engine: Engine) -> None:
    """A create whose body is not said to be JSON."""
    got = engine.request("POST", "/containers/create", b'{"Image":"busybox"}', {"Content-Type": "text/plain"})
    assert got.status in {400, 415}


def test_malformed_request_line_is_400(engine: Engine) -> None:
    """Bytes that are no HTTP: a 400 and the end of the connection."""
    got = engine.exchange(b"this is not http\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 400 ")


def test_oversize_headers_are_refused(engine: Engine) -> None:
    """Two megabytes of header: 431 or 400, and the daemon goes on."""
    got = engine.exchange(b"GET /_ping HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * (2 << 20) + b"\r\n\r\n")
    assert got.split(b" ")[1:2] in ([b"431"], [b"400"]) or got == b""
    assert engine.request("GET", "/_ping").status == 200


def test_keep_alive_serves_requests_one_after_another(engine: Engine) -> None:
    """Two requests written at once are answered in order on one connection."""
    one = b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /no-such HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    got = engine.exchange(one + last)
    assert got.count(b"HTTP/1.1 ") == 2
    assert got.index(b"200 OK") < got.index(b"404 Not Found")


def test_chunked_body_and_expect_continue(engine: Engine) -> None:
    """A chunked body is read; `Expect: 100-continue` is answered before it."""
    body = json.dumps({"Image": "busybox", "Cmd": ["true"]}).encode()
    chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    head = b"POST /containers/create?name=chunked HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(10)
        sock.connect(engine.socket)
        sock.sendall(head + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 100 Continue\r\n")
        sock.sendall(chunk)
        assert sock.recv(65536).startswith(b"HTTP/1.1 201 Created")


def test_client_that_stops_in_the_middle_harms_nobody(engine: Engine) -> None:
    """Half a request, half a body, and an attach that is never used: the daemon goes on."""
    head = (
        b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"
    )
    assert b" 201 " not in engine.exchange(head, half_close=True)
    engine.exchange(b"GET /_ping HT", half_close=True)
    assert engine.request("GET", "/_ping").status == 200


def test_load_that_is_cut_off_leaves_no_image(engine: Engine) -> None:
    """A client that vanishes while it sends an image."""
    before = engine.request("GET", "/images/json?all=1").json
    head = (
        b"POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\nContent-Length: 9000000\r\n\r\n"
    )
    engine.exchange(head + b"\0" * 512, half_close=True)
    assert engine.request("GET", "/images/json?all=1").json == before


def test_errors_are_json_with_a_message(engine: Engine) -> None:
    """Every error's body is an object with `message`."""
    for method, target in (
        ("GET", "/containers/no-such/json"),
        ("POST", "/containers/no-such/start"),
        ("GET", "/images/no-such/json"),
        ("GET", "/networks/no-such"),
        ("GET", "/exec/no-such/json"),
        ("GET", "/containers/json?filters=nonsense"),
        ("DELETE", "/images/no-such"),
    ):
        got = engine.request(method, target)
        assert re.fullmatch(sentence(engine, "client-error-status"), str(got.status)), (target, got.status)
        assert got.headers["content-type"].startswith("application/json")
        assert got.message


def test_inspect_of_what_does_not_exist_answers_for_every_object(engine: Engine) -> None:
    """`docker inspect X` tries one object after the other: each says 404, or 503 for what belongs to a swarm."""
    for target in ("/containers/x/json", "/images/x/json", "/networks/x", "/volumes/x", "/plugins/x/json"):
        assert engine.request("GET", target).status == 404, target
    for target in ("/services/x", "/tasks/x", "/nodes/x", "/secrets/x", "/configs/x"):
        assert engine.request("GET", target).status in {404, 503}, target


def test_info_and_version_say_what_the_machine_is(engine: Engine) -> None:
    """Counts, kernel, drivers and limits, as clients read them."""
    info = engine.request("GET", "/info").json
    assert (info["OSType"], info["Containers"], info["Images"] >= 1) == ("linux", 0, True)
    for key in (
        "ID",
        "Driver",
        "KernelVersion",
        "OperatingSystem",
        "Architecture",
        "NCPU",
        "MemTotal",
        "DockerRootDir",
    ):
        assert info[key], key
    for key in (
        "MemoryLimit",
        "CpuCfsQuota",
        "PidsLimit",
        "ServerVersion",
        "CgroupVersion",
        "CgroupDriver",
        "SecurityOptions",
    ):
        assert key in info
    version = engine.request("GET", "/version").json
    for key in (
        "Version",
        "ApiVersion",
        "MinAPIVersion",
        "GitCommit",
        "Os",
        "Arch",
        "KernelVersion",
        "Components",
        "Platform",
    ):
        assert key in version
