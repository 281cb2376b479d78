"""Where a registry is reached."""

from __future__ import annotations

import pytest

from shoal.errors import InvalidArgument
from shoal.image.registry.endpoints import (
    RegistrySettings,
    check_insecure,
    check_mirror,
    domain_of_server,
    endpoints_for,
)

SETTINGS = RegistrySettings(insecure=("plain:5000", "10.0.0.0/8"), mirrors=("https://mirror.example",))


@pytest.mark.parametrize(
    ("domain", "urls"),
    [
        ("quay.io", ["https://quay.io"]),
        ("docker.io", ["https://mirror.example", "https://registry-1.docker.io"]),
        ("127.0.0.1:5000", ["https://127.0.0.1:5000", "http://127.0.0.1:5000"]),
        ("localhost:5000", ["https://localhost:5000", "http://localhost:5000"]),
        ("[::1]:5000", ["https://[::1]:5000", "http://[::1]:5000"]),
        ("10.1.2.3", ["https://10.1.2.3", "http://10.1.2.3"]),
        ("plain:5000", ["https://plain:5000", "http://plain:5000"]),
        ("plain:5001", ["https://plain:5001"]),
        ("128.0.0.1", ["https://128.0.0.1"]),
    ],
)
def test_endpoints_in_the_order_in_which_they_are_tried(domain: str, urls: list[str]) -> None:
    """Only Docker Hub has mirrors; only insecure registries are spoken to in the clear, and after TLS failed."""
    endpoints = endpoints_for(domain, SETTINGS)
    assert [endpoint.url for endpoint in endpoints] == urls
    assert endpoints[0].verifies is (len(urls) == 1 or domain == "docker.io")


def test_endpoints_for_a_push_leave_mirrors_out() -> None:
    """A mirror is for reading."""
    assert [endpoint.url for endpoint in endpoints_for("docker.io", SETTINGS, with_mirrors=False)] == [
        "https://registry-1.docker.io"
    ]


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("", "docker.io"),
        ("http://127.0.0.1:5000", "127.0.0.1:5000"),
        ("quay.io/v2", "quay.io"),
    ],
)
def test_domain_of_a_logins_server(address: str, domain: str) -> None:
    """Clients send an address or a host."""
    assert domain_of_server(address) == domain


@pytest.mark.parametrize("url", ["ftp://x", "x", "https://u@x", "https://x/path", "https://x?q"])
def test_check_mirror_refuses_what_is_no_origin(url: str) -> None:
    """A mirror is a scheme, a host and a port."""
    with pytest.raises(InvalidArgument) as caught:
        check_mirror(url)
    assert "invalid mirror" in caught.value.what


@pytest.mark.parametrize("entry", ["http://x", "10.0.0.0/99", "", "-x"])
def test_check_insecure_refuses_what_is_neither_host_nor_network(entry: str) -> None:
    """A host with a port, or a network."""
    with pytest.raises(InvalidArgument) as caught:
        check_insecure(entry)
    assert "insecure registry" in caught.value.what
