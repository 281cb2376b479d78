"""A program of its own: carries what comes in over its standard input, a socket, to a server over TLS.

    tls_relay.py HOST PORT NAME CA CERTIFICATE KEY SKIP_VERIFY        empty where there is none; SKIP_VERIFY is 1 or 0

HOST is an address, NAME what the server's certificate must be for. It runs with `-SI`, started by a supervisor, whose
own interpreter has no TLS loaded, and ends with either connection. Nothing that the server says is of interest.
"""

import os
import select
import socket
import ssl
import sys

_BLOCK_BYTES = 64 * 1024
_CONNECT_S = 10.0


def main(arguments: list[str]) -> None:
    """Carries until one of the two connections ends."""
    host, port, name, ca, certificate, key, skip_verify = arguments
    context = client_context(ca, certificate, key, skip_verify=skip_verify == "1")
    with socket.create_connection((host, int(port)), _CONNECT_S) as plain:
        plain.settimeout(None)
        with context.wrap_socket(plain, server_hostname=name) as server:
            while True:
                ready, _, _ = select.select([0, server.fileno()], [], [])
                if server.fileno() in ready and _has_closed(server):
                    return
                if 0 in ready:
                    data = os.read(0, _BLOCK_BYTES)
                    if not data:
                        server.unwrap()
                        return
                    server.sendall(data)


def _has_closed(server: ssl.SSLSocket) -> bool:
    """Whether the server has ended the connection. What it sends of TLS itself, such as tickets, is taken care of."""
    server.settimeout(0)
    try:
        return not server.recv(_BLOCK_BYTES)
    except ssl.SSLWantReadError:
        return False
    finally:
        server.settimeout(None)


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
