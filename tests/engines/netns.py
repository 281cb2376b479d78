"""Sockets in another network namespace, for an engine that runs in one of its own."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
CLONE_NEWNET = 0x40000000


def in_network_of(pid: int | None, action: Callable[[], T]) -> T:
    """The result of `action`, run by a thread that has joined the network namespace of `pid` (None: this one's).

    A namespace belongs to a thread, so nothing else of this process notices. A socket stays in the namespace that
    it was made in. setns(2), needs CAP_SYS_ADMIN.
    """
    if pid is None:
        return action()

    def joined() -> T:
        descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(descriptor, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns to the network of {pid}")
        finally:
            os.close(descriptor)
        return action()

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(joined).result()


def listening_socket(port: int = 0, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """A socket bound to a port of every address (0: any free one); the caller closes it."""
    sock = socket.socket(socket.AF_INET, kind)
    try:
        sock.bind(("0.0.0.0", port))
        if kind == socket.SOCK_STREAM:
            sock.listen()
    except OSError:
        sock.close()
        raise
    return sock
