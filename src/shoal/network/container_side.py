"""A running container's own side of its networks, looked at and changed from outside. Blocking."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import TypeVar

from shoal.errors import SyscallError
from shoal.linux.fd import Fd
from shoal.linux.namespaces import CLONE_NEWNET, namespace_fd, open_namespace, setns
from shoal.linux.netlink import Netlink
from shoal.linux.rtnetlink import everything
from shoal.linux.sysctl import write_sysctl
from shoal.network.ipv6_host import quieten

T = TypeVar("T")


def netlink_inside(pid: int, home: Fd) -> Netlink:
    """A connection in the network namespace of `pid`. The thread goes there and comes back to `home`.

    Raises: SyscallError (ENOENT: the process has gone).
    """
    return _inside(pid, home, Netlink)


def ready_for_ipv6(pid: int, home: Fd, interface: str) -> None:
    """Lets a container's interface have the IPv6 addresses that it is given, and no others.

    Raises: SyscallError (ENOENT: the process has gone).
    """
    _inside(pid, home, lambda: quieten(interface))


def _inside(pid: int, home: Fd, work: Callable[[], T]) -> T:
    with namespace_fd(pid, "net") as there:
        setns(there, CLONE_NEWNET)
        try:
            return work()
        finally:
            setns(home, CLONE_NEWNET)


def inside(pid: int) -> Netlink:
    """As `netlink_inside`, for a thread that keeps no descriptor of its own namespace."""
    with open_namespace("/proc/thread-self/ns/net") as home:
        return netlink_inside(pid, home)


def holder_of(inner: Netlink, address: str) -> int | None:
    """The index of the interface that has this address, whatever the container calls it. Raises: SyscallError."""
    return next((known.index for known in inner.addr_list() if known.address == address), None)


def add_addresses(pid: int, name: str, beside: str, addresses: Sequence[str]) -> None:
    """Give the interface that has the address `beside`, else the one of this name, more addresses ("169.254.8.8/16").

    Raises: SyscallError.
    """
    with inside(pid) as inner:
        link = holder_of(inner, beside) or name
        for text in addresses:
            address, _, prefix = text.partition("/")
            inner.addr_add(link, address, int(prefix))


def write_settings(pid: int, name: str, beside: str, settings: Sequence[tuple[str, str, str]]) -> None:
    """Write settings, ("ipv4/conf", "log_martians", "1"), of the interface that `add_addresses` would find.

    Raises: SyscallError.
    """
    with inside(pid) as inner, open_namespace("/proc/thread-self/ns/net") as home:
        index = holder_of(inner, beside)
        link = name if index is None else inner.link_get(index).name

        def work() -> None:
            for kind, key, value in settings:
                write_sysctl(f"net/{kind}/{link}/{key}", value)

        _inside(pid, home, work)


def free_name(inner: Netlink) -> str:
    """The name of the container's next interface: eth0, eth1, … Raises: SyscallError."""
    taken = {link.name for link in inner.link_list()}
    return next(name for name in map("eth{}".format, range(len(taken) + 1)) if name not in taken)


def lead_outside(inner: Netlink, gateway: str, link: int | None = None) -> None:
    """Has the default route lead by this gateway, in place of the one that there is.

    With the gateway 0.0.0.0 it leads into the interface `link`. Raises: SyscallError.
    """
    try:
        inner.route_del(everything(gateway), 0)
    except SyscallError as error:
        if error.errno not in (errno.ESRCH, errno.ENOENT):  # the latter where there is no IPv6 route at all
            raise
    inner.route_add_default(gateway, link)
