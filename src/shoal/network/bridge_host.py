"""What all bridge networks of a daemon share: one worker thread, the firewall tables, the watch over both.

In shoald. Whatever asks the kernel (netlink, nftables) runs in the worker thread, in order, because rtnl and nftables
are serial in the kernel anyway and libnftables isn't thread-safe.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from shoal.linux.netlink import Netlink
from shoal.network.firewall.address_guard import AddressGuard
from shoal.network.firewall.changes import FirewallChanges
from shoal.network.firewall.docker_user import ForwardException
from shoal.network.firewall.nftables import Nftables, NftError
from shoal.network.firewall.table import FirewallTable
from shoal.network.instance import daemon_group
from shoal.network.ports import PortReservations

T = TypeVar("T")
_SETTLE_S = 0.2


class HostKernel:
    """What the worker thread owns, made in it and used in it only. `exceptions` are the accepts of (bridge, family)."""

    def __init__(self, table: str) -> None:
        self.thread = threading.get_native_id()
        self.nft = Nftables()
        self.netlink = Netlink()
        self.table = FirewallTable(self.nft, table)
        self.guard = AddressGuard(self.nft, table, daemon_group(table))
        self.exceptions: dict[tuple[str, str], ForwardException] = {}

    def mend(self, table: str) -> list[str]:
        """Puts back what is gone; what was done, or could not be. Raises: NftError."""
        # Both are looked at: somebody may have taken one of them away.
        gone = [self.table.mend(), self.guard.mend()]
        notes = [f"put the firewall table {table} back"] if any(gone) else []
        self.table.forget_permits()
        warnings = [exception.ensure() for exception in self.exceptions.values()]
        return [*notes, *filter(None, warnings)]

    def bring_up(self) -> list[str]:
        """Makes the tables serve every bridge that has joined them; warnings. Raises: NftError."""
        self.table.bring_up()
        return list(filter(None, [self.guard.bring_up()]))

    def destroy(self) -> None:
        """Takes the tables from the host; harmless when there are none. Raises: NftError."""
        self.table.destroy()
        self.guard.destroy()

    def close(self) -> None:
        """Lets go of the kernel; what is there stays."""
        self.guard.close()
        self.table.close()
        self.netlink.close()
        self.nft.close()


class BridgeHost:
    """The host's network as this daemon changes it: its nftables table `table`, and the host's ports that it holds."""

    def __init__(self, table: str, ports: PortReservations | None = None) -> None:
        self.table = table
        self.ports = ports or PortReservations()
        self._worker: ThreadPoolExecutor | None = None
        self._kernel: HostKernel | None = None

    async def run(self, work: Callable[[HostKernel], T]) -> T:
        """The result of `work` in the worker thread. Raises: Unavailable (no libnftables), and what `work` raises."""
        if self._worker is None:
            self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"network-{self.table}")
        return await asyncio.get_running_loop().run_in_executor(self._worker, lambda: work(self._open()))

    def _open(self) -> HostKernel:
        if self._kernel is None:
            self._kernel = HostKernel(self.table)
        return self._kernel

    async def bring_up(self) -> list[str]:
        """As `HostKernel.bring_up`."""
        return await self.run(lambda kernel: kernel.bring_up())

    async def mend(self) -> list[str]:
        """Puts back what somebody else's firewall reload took away: our table, our accepts. Raises: NftError."""
        return await self.run(lambda kernel: kernel.mend(self.table))

    async def watch(self, report: Callable[[str], None]) -> None:
        """Until cancelled: `mend` whenever somebody else has changed the firewall, and report what was done.

        Raises: SyscallError when the kernel doesn't tell of changes.
        """
        thread = await self.run(lambda kernel: kernel.thread)
        with FirewallChanges() as changes:
            while True:
                await changes.wait_foreign_change(thread)
                # A reload is several transactions: look when they are over.
                await asyncio.sleep(_SETTLE_S)
                changes.forget_nowait()
                try:
                    notes = await self.mend()
                except NftError as error:
                    notes = [str(error)]
                for note in notes:
                    report(note)

    async def remove_table(self) -> None:
        """As `HostKernel.destroy`."""
        await self.run(lambda kernel: kernel.destroy())

    async def close(self) -> None:
        """Ends the worker thread and lets the ports go; what is on the host stays. Harmless when repeated."""
        self.ports.close()
        kernel, self._kernel = self._kernel, None
        worker, self._worker = self._worker, None
        if worker is not None:
            if kernel is not None:
                await asyncio.get_running_loop().run_in_executor(worker, kernel.close)
            worker.shutdown()
