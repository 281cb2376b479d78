"""The options of the syslog driver: where the server is, and what it is sent. Pure but for looking at paths."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from shoal.errors import InvalidArgument

Protocol = Literal["unix", "unixgram", "udp", "tcp", "tcp+tls"]

_PROTOCOLS: tuple[Protocol, ...] = ("unixgram", "unix", "udp", "tcp+tls", "tcp")
_PORT = 514
_FORMATS = ("", "rfc3164", "rfc5424", "rfc5424micro")
_DAEMON = 3
_FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
)  # fmt: skip
_LOCAL_FACILITIES = {f"local{number}": 16 + number for number in range(8)}
_HOST_AND_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\[\]:]+))(?::(\d{1,5}))?", re.ASCII)


class SyslogAddress(NamedTuple):
    """Where the server is: a path (`port` is 0), or a name or address and a port."""

    protocol: Protocol
    host: str
    port: int = 0


# Where the machine's own server listens, in the order in which they are tried.
LOCAL_ADDRESSES = tuple(
    SyslogAddress(protocol, path)
    for protocol in ("unixgram", "unix")
    for path in ("/dev/log", "/var/run/syslog", "/var/run/log")
)


def check_syslog_options(options: Mapping[str, str]) -> None:
    """Raises: InvalidArgument for what Docker refuses when the container is created."""
    syslog_address(options.get("syslog-address", ""))
    syslog_facility(options.get("syslog-facility", ""))
    if options.get("syslog-format", "") not in _FORMATS:
        raise InvalidArgument("Invalid syslog format", fix="use rfc3164, rfc5424 or rfc5424micro")


def syslog_address(text: str) -> SyslogAddress | None:
    """The address that an option names; None for the machine's own server. Raises: InvalidArgument."""
    if not text:
        return None
    for protocol in _PROTOCOLS:
        if text.startswith(f"{protocol}://"):
            return _address(protocol, text.removeprefix(f"{protocol}://"), text)
    raise _malformed(text)


def _address(protocol: Protocol, rest: str, text: str) -> SyslogAddress:
    if protocol in ("unix", "unixgram"):
        if "\0" in rest or not os.path.exists(rest):
            raise InvalidArgument(f"stat {rest}: no such file or directory")
        return SyslogAddress(protocol, rest)
    match = _HOST_AND_PORT.fullmatch(rest)
    port = int(match[3] or _PORT) if match else 0
    if match is None or not 0 < port < 65536:
        raise _malformed(text)
    return SyslogAddress(protocol, match[1] or match[2], port)


def _malformed(text: str) -> InvalidArgument:
    return InvalidArgument(f"syslog-address should be in form proto://address, got {text}")


def syslog_facility(text: str) -> int:
    """The number of a facility, which is given by name or number. Raises: InvalidArgument."""
    if not text:
        return _DAEMON
    if text in _FACILITIES:
        return _FACILITIES.index(text)
    if text in _LOCAL_FACILITIES:
        return _LOCAL_FACILITIES[text]
    if text.isascii() and text.isdecimal() and len(text) < 3 and int(text) < 24:
        return int(text)
    raise InvalidArgument("invalid syslog facility")
