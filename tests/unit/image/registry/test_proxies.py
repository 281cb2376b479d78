"""Which proxy stands before a registry."""

from __future__ import annotations

import pytest

from shoal.errors import InvalidArgument
from shoal.image.registry.proxies import check_proxy, masked, proxy_for

ENVIRONMENT = {
    "HTTP_PROXY": "http://upper:1",
    "http_proxy": "lower:3128",
    "HTTPS_PROXY": "http://u:p@secure:8080",
    "NO_PROXY": " example.org, .inner.net ,10.0.0.0/8,quay.io:443,[fd00::1]",
}


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://a.net/v2/", "http://lower:3128"),
        ("https://a.net/v2/", "http://u:p@secure:8080"),
        ("https://example.org/v2/", ""),
        ("https://sub.example.org/v2/", ""),
        ("https://notexample.org/v2/", "http://u:p@secure:8080"),
        ("https://x.inner.net/v2/", ""),
        ("https://10.1.2.3:5000/v2/", ""),
        ("https://11.1.2.3:5000/v2/", "http://u:p@secure:8080"),
        ("https://quay.io:443/v2/", ""),
        ("https://quay.io/v2/", "http://u:p@secure:8080"),
        ("https://[fd00::1]:5000/v2/", ""),
        ("https://127.0.0.1:5000/v2/", ""),
        ("https://localhost:5000/v2/", ""),
        ("https://[::1]:5000/v2/", ""),
    ],
)
def test_proxy_for_an_address_follows_the_environment(url: str, proxy: str) -> None:
    """By scheme, small letters first; hosts, suffixes, networks and ports of NO_PROXY, and loopback, are spared."""
    assert proxy_for(url, ENVIRONMENT) == proxy


def test_proxy_for_everything_spared_is_none() -> None:
    """`*` spares all; an empty variable names none."""
    assert proxy_for("http://a.net/", {"http_proxy": "x:1", "no_proxy": "*"}) == ""
    assert proxy_for("http://a.net/", {"http_proxy": ""}) == ""


@pytest.mark.parametrize("text", ["socks5://h:1", "http://", "http://h:port", "http://u:secret@h:99999"])
def test_check_proxy_refuses_what_is_no_http_proxy(text: str) -> None:
    """The sentence has no password in it."""
    with pytest.raises(InvalidArgument) as caught:
        check_proxy(text)
    assert "invalid proxy" in caught.value.what
    assert "secret" not in caught.value.what


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("http://h:1", "http://h:1"),
        ("http://u:p@h:1/x", "http://xxxxx:xxxxx@h:1/x"),
        ("u@h", "xxxxx:xxxxx@h"),
        ("", ""),
    ],
)
def test_masked_hides_name_and_password(proxy: str, shown: str) -> None:
    """As `docker info` shows it."""
    assert masked(proxy) == shown
