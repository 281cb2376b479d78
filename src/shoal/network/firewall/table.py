"""A daemon's nftables table in the kernel: built whole, then changed element by element."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shoal.network.firewall.elements import SetElements
from shoal.network.firewall.nftables import Nftables, NftError
from shoal.network.firewall.publications import element_of
from shoal.network.firewall.ruleset import (
    BridgedSubnet,
    Publication,
    render_destroyed,
    render_permits_forgotten,
    render_table,
)
from shoal.network.ipv6_host import reaches_loopback


class FirewallTable:
    """The table `name`, for the one thread that owns `nft`. Blocking.

    Knows what it should hold, so that it can mend itself when somebody flushed the whole ruleset.
    """

    def __init__(self, nft: Nftables, name: str) -> None:
        self._nft = nft
        self._name = name
        self._elements = SetElements(name)
        self._networks: dict[str, BridgedSubnet] = {}
        self._publications: dict[Publication, None] = {}
        self._is_up = False
        self._reaches_loopback6 = True

    def rebuild(self, networks: Iterable[BridgedSubnet], publications: Iterable[Publication]) -> None:
        """Replace the table, in one transaction, by one that holds exactly this.

        Raises: NftError.
        """
        self._networks = {network.bridge: network for network in networks}
        self._publications = dict.fromkeys(publications)
        self.bring_up()

    def bring_up(self) -> None:
        """Make the table in the kernel what it is to be, in one transaction; from now on every change is made there.

        Raises: NftError.
        """
        self._is_up = True
        self._render()

    def join(self, network: BridgedSubnet, publications: Iterable[Publication] = ()) -> None:
        """Serve one more bridge, or the same one anew. Raises: NftError."""
        self._networks[network.bridge] = network
        self._publications.update(dict.fromkeys(publications))
        self._render()

    def leave(self, bridge: str, publications: Iterable[Publication] = ()) -> None:
        """Serve a bridge no longer, and what of its publications has not been removed; harmless when it is not served.

        Raises: NftError.
        """
        for publication in publications:
            self._publications.pop(publication, None)
        if self._networks.pop(bridge, None) is not None:
            self._render()

    def _render(self) -> None:
        if self._is_up:
            self._reaches_loopback6 = reaches_loopback()
            text = render_table(
                self._name,
                self._networks.values(),
                self._publications,
                reaches_loopback6=self._reaches_loopback6,
            )
            self._nft.run(text)

    def mend(self) -> bool:
        """Put the table back if it is gone; whether it was.

        Raises: NftError.
        """
        if not self._is_up:
            return False
        is_gone = not self.exists()
        # Whoever changes the firewall may have loaded br_netfilter for it.
        if is_gone or self._reaches_loopback6 != reaches_loopback():
            self._render()
        return is_gone

    def forget_permits(self) -> None:
        """Have the clients of guarded ports ask the host's firewall anew. Raises: NftError."""
        if self._is_up and any(publication.port.guarded for publication in self._publications):
            try:
                self._nft.run(render_permits_forgotten(self._name, self._networks.values()))
            except NftError as error:
                if not error.missing:  # flushed just now, permits and all
                    raise

    def add(self, publications: Sequence[Publication]) -> None:
        """Publish ports.

        Raises: NftError.
        """
        if not publications:
            return
        self._publications.update(dict.fromkeys(publications))
        if any(_needs_rules(publication) for publication in publications):
            self._render()
            return
        try:
            self._elements.add(map(element_of, publications))
        except NftError:
            # The table was flushed, or holds a stale element under one of the keys.
            self._render()

    def remove(self, publications: Sequence[Publication]) -> None:
        """End the publication of ports; harmless for those that aren't published.

        Raises: NftError.
        """
        known = [publication for publication in publications if publication in self._publications]
        if not known:
            return
        for publication in known:
            del self._publications[publication]
        if any(_needs_rules(publication) for publication in known):
            self._render()
            return
        try:
            self._elements.remove(map(element_of, known))
        except NftError:
            self._render()

    def destroy(self) -> None:
        """Take the table away; harmless when there is none. Raises: NftError."""
        self._publications.clear()
        self._networks.clear()
        self._is_up = False
        self._nft.run(render_destroyed(self._name))

    def close(self) -> None:
        """Let go of the kernel; the table stays."""
        self._elements.close()

    def exists(self) -> bool:
        """Whether the kernel has the table, not flushed. Raises: NftError."""
        try:
            return "published_any" in self._nft.run(f"list chain inet {self._name} publish")
        except NftError as error:
            if error.missing:
                return False
            raise


def _needs_rules(publication: Publication) -> bool:
    """Whether it is more than an element of a map."""
    return publication.port.guarded or publication.is_opened
