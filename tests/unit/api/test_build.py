"""What a client asks of a build, where it is malformed."""

from __future__ import annotations

import base64

import pytest

from shoal.api.build import BuildSecrets, parse_secrets
from shoal.errors import InvalidArgument


@pytest.mark.parametrize(
    "header", [b"\xff", b"a", base64.b64encode(b"{"), base64.b64encode(b'{"secrets":{"a":"\xff"}}')]
)
def test_parse_secrets_malformed(header: bytes) -> None:
    """What is no JSON in base64 is the client's fault."""
    with pytest.raises(InvalidArgument, match="X-Shoal-Build-Secrets"):
        parse_secrets(header)


@pytest.mark.parametrize("text", ["é", "a"])
def test_contents_malformed(text: str) -> None:
    """A secret that is no base64 is the client's fault."""
    with pytest.raises(InvalidArgument, match="X-Shoal-Build-Secrets"):
        BuildSecrets(secrets={"a": text}).contents()
