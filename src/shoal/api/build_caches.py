"""Where builds take their caches from and bring them to: `type=registry,ref=NAME,mode=max` and its like. Pure.

Source: docker build --cache-to, --cache-from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shoal.errors import InvalidArgument, Unsupported

_TYPES: Mapping[str, frozenset[str]] = {
    "inline": frozenset(),
    "registry": frozenset({"ref", "mode", "oci-mediatypes", "image-manifest"}),
    "local": frozenset({"src", "dest", "mode", "token"}),
}
_MODES = ("", "min", "max")


@dataclass(frozen=True, slots=True)
class CachePlace:
    """One place of a cache. `path` is on the client's machine, `token` names what the client has sent of it."""

    type: str
    reference: str = ""
    path: str = ""
    token: str = ""
    is_whole: bool = False


def parse_cache_place(text: str) -> CachePlace:
    """The place that `type=…,…` means; a name alone is an image in a registry. Raises: InvalidArgument, Unsupported."""
    if "=" not in text:
        return CachePlace("registry", reference=text)
    values: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals:
            raise InvalidArgument(f"invalid cache: {text}", fix="write type=registry,ref=NAME")
        values[name.strip().lower()] = value
    kind = values.pop("type", "")
    if kind not in _TYPES:
        raise Unsupported(f"caches of type {kind!r} are not supported", fix=f"use one of {', '.join(_TYPES)}")
    if unknown := values.keys() - _TYPES[kind]:
        raise InvalidArgument(f"invalid cache option: {', '.join(sorted(unknown))}", why=f"in {text}")
    if kind == "registry" and not values.get("ref"):
        raise InvalidArgument("registry cache requires ref", fix="write type=registry,ref=NAME")
    mode = values.get("mode", "")
    if mode not in _MODES:
        raise InvalidArgument(f"invalid cache mode: {mode}", fix="write mode=min or mode=max")
    path = values.get("src") or values.get("dest") or ""
    return CachePlace(kind, values.get("ref", ""), path, values.get("token", ""), mode == "max")
