"""What goes to a registry and comes from one, and credentials for it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from tests.conformance.operations.proofs import Api, proves
from tests.engines import registry
from tests.engines.registry import HTPASSWD, PASSWORD, USER, Registry

pytestmark = pytest.mark.skipif(not registry.is_installed(), reason="docker-registry is not installed")
CREATE, PUSH, TAG = "/images/create", "/images/{name}/push", "/images/{name}/tag"
DISTRIBUTION = "/distribution/{name}/json"


@pytest.fixture(scope="module")
def closed() -> Iterator[Registry]:
    """A registry that knows one user."""
    with Registry(htpasswd=HTPASSWD) as running:
        yield running


def credentials(closed: Registry, password: str = PASSWORD) -> dict[str, str]:
    """The header of that user."""
    told = {"username": USER, "password": password, "serveraddress": closed.host}
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(told).encode()).decode()}


@proves("SystemAuth", "body.username body.password body.serveraddress body.email", statuses="200 401")
def test_auth(api: Api, closed: Registry) -> None:
    """The right password is, a wrong one is not; who is not there cannot tell."""
    body = {"username": USER, "password": PASSWORD, "email": "ann@example.com", "serveraddress": closed.host}
    told = api.ok("POST", "/auth", body=body)
    assert told["Status"] == "Login Succeeded"
    assert api.refused("POST", "/auth", body=body | {"password": "wrong"})[0] == 401
    assert api.refused("POST", "/auth", body=body | {"serveraddress": "127.0.0.1:1"})[0] == 503


@proves("ImageTag", statuses="201")
@proves("ImagePush", "tag platform", statuses="200")
@proves("ImageCreate", "fromImage tag platform", statuses="200 404")
@proves("DistributionInspect", statuses="200 401")
@proves("ImageDelete", statuses="200")
def test_push_look_and_pull(api: Api, closed: Registry) -> None:
    """With credentials: what was pushed is there, and comes back; without, and of what is not there, a refusal."""
    name, header = f"{closed.host}/some/box", credentials(closed)
    assert api.ask("POST", TAG, "busybox", repo=name, tag="1").status == 201
    pushed = api.ask("POST", PUSH, name, tag="1", headers=header)
    assert (pushed.status, b'"error"' in pushed.body) == (200, False), pushed.body
    missing = api.ask("POST", PUSH, f"{closed.host}/none", tag="1", headers=header)
    assert b"An image does not exist locally with the tag: " in missing.body
    arm = json.dumps({"os": "linux", "architecture": "arm64"})
    other = api.ask("POST", PUSH, name, tag="1", platform=arm, headers=header)
    assert b'"error"' in other.body
    seen = api.ok("GET", DISTRIBUTION, f"{name}:1", headers=header)
    assert seen["Descriptor"]["digest"].encode() in pushed.body
    assert api.refused("GET", DISTRIBUTION, f"{name}:1")[0] == 401
    api.ok("DELETE", "/images/{name}", f"{name}:1")
    pulled = api.ask("POST", CREATE, fromImage=name, tag="1", platform="linux/amd64", headers=header)
    assert (pulled.status, b'"error"' in pulled.body) == (200, False), pulled.body
    assert f"Status: Downloaded newer image for {name}:1".encode() in pulled.body
    assert api.refused("POST", CREATE, fromImage=f"{closed.host}/none", tag="1", headers=header)[0] == 404
    api.ok("DELETE", "/images/{name}", f"{name}:1")
