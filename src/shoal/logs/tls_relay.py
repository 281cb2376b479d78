"""A program of its own: carries what comes in over its standard input, a socket, to a server over TLS.

    tls_relay.py HOST PORT NAME CA CERTIFICATE KEY SKIP_VERIFY        empty where there is none; SKIP_VERIFY is 1 or 0

HOST is an address, NAME what the server's certificate must be for. It runs with `-SI`, started by a supervisor, whose
own interpreter has no TLS loaded, and ends with either connection. Nothing that the server says is of interest.
A server that takes nothing is waited for as long as the supervisor is there, and some seconds afterwards.
"""

import os
import select
import socket
import ssl
import sys
import time

_BLOCK_BYTES = 64 * 1024
_CONNECT_S = 10.0
_END_S = 3.0  # for what is on its way when the supervisor has closed its end
_LOOK_S = 1.0


def main(arguments: list[str]) -> None:
    """Carries until one of the two connections ends."""
    host, port, name, ca, certificate, key, skip_verify = arguments
    context = client_context(ca, certificate, key, skip_verify=skip_verify == "1")
    with socket.create_connection((host, int(port)), _CONNECT_S) as plain:
        with context.wrap_socket(plain, server_hostname=name) as server:
            server.setblocking(False)
            while not _has_closed(server):
                ready, _, _ = select.select([0, server.fileno()], [], [])
                if 0 in ready:
                    data = os.read(0, _BLOCK_BYTES)
                    if not data:
                        _say_goodbye(server)
                        return
                    _send(server, data)


def _send(server: ssl.SSLSocket, data: bytes) -> None:
    """Sends all of `data`. Raises: TimeoutError where the server takes nothing and nobody is there any more to care."""
    rest = memoryview(data)
    deadline = 0.0
    while rest:
        try:
            rest = rest[server.send(rest) :]
            continue
        except ssl.SSLWantWriteError:
            select.select([], [server.fileno()], [], _LOOK_S)
        except ssl.SSLWantReadError:
            select.select([server.fileno()], [], [], _LOOK_S)
        if not _has_hung_up(0):
            continue
        deadline = deadline or time.monotonic() + _END_S
        if time.monotonic() > deadline:
            raise TimeoutError("the server takes nothing")


def _has_hung_up(fd: int) -> bool:
    """Whether the other end of the socket `fd` is closed; unread data may be left."""
    poll = select.poll()
    poll.register(fd, 0)
    return bool(poll.poll(0))


def _say_goodbye(server: ssl.SSLSocket) -> None:
    """Ends TLS as it should be ended, so that the server knows that it has all; a server that does not answer may."""
    server.settimeout(_END_S)
    try:
        server.unwrap()
    except OSError:
        pass  # nobody is left to tell


def _has_closed(server: ssl.SSLSocket) -> bool:
    """Whether the server has ended the connection. What it sends of TLS itself, such as tickets, is taken care of."""
    try:
        return not server.recv(_BLOCK_BYTES)
    except ssl.SSLWantReadError:
        return False


def client_context(ca: str, certificate: str, key: str, *, skip_verify: bool) -> ssl.SSLContext:
    """How to meet the server. Raises: OSError, ssl.SSLError for files that cannot be used."""
    context = ssl.create_default_context(cafile=ca or None)
    if skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate, key or None)
    return context


if __name__ == "__main__":
    main(sys.argv[1:])
