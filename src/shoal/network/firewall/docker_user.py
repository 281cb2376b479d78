"""Getting along with a foreign firewall that drops what is forwarded.

An `accept` in our table can't override a `drop` in another one. Docker sets iptables' FORWARD policy to DROP and
leaves the chain DOCKER-USER to others: there we add two accepts for our bridge, marked as ours, and take them away at
the end. What then reaches the bridge is still judged by our own table. Nothing else of a foreign table is touched.
"""

from __future__ import annotations

import os
import re
import subprocess

from shoal.network.firewall.nftables import Nftables, NftError

_IPTABLES = {"ip": "iptables", "ip6": "ip6tables"}
_LEGACY_TIMEOUT_S = 10


class ForwardException:
    """Our accepts for one bridge in DOCKER-USER, for the one thread that owns `nft`. Blocking.

    `family` is "ip" or "ip6", each of which has a DOCKER-USER of its own.
    """

    def __init__(self, nft: Nftables, bridge: str, family: str = "ip") -> None:
        self._nft = nft
        self._bridge = bridge
        self._family = family
        self._mark = f"shoal: {bridge}"
        self._legacy_program = f"/usr/sbin/{_IPTABLES[family]}-legacy"

    def ensure(self) -> str:
        """Add the accepts where they are needed and possible; "" or a warning that tells what is dropped.

        Idempotent. Raises: NftError.
        """
        warnings = [self._ensure_nft(), self._ensure_legacy()]
        return "; ".join(warning for warning in warnings if warning)

    def remove(self) -> None:
        """Take away every accept of ours; harmless when there is none. Raises: NftError."""
        for handle in self._handles():
            self._nft.run(f"delete rule {self._family} filter DOCKER-USER handle {handle}")
        if self._legacy_in_use():
            for flag in ("-i", "-o"):
                while self._legacy("-D", "DOCKER-USER", *self._legacy_rule(flag)):
                    pass

    # -- nftables, and iptables on top of it ----------------------------------------------------------------------

    def _chain(self, name: str) -> str:
        try:
            return self._nft.run(f"list chain {self._family} filter {name}")
        except NftError as error:
            if error.missing:
                return ""
            raise

    def _handles(self) -> list[int]:
        marked = re.compile(rf'comment "{re.escape(self._mark)}" # handle (\d+)$', re.MULTILINE)
        return [int(handle) for handle in marked.findall(self._chain("DOCKER-USER"))]

    def _ensure_nft(self) -> str:
        if "policy drop" not in self._chain("FORWARD"):
            return ""
        if not self._chain("DOCKER-USER"):
            return _dropped_words(self._bridge, f"{_IPTABLES[self._family]} -I FORWARD")
        if not self._handles():
            rule = f"insert rule {self._family} filter DOCKER-USER"
            self._nft.run(
                f'{rule} iifname "{self._bridge}" counter accept comment "{self._mark}"\n'
                f'{rule} oifname "{self._bridge}" counter accept comment "{self._mark}"\n'
            )
        return ""

    # -- iptables-legacy: another framework in the kernel, reached only through its own program ------------------

    def _ensure_legacy(self) -> str:
        if not self._legacy_in_use() or not self._legacy_drops():
            return ""
        for flag in ("-i", "-o"):
            rule = self._legacy_rule(flag)
            if self._legacy("-C", "DOCKER-USER", *rule):
                continue
            if not self._legacy("-I", "DOCKER-USER", *rule):
                return _dropped_words(self._bridge, f"{_IPTABLES[self._family]}-legacy -I FORWARD")
        return ""

    def _legacy_rule(self, flag: str) -> tuple[str, ...]:
        return (flag, self._bridge, "-m", "comment", "--comment", self._mark, "-j", "ACCEPT")

    def _legacy_in_use(self) -> bool:
        """Whether the old filter table exists; asking `iptables-legacy` itself would create it."""
        try:
            with open(f"/proc/net/{self._family}_tables_names", encoding="ascii") as file:
                return "filter" in file.read().split() and os.access(self._legacy_program, os.X_OK)
        except OSError:
            return False

    def _legacy_drops(self) -> bool:
        listed = subprocess.run(
            [self._legacy_program, "-w", "5", "-S", "FORWARD"],
            capture_output=True,
            text=True,
            timeout=_LEGACY_TIMEOUT_S,
            check=False,
        )
        return "-P FORWARD DROP" in listed.stdout

    def _legacy(self, *arguments: str) -> bool:
        done = subprocess.run(
            [self._legacy_program, "-w", "5", *arguments], capture_output=True, timeout=_LEGACY_TIMEOUT_S, check=False
        )
        return done.returncode == 0


def _dropped_words(bridge: str, command: str) -> str:
    return (
        f"a foreign firewall drops forwarded packets, so other machines can't reach published ports of {bridge} and "
        f"containers can't reach the outside: allow it with `{command} -i {bridge} -j ACCEPT` and "
        f"`{command} -o {bridge} -j ACCEPT`"
    )
