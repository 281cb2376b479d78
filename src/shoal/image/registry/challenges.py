"""What a registry asks for before it answers: the `WWW-Authenticate` header, parsed. Pure. RFC 9110 §11.6.1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME = re.compile(rf"\s*({_TOKEN})(?:\s+|\Z|(?=,))")
_PARAMETER = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))\s*(?:,|\Z)')
_HEADER_MAX = 8192


class Challenge(NamedTuple):
    """One scheme that is accepted (`basic`, `bearer`, in lower case) and its parameters."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> list[Challenge]:
    """The challenges of the header in their order; what can't be read ends the list."""
    rest = header[:_HEADER_MAX]
    found: list[Challenge] = []
    while match := _SCHEME.match(rest):
        rest = rest[match.end() :]
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(rest):
            name, quoted, plain = parameter.groups()
            parameters.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain)
            rest = rest[parameter.end() :]
        found.append(Challenge(match[1].lower(), parameters))
        rest = rest.lstrip(" \t,")
    return found
