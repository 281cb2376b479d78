"""Moves network interfaces of the host into a container (`linux.netDevices`). OCI runtime-spec §Network Devices."""

from __future__ import annotations

from shoal.errors import InvalidArgument, SyscallError
from shoal.linux.fd import Fd
from shoal.linux.namespaces import CLONE_NEWNET, namespace_fd, setns
from shoal.linux.netlink import Netlink

_MOST_NAME = 15


def move_into(network: Fd, name: str, new_name: str) -> None:
    """Moves the interface `name` into the network namespace, as `new_name`, with its addresses, and brings it up.

    Raises: InvalidArgument; SyscallError (ENODEV: there is no such interface).
    """
    for one in (name, new_name):
        if not one or len(one) > _MOST_NAME or "/" in one or one in (".", ".."):
            raise InvalidArgument(f"invalid name of a network device: {one!r}")
    with Netlink() as here:
        addresses = here.addr_list(name)
        here.link_set(name, up=False)
        here.link_set(name, name=new_name, netns_fd=network.fileno())
    with namespace_fd("self", "net") as home:
        setns(network, CLONE_NEWNET)
        try:
            with Netlink() as there:
                there.link_set(new_name, up=True)
                for address in addresses:
                    _add(there, new_name, address.address, address.prefix)
        finally:
            setns(home, CLONE_NEWNET)


def _add(there: Netlink, name: str, address: str, prefix: int) -> None:
    try:
        there.addr_add(name, address, prefix)
    except SyscallError as error:
        if not address.startswith("fe80:"):  # the kernel gives link-local ones by itself
            raise error from None
