"""Paths and queries of requests, with what may not stand in them written as %XX. Pure.

Own code for `urllib.parse`, which imports `re` and `ipaddress` and takes 3 ms. RFC 3986.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")
_PATH = _UNRESERVED | frozenset(b"/:@")


def request_target(path: str, query: Mapping[str, str | Iterable[str]] | None) -> str:
    """`path?query` of a request; a value that is no string stands for several of the same name."""
    target = _quoted(path, _PATH)
    pairs = []
    for name, value in (query or {}).items():
        for item in (value,) if isinstance(value, str) else value:
            # As forms write it, and Docker's client too: a space is a plus.
            pairs.append(f"{_quoted(name, _UNRESERVED)}={_quoted(item, _UNRESERVED)}".replace("%20", "+"))
    return f"{target}?{'&'.join(pairs)}" if pairs else target


def _quoted(text: str, safe: frozenset[int]) -> str:
    data = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in safe else f"%{byte:02X}" for byte in data)
