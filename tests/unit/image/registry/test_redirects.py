"""Where a registry may send us."""

from __future__ import annotations

import pytest

from shoal.errors import InvalidArgument
from shoal.image.registry.transport import followed


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
    ],
)
def test_followed_refuses_what_leads_astray(target: str) -> None:
    """Other schemes, from https to http, the cloud's metadata, addresses with a password."""
    with pytest.raises(InvalidArgument) as caught:
        followed("https://a/v2/x", target)
    assert "refusing the redirect" in caught.value.what


def test_followed_takes_relative_and_other_hosts() -> None:
    """Blobs may lie elsewhere."""
    assert followed("https://a/v2/x", "/y?z=1") == "https://a/y?z=1"
    assert followed("http://a/v2/x", "https://cdn/y") == "https://cdn/y"
