"""Noticing that somebody else changed the host's firewall: a reload that flushed our table, Docker that came later.

The kernel tells every transaction to a netlink group, with the thread that made it. For the event loop of shoald.
Source: linux/netfilter/nfnetlink.h (NFNLGRP_NFTABLES), linux/netfilter/nf_tables.h (NFT_MSG_NEWGEN).
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from types import TracebackType

from shoal.errors import SyscallError

_NETLINK_NETFILTER = 12
_GROUP_NFTABLES = 7
_NEW_GENERATION = (10 << 8) | 15  # NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWGEN: the last message of a transaction
_GENERATION_PROCESS = 2  # NFTA_GEN_PROC_PID: in truth the id of the thread
_RECEIVE_SIZE = 1 << 16


class FirewallChanges:
    """A subscription to the nftables transactions of this network namespace. A context manager."""

    def __init__(self) -> None:
        """Raises: SyscallError."""
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, _NETLINK_NETFILTER
        )
        try:
            self._socket.bind((0, 1 << (_GROUP_NFTABLES - 1)))
        except OSError as error:
            self._socket.close()
            raise SyscallError("bind", "netlink: NFNLGRP_NFTABLES", error.errno or errno.EIO) from None

    async def wait_foreign_change(self, own_thread: int) -> None:
        """Return when a thread other than `own_thread` has changed any table. Raises: SyscallError."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                datagram = await loop.sock_recv(self._socket, _RECEIVE_SIZE)
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    return  # more happened than could be told
                raise SyscallError("recvmsg", "netlink: NFNLGRP_NFTABLES", error.errno or errno.EIO) from None
            if any(thread != own_thread for thread in changing_threads(datagram)):
                return

    def forget_nowait(self) -> None:
        """Drop what has been told so far."""
        try:
            while True:
                self._socket.recv(_RECEIVE_SIZE)
        except OSError:
            pass  # EAGAIN: nothing left; ENOBUFS: what was lost is to be forgotten too

    def close(self) -> None:
        """End the subscription."""
        self._socket.close()

    def __enter__(self) -> FirewallChanges:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def changing_threads(datagram: bytes) -> list[int]:
    """The threads whose transactions end in this datagram; 0 for one that the kernel doesn't name."""
    found: list[int] = []
    offset = 0
    while offset + 16 <= len(datagram):
        length, kind = struct.unpack_from("IH", datagram, offset)
        if length < 16:
            break
        if kind == _NEW_GENERATION:
            found.append(_thread(datagram[offset + 20 : offset + length]))
        offset += (length + 3) & ~3
    return found


def _thread(attributes: bytes) -> int:
    offset = 0
    while offset + 8 <= len(attributes):
        length, kind = struct.unpack_from("HH", attributes, offset)
        if length < 4:
            break
        if kind == _GENERATION_PROCESS:
            return int(struct.unpack_from(">I", attributes, offset + 4)[0])
        offset += (length + 3) & ~3
    return 0
