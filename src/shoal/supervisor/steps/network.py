"""Steps that wait for the world outside, and configure the container's end of its network."""

from __future__ import annotations

from shoal.linux.netlink import Netlink
from shoal.supervisor.steps.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.steps.context import Context


class WaitBarrier(Step):
    """Waits until the supervisor says that the network is wired, or that we are in our cgroup.

    As late as possible in the plan, because both go on at the same time as the steps before.
    """

    name = "wait"
    __slots__ = ("barrier",)

    def __init__(self, barrier: str) -> None:
        self.barrier = barrier

    def describe(self) -> str:
        return f"until the {self.barrier} is ready"

    def run(self, ctx: Context) -> None:
        ctx.channel.wait(self.barrier)


class ConfigureInterface(Step):
    """Brings up loopback and, with an address, the interface that shoald moved in, and its default route."""

    name = "interface"
    __slots__ = ("address", "address6", "gateway", "gateway6", "gateway_mac", "interface")

    def __init__(
        self,
        interface: str,
        address: str | None,
        gateway: str | None,
        gateway_mac: str | None = None,
        address6: str | None = None,
        gateway6: str | None = None,
    ) -> None:
        self.interface = interface
        self.address = address
        self.gateway = gateway
        self.gateway_mac = gateway_mac
        self.address6 = address6
        self.gateway6 = gateway6

    def describe(self) -> str:
        if self.address is None:
            return "loopback up"
        words = f"loopback up, {self.interface} {self.address}" + (f" via {self.gateway}" if self.gateway else "")
        if self.address6 is not None:
            words += f", {self.address6}" + (f" via {self.gateway6}" if self.gateway6 else "")
        return words

    def run(self, ctx: Context) -> None:
        with Netlink() as netlink:
            netlink.configure_interface(
                self.interface,
                self.address,
                self.gateway,
                self.gateway_mac,
                address6=self.address6,
                gateway6=self.gateway6,
            )
