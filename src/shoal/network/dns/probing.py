"""Looking at the way from a container's program to an answer, for `name_path.py` to judge. Changes nothing."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import stat
import struct
from dataclasses import dataclass

from shoal.errors import InvalidArgument, SyscallError
from shoal.linux.fd import Fd
from shoal.linux.rootfs import open_in_root
from shoal.network.dns.forwarding import is_answer
from shoal.network.dns.name_path import Outcome
from shoal.network.dns.names import DNS_PORT
from shoal.network.dns.question import AAAA, A, read_question
from shoal.network.dns.redirect import is_redirected
from shoal.network.dns.sockets import NamespaceSockets
from shoal.network.files import name_servers

_ANSWER_S = 1.5
_FILE_BYTES = 1 << 16
_SIOCGIFFLAGS, _IFF_UP = 0x8913, 0x1  # netdevice(7)
_LONGEST = 65535


@dataclass(frozen=True, slots=True)
class Inside:
    """What is in the container: servers of its resolv.conf, what its /etc/hosts says of a name, its own network."""

    servers: tuple[str, ...]
    hosts: tuple[str, ...]
    loopback_up: bool
    redirected: bool


class NameProber:
    """Looks into the namespaces of processes."""

    def __init__(self, sockets: NamespaceSockets) -> None:
        self._sockets = sockets

    async def look(self, pid: int, name: str) -> Inside:
        """What is in the container of `pid`. Raises: SyscallError when it has gone."""
        servers, hosts = await asyncio.to_thread(_read_files, pid, name)
        loopback_up, redirected = await self._sockets.inside(pid, lambda: (_is_loopback_up(), is_redirected()))
        return Inside(servers, hosts, loopback_up, redirected)

    async def ask(self, pid: int | None, server: str, name: str, port: int = DNS_PORT) -> Outcome:
        """What comes of asking a server for the addresses of a name, from the network of `pid`, or from the host's.

        Raises: InvalidArgument for what is no name; SyscallError when the process has gone.
        """
        first = await self._ask(pid, server, port, _query(name, A))
        if first.kind != "answer" or first.code or first.addresses:
            return first
        return await self._ask(pid, server, port, _query(name, AAAA))

    async def _ask(self, pid: int | None, server: str, port: int, query: bytes) -> Outcome:
        from shoal.network.dns.wire import addresses_in  # only here, as in cache.py

        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        with await self._open(pid, family) as sock:
            try:
                sock.connect((server, port))
                async with asyncio.timeout(_ANSWER_S):
                    answer = await _exchange(sock, query)
            except TimeoutError:
                return Outcome("silent")
            except ConnectionRefusedError:
                return Outcome("closed")
            except OSError as error:
                # A rule of the container's own firewall that drops what it sends.
                return Outcome("silent" if error.errno == errno.EPERM else "unreachable")
        return Outcome("answer", answer[3] & 0xF, addresses_in(answer))

    async def _open(self, pid: int | None, family: socket.AddressFamily) -> socket.socket:
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
        if pid is None:
            return socket.socket(family, kind)
        return await self._sockets.inside(pid, lambda: socket.socket(family, kind))


async def _exchange(sock: socket.socket, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    question = read_question(query)
    await loop.sock_sendall(sock, query)
    while True:
        answer = await loop.sock_recv(sock, _LONGEST)
        if is_answer(answer, query, question):
            return answer
        await asyncio.sleep(0)


def _query(name: str, type: int) -> bytes:
    try:
        labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    except UnicodeEncodeError:
        labels = [b""]
    if not all(1 <= len(label) <= 63 for label in labels) or sum(len(label) + 1 for label in labels) > 254:
        raise InvalidArgument(f"invalid name: {name!r}", why="a name is labels of up to 63 letters, with dots between")
    wire = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    return os.urandom(2) + struct.pack(">HHHHH", 0x100, 1, 0, 0, 0) + wire + struct.pack(">HH", type, 1)


def _read_files(pid: int, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        root = Fd(os.open(f"/proc/{pid}/root", os.O_PATH | os.O_CLOEXEC))
    except OSError as error:
        raise SyscallError("open", f"/proc/{pid}/root", error.errno or 0) from None
    with root:
        return tuple(name_servers(_read(root, "etc/resolv.conf"))), hosts_of(_read(root, "etc/hosts"), name)


def _read(root: Fd, path: str) -> str:
    """The beginning of a file of the container's, which may be anything: "" for what is no file."""
    try:
        with open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return ""
            return os.read(file.fileno(), _FILE_BYTES).decode("utf-8", "replace")
    except (SyscallError, OSError):
        return ""


def hosts_of(text: str, name: str) -> tuple[str, ...]:
    """The addresses that a hosts(5) gives a name. Pure."""
    wanted = name.rstrip(".").lower()
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return tuple(words[0] for words in lines if wanted in (word.lower() for word in words[1:]))


def _is_loopback_up() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, _SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
    return bool(struct.unpack_from("16xH", answer)[0] & _IFF_UP)
