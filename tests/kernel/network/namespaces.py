"""Real network namespaces as the parties of a test: a host, containers, a machine on the LAN.

A socket keeps the namespace it was opened in, so the tests need no server processes: they open a listening socket
in one namespace and a client in another, both in this process.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from shoal.linux.netlink import Netlink

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
TIMEOUT_S = 3.0
_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network namespace kept alive by a process of its own, as a container's is."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["unshare", "-n", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=True
        )
        self.pid = self._process.pid
        assert self._process.stdin
        assert self._process.stdout
        # The echo proves that unshare has become cat, in the new namespace.
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        self._process.stdout.readline()
        self._namespace = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def call(self, function: Callable[[], T]) -> T:
        """What `function` returns when a thread runs it inside the namespace."""
        results: list[T] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                if _libc.setns(self._namespace, CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
                results.append(function())
            except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def configure(
        self,
        name: str,
        address: str,
        gateway: str | None,
        gateway_mac: str | None = None,
        *,
        address6: str | None = None,
        gateway6: str | None = None,
    ) -> None:
        """Bring up loopback and an interface, as the container's child does."""

        def work() -> None:
            with Netlink() as netlink:
                netlink.configure_interface(name, address, gateway, gateway_mac, address6=address6, gateway6=gateway6)

        self.call(work)

    def ip(self, *arguments: str) -> str:
        """What ip(8) says inside."""
        command = ["nsenter", f"--net=/proc/{self.pid}/ns/net", "ip", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def listen(self, ip: str, port: int) -> socket.socket:
        """A listening TCP socket inside."""
        return self.call(lambda: listen(ip, port))

    def udp(self, ip: str, port: int) -> socket.socket:
        """A bound UDP socket inside."""
        return self.call(lambda: udp(ip, port))

    def connect(self, ip: str, port: int, timeout_s: float = TIMEOUT_S) -> socket.socket:
        """A TCP connection from inside."""
        return self.call(lambda: socket.create_connection((ip, port), timeout=timeout_s))

    def write_sysctl(self, key: str, value: str) -> None:
        """Set a net.* kernel parameter inside."""
        self.call(lambda: write_sysctl(key, value))

    def close(self) -> None:
        """Let the namespace die."""
        os.close(self._namespace)
        self._process.communicate(timeout=10)

    def __enter__(self) -> Namespace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def inside_new_namespace() -> Iterator[None]:
    """This thread, and the threads it starts, live in a new network namespace with loopback up."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    assert _libc.unshare(CLONE_NEWNET) == 0
    try:
        with Netlink() as netlink:
            netlink.link_set("lo", up=True)
        yield
    finally:
        assert _libc.setns(before, CLONE_NEWNET) == 0
        os.close(before)


def listen(ip: str, port: int) -> socket.socket:
    """A listening TCP socket here; at :: for both families."""
    server = socket.create_server((ip, port), family=_family(ip), dualstack_ipv6=":" in ip)
    server.settimeout(TIMEOUT_S)
    return server


def udp(ip: str, port: int) -> socket.socket:
    """A bound UDP socket here."""
    bound = socket.socket(_family(ip), socket.SOCK_DGRAM)
    bound.settimeout(TIMEOUT_S)
    bound.bind((ip, port))
    return bound


def _family(ip: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def write_sysctl(key: str, value: str) -> None:
    """Set a kernel parameter of this thread's namespace."""
    with open("/proc/sys/" + key.replace(".", "/"), "w", encoding="ascii") as file:
        file.write(value)


def read_sysctl(key: str) -> str:
    """A kernel parameter of this thread's namespace."""
    with open("/proc/sys/" + key.replace(".", "/"), encoding="ascii") as file:
        return file.read().strip()


def exchange(server: socket.socket, client: socket.socket) -> str:
    """More than 64 KiB both ways over a TCP connection; the address that the server sees as its client's."""
    payload = os.urandom(100_000)
    accepted, peer = server.accept()
    with accepted, client:
        accepted.settimeout(TIMEOUT_S)
        for sender, receiver in ((client, accepted), (accepted, client)):
            thread = threading.Thread(target=sender.sendall, args=(payload,))
            thread.start()
            received = b""
            while len(received) < len(payload):
                chunk = receiver.recv(65536)
                assert chunk
                received += chunk
            thread.join()
            assert received == payload
    return str(peer[0])


def ping_udp(server: socket.socket, client: socket.socket, target: tuple[str, int]) -> str:
    """One datagram there and one back; the address that the server sees as its client's."""
    client.sendto(b"ping", target)
    data, peer = server.recvfrom(100)
    assert data == b"ping"
    server.sendto(b"pong", peer)
    data, sender = client.recvfrom(100)
    assert (data, sender[:2]) == (b"pong", target)
    return str(peer[0])


def nft(*arguments: str) -> str:
    """The output of nft(8) in this thread's namespace."""
    return subprocess.run(["nft", *arguments], check=True, capture_output=True, text=True).stdout


def link_names() -> set[str]:
    """The interfaces of this thread's namespace."""
    with Netlink() as netlink:
        return {link.name for link in netlink.link_list()}
