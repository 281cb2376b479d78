"""The host's own name servers, as they are now: resolv.conf is read anew once it has changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from shoal.network.dns.names import Upstream
from shoal.network.files import HOST_RESOLV_CONF, name_servers, resolv_conf_source

_Stamp = tuple[int, int, int]


class HostServers:
    """`path` is the host's resolv.conf; `source` says which file to follow instead, given its text."""

    def __init__(self, path: str = HOST_RESOLV_CONF, source: Callable[[str], str] = resolv_conf_source) -> None:
        self._path = path
        self._source = source
        self._read: tuple[str, _Stamp, tuple[Upstream, ...]] | None = None

    def get(self) -> Sequence[Upstream]:
        """The servers in their order; those on the host's loopback, or behind one of its links, are asked from it."""
        if self._read is not None:
            path, stamp, servers = self._read
            if _stamp(path) == stamp:
                return servers
        path = self._path
        text = _text(path)
        if (other := self._source(text)) != HOST_RESOLV_CONF and os.path.exists(other):
            path, text = other, _text(other)
        servers = tuple(Upstream(address, on_host=_is_local(address)) for address in name_servers(text))
        self._read = path, _stamp(path), servers
        return servers


def _is_local(address: str) -> bool:
    return address.startswith("127.") or address == "::1" or "%" in address


def _text(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""  # resolv.conf(5): then there are none


def _stamp(path: str) -> _Stamp:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)
