"""Sockets in the network namespaces of containers, made by one thread that goes there and comes back."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from shoal.errors import SyscallError
from shoal.linux.fd import Fd
from shoal.linux.namespaces import CLONE_NEWNET, namespace_fd, open_namespace, setns
from shoal.network.dns.redirect import RESOLVER_ADDRESS, redirect, redirect_anew

T = TypeVar("T")
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1  # netdevice(7)
_BACKLOG = 16
# The way into a namespace costs more than a socket.
_AT_A_TIME = 4
# By then the kernel has freed the rules that were replaced.
_SETTLE_S = 2.0


class Place:
    """A network namespace and what listens in it. It lives for as long as this is open: its owner closes it."""

    __slots__ = ("listener", "namespace", "server", "spares")

    def __init__(self, namespace: Fd, server: socket.socket, listener: socket.socket) -> None:
        self.namespace = namespace
        self.server = server
        self.listener = listener
        self.spares: list[socket.socket] = []  # of IPv4, for datagrams, never used yet

    def keep(self, spares: Sequence[socket.socket]) -> None:
        """Keeps sockets for later, if the namespace is still held."""
        if self.namespace.closed:
            for spare in spares:
                spare.close()
        else:
            self.spares += spares

    def close(self) -> None:
        """Lets go of the namespace. Harmless when repeated."""
        self.server.close()
        self.listener.close()
        self.namespace.close()
        while self.spares:
            self.spares.pop().close()


class NamespaceSockets:
    """The thread, begun at the first call."""

    def __init__(self) -> None:
        self._worker: ThreadPoolExecutor | None = None
        self._home: Fd | None = None
        self._used: list[socket.socket] = []  # the thread's, to be closed a while later
        self._closing: asyncio.TimerHandle | None = None

    async def listen(self, pid: int, *, anew: bool = False) -> Place:
        """A resolver's sockets in the namespace of `pid`, which 127.0.0.11:53 leads to there.

        `anew`: a shoald before this one led it elsewhere, which is changed more quickly by one who knows.
        Raises: SyscallError (ENOENT, ESRCH: the process has gone), NftError.
        """
        work = self._in_worker(lambda: self._listen(pid, anew=anew))
        if anew and self._closing is None:
            self._closing = asyncio.get_running_loop().call_later(_SETTLE_S, self._close_used_soon)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(_close_unwanted)
            raise

    async def open(self, place: Place, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        """A new socket in that namespace, which the caller owns. Raises: SyscallError, OSError."""
        is_usual = (family, kind) == (socket.AF_INET, socket.SOCK_DGRAM)
        if is_usual and place.spares:
            return place.spares.pop()
        # A copy, because the place may be closed, and its number given to another, before the thread comes to it.
        namespace = place.namespace.dup()

        def work() -> list[socket.socket]:
            with namespace:
                return self._inside(namespace, lambda: _open_some(family, kind, _AT_A_TIME if is_usual else 1))

        future = self._in_worker(work)
        try:
            first, *spares = await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(_close_all_unwanted)
            raise
        place.keep(spares)
        return first

    async def inside(self, pid: int, work: Callable[[], T]) -> T:
        """The result of `work`, which is short, in the network namespace of `pid`.

        Raises: SyscallError (the process has gone), and what `work` raises.
        """

        def there() -> T:
            with namespace_fd(pid, "net") as namespace:
                return self._inside(namespace, work)

        return await self._in_worker(there)

    def close(self) -> None:
        """Ends the thread, when it has done what it was asked."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.shutdown()
        self._close_used()
        if self._home is not None:
            self._home.close()
            self._home = None

    def _close_used_soon(self) -> None:
        self._closing = None
        self._in_worker(self._close_used)

    def _in_worker(self, work: Callable[[], T]) -> asyncio.Future[T]:
        if self._worker is None:
            self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="resolver-sockets")
        return asyncio.get_running_loop().run_in_executor(self._worker, work)

    # -- in the thread ----------------------------------------------------------------------------------------

    def _inside(self, namespace: Fd, work: Callable[[], T]) -> T:
        if self._home is None:
            self._home = open_namespace("/proc/thread-self/ns/net")
        setns(namespace, CLONE_NEWNET)
        try:
            return work()
        finally:
            setns(self._home, CLONE_NEWNET)

    def _listen(self, pid: int, *, anew: bool) -> Place:
        namespace = namespace_fd(pid, "net")
        lead = self._redirect_anew if anew else redirect
        try:
            return self._inside(namespace, lambda: _open_place(namespace, lead))
        except OSError as error:
            namespace.close()
            raise SyscallError("bind", f"{RESOLVER_ADDRESS} of {pid}", error.errno or 0) from None
        except BaseException:
            namespace.close()
            raise

    def _redirect_anew(self, udp_port: int, tcp_port: int) -> None:
        used = redirect_anew(udp_port, tcp_port)
        if used is not None:
            self._used.append(used)

    def _close_used(self) -> None:
        while self._used:
            self._used.pop().close()


def _open_place(namespace: Fd, lead: Callable[[int, int], None]) -> Place:
    server = _bound(socket.SOCK_DGRAM)
    try:
        listener = _bound(socket.SOCK_STREAM)
    except BaseException:
        server.close()
        raise
    try:
        listener.listen(_BACKLOG)
        lead(server.getsockname()[1], listener.getsockname()[1])
    except BaseException:
        server.close()
        listener.close()
        raise
    return Place(namespace, server, listener)


def _open_some(family: socket.AddressFamily, kind: socket.SocketKind, count: int) -> list[socket.socket]:
    """Sockets that do not wait. Raises: OSError, and leaves none open."""
    made: list[socket.socket] = []
    try:
        for _ in range(count):
            made.append(socket.socket(family, kind | socket.SOCK_NONBLOCK))
    except OSError:
        for one in made:
            one.close()
        raise
    return made


def _bound(kind: socket.SocketKind) -> socket.socket:
    """A socket on any free port of the resolver's address, not waiting."""
    bound = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    try:
        # The container's first process does the same, a moment later: only then is 127.0.0.0/8 there.
        fcntl.ioctl(bound, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
        bound.bind((RESOLVER_ADDRESS, 0))
    except BaseException:
        bound.close()
        raise
    return bound


def _close_all_unwanted(made: asyncio.Future[list[socket.socket]]) -> None:
    """Closes what nobody waits for any more."""
    if not made.cancelled() and made.exception() is None:
        for one in made.result():
            one.close()


def _close_unwanted(made: asyncio.Future[Place]) -> None:
    """Closes what nobody waits for any more."""
    if not made.cancelled() and made.exception() is None:
        made.result().close()
