"""Where a registry may send us."""

from __future__ import annotations

import pytest

from shoal.errors import InvalidArgument
from shoal.image.registry.addresses import followed, is_forbidden, without_query


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://x/y",
        "http://a/b",
        "https://user:pw@b/",
        "https://169.254.169.254/latest",
        "https://[fe80::1]/",
        "https://0.0.0.0/",
        "gopher:x",
        "https://2852039166/",
        "https://0xa9.254.0xa9fe/",
        "https://[::ffff:169.254.169.254]/",
        "https://[fe80::1%25eth0]/",
        "https://[::1",
        "https://b:port/",
    ],
)
def test_followed_refuses_what_leads_astray(target: str) -> None:
    """Other schemes, from https to http, the cloud's metadata, in any spelling, addresses with a password."""
    with pytest.raises(InvalidArgument) as caught:
        followed("https://a/v2/x", target)
    assert "refusing the redirect" in caught.value.what


def test_followed_takes_relative_and_other_hosts() -> None:
    """Blobs may lie elsewhere."""
    assert followed("https://a/v2/x", "/y?z=1") == "https://a/y?z=1"
    assert followed("http://a/v2/x", "https://cdn/y") == "https://cdn/y"
    assert followed("http://[fe80::1]:5000/v2/x", "/y") == "http://[fe80::1]:5000/y"


@pytest.mark.parametrize("host", ["example.org", "10.0.0.1", "127.0.0.1", "::1", "fd00::1"])
def test_is_forbidden_lets_ordinary_addresses_be(host: str) -> None:
    """Registries send to storages beside them, which may have private addresses."""
    assert not is_forbidden(host)


def test_without_query_shows_neither_signature_nor_password() -> None:
    """Storages are opened by what is in the query."""
    assert without_query("https://u:p@s3.example:9/a/b?X-Sig=secret#f") == "https://s3.example:9/a/b"
