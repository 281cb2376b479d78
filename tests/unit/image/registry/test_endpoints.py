"""Where a registry is reached."""

from __future__ import annotations

import pytest

from shoal.errors import InvalidArgument
from shoal.image.registry.endpoints import (
    Mirror,
    RegistrySettings,
    check_insecure,
    domain_of_server,
    endpoints_for,
    parse_mirror,
)

SETTINGS = RegistrySettings(
    insecure=("plain:5000", "10.0.0.0/8"),
    mirrors=(parse_mirror("https://mirror.example"), parse_mirror("ghcr.io=http://plain:5000/of/ghcr")),
)


@pytest.mark.parametrize(
    ("domain", "urls"),
    [
        ("quay.io", ["https://quay.io"]),
        ("docker.io", ["https://mirror.example", "https://registry-1.docker.io"]),
        ("index.docker.io", ["https://mirror.example", "https://registry-1.docker.io"]),
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
    """Mirrors come first; only insecure registries are spoken to in the clear, and after TLS failed."""
    endpoints = endpoints_for(domain, SETTINGS)
    assert [endpoint.url for endpoint in endpoints] == urls
    assert endpoints[0].verifies is (len(urls) == 1 or "docker.io" in domain)


def test_endpoints_of_a_registry_with_a_mirror_have_its_prefix_there() -> None:
    """The mirror of another registry than the Hub is asked first, where it keeps that registry's repositories."""
    mirror, origin = endpoints_for("ghcr.io", SETTINGS)
    assert (mirror.url, mirror.path_of("a/b"), mirror.is_mirror) == ("http://plain:5000", "of/ghcr/a/b", True)
    assert (origin.url, origin.path_of("a/b"), origin.is_mirror) == ("https://ghcr.io", "a/b", False)


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


@pytest.mark.parametrize("address", ["@host", "https://h\x10st/", "ð", "[::", "host:port", "a b", "host?x", "-"])
def test_domain_of_a_logins_server_that_can_not_be_one(address: str) -> None:
    """What is no host is refused before anything is sent."""
    with pytest.raises(InvalidArgument, match="invalid server address"):
        domain_of_server(address)


@pytest.mark.parametrize(
    ("text", "mirror"),
    [
        ("https://m.example/", Mirror("docker.io", "https://m.example")),
        ("docker.io=http://m:5000", Mirror("docker.io", "http://m:5000")),
        ("quay.io=https://m.example", Mirror("quay.io", "https://m.example")),
        ("[::1]:5000=https://[fd00::1]/a/b/", Mirror("[::1]:5000", "https://[fd00::1]", "a/b")),
    ],
)
def test_parse_mirror_takes_an_address_and_whose_it_is(text: str, mirror: Mirror) -> None:
    """Without a host it is the Hub's; a path is where the repositories of that registry lie."""
    assert parse_mirror(text) == mirror


@pytest.mark.parametrize(
    "text",
    [
        "ftp://x",
        "x",
        "https://u@x",
        "https://x/path",
        "https://x?q=1",
        "quay.io=x",
        "quay.io=https://u:p@x",
        "quay=https://x",
        "quay.io=https://x/UP",
        "quay.io=https://x/a:1",
        "=https://x",
    ],
)
def test_parse_mirror_refuses_what_is_no_mirror(text: str) -> None:
    """A mirror is a scheme, a host and a port; what it mirrors is a registry's host."""
    with pytest.raises(InvalidArgument) as caught:
        parse_mirror(text)
    assert "invalid" in caught.value.what


@pytest.mark.parametrize("entry", ["http://x", "10.0.0.0/99", "", "-x"])
def test_check_insecure_refuses_what_is_neither_host_nor_network(entry: str) -> None:
    """A host with a port, or a network."""
    with pytest.raises(InvalidArgument) as caught:
        check_insecure(entry)
    assert "insecure registry" in caught.value.what
