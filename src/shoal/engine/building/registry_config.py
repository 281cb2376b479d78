"""Who the user is to several registries: what clients of builds send in `X-Registry-Config`. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

import msgspec

from shoal.oci.reference import Reference

_HEADER_MAX = 256 << 10
_HUB = ("docker.io", "https://index.docker.io/v1/", "index.docker.io")


def decode_registry_config(header: str) -> dict[str, msgspec.Raw]:
    """The credentials by registry, each as JSON; what can't be read is nobody's. Docker API v1.50 ImageBuild."""
    if not header or len(header) > _HEADER_MAX:
        return {}
    text = header.strip().replace("+", "-").replace("/", "_").rstrip("=")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return {}


def registry_auth(auths: Mapping[str, msgspec.Raw], reference: Reference) -> str | None:
    """The `X-Registry-Auth` for the registry of `reference`, None where the user is nobody there."""
    registry = reference.name.partition("/")[0]
    names = _HUB if registry in _HUB else (registry, f"https://{registry}", f"http://{registry}")
    found = next((auths[name] for name in names if name in auths), None)
    return base64.urlsafe_b64encode(bytes(found)).decode() if found is not None else None
