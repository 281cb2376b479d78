"""Whether the receiver of a remote log is there, before a container starts that writes to it. Runs in shoald.

The supervisor resolves no names and waits for no connection: it gets an address in digits. The sentences are Docker's.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from shoal.errors import InvalidArgument
from shoal.logs.tls_relay import client_context

Protocol: TypeAlias = Literal["unix", "unixgram", "udp", "tcp", "tcp+tls"]

_LIMIT_S = 10.0


class Receiver(NamedTuple):
    """A path (`port` is 0), or a name or an address and a port; `tls` is what tls_relay.py takes after these."""

    protocol: Protocol
    address: str
    port: int = 0
    tls: tuple[str, ...] = ()


async def reach(receiver: Receiver) -> Receiver:
    """The receiver by its address in digits, after one connection to it: at the first of its addresses that answers.

    Raises: InvalidArgument when it is away, about the first address.
    """
    refusal: InvalidArgument | None = None
    for known in await _addresses(receiver):
        try:
            return await _connect(known)
        except InvalidArgument as problem:
            refusal = refusal or problem
    assert refusal is not None  # an address at least was found
    raise refusal


async def _connect(known: Receiver) -> Receiver:
    network = "tcp" if known.protocol == "tcp+tls" else known.protocol
    try:
        async with asyncio.timeout(_LIMIT_S):
            with _socket(known) as sock:
                sock.setblocking(False)
                target = known.address if known.port == 0 else (known.address, known.port)
                await asyncio.get_running_loop().sock_connect(sock, target)
                if known.protocol == "tcp+tls":
                    await asyncio.to_thread(_greet, sock.detach(), known.tls)
    except TimeoutError:
        raise InvalidArgument(f"dial {network} {_shown(known)}: i/o timeout") from None
    except ssl.SSLError as error:
        raise InvalidArgument(f"tls: {error.reason or error}") from error
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise InvalidArgument(f"dial {network} {_shown(known)}: connect: {reason}") from error
    return known


async def reach_first(receivers: Sequence[Receiver]) -> Receiver | None:
    """The first one that is there."""
    for receiver in receivers:
        try:
            return await reach(receiver)
        except InvalidArgument:
            pass  # the next one
    return None


async def resolve(receiver: Receiver) -> Receiver:
    """The receiver by its address in digits. Raises: InvalidArgument for a name that leads nowhere."""
    return (await _addresses(receiver))[0]


async def _addresses(receiver: Receiver) -> list[Receiver]:
    """The receiver by each of its addresses, those of IPv4 first: one at least. Raises: as `resolve`."""
    if receiver.port == 0:
        return [receiver]
    kind = socket.SOCK_DGRAM if receiver.protocol == "udp" else socket.SOCK_STREAM
    try:
        async with asyncio.timeout(_LIMIT_S):
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(receiver.address, receiver.port, type=kind)
    except (OSError, UnicodeError, TimeoutError) as error:
        network = "udp" if receiver.protocol == "udp" else "tcp"
        raise InvalidArgument(f"dial {network}: lookup {receiver.address}: no such host", why=str(error)) from error
    addresses = sorted(dict.fromkeys(str(entry[4][0]) for entry in found), key=lambda address: ":" in address)
    return [receiver._replace(address=address) for address in addresses]


def _socket(receiver: Receiver) -> socket.socket:
    is_path, is_v6 = receiver.port == 0, ":" in receiver.address
    family = socket.AF_UNIX if is_path else socket.AF_INET6 if is_v6 else socket.AF_INET
    kind = socket.SOCK_DGRAM if receiver.protocol in ("udp", "unixgram") else socket.SOCK_STREAM
    return socket.socket(family, kind)


def _greet(fd: int, tls: tuple[str, ...]) -> None:
    """Opens TLS on a connection, and closes it. Raises: OSError, ssl.SSLError."""
    name, ca, certificate, key, skip_verify = tls
    with socket.socket(fileno=fd) as sock:
        sock.settimeout(_LIMIT_S)
        context = client_context(ca, certificate, key, skip_verify=skip_verify == "1")
        with context.wrap_socket(sock, server_hostname=name):
            pass


def _shown(receiver: Receiver) -> str:
    if receiver.port == 0:
        return receiver.address
    host = f"[{receiver.address}]" if ":" in receiver.address else receiver.address
    return f"{host}:{receiver.port}"
