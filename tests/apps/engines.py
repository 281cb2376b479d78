"""The engines that build the applications, in the host's network: the registries are outside of the machine."""

from __future__ import annotations

from tests.engines.dockerd import Dockerd


class OutsideDockerd(Dockerd):
    """A private dockerd in the host's network: without a bridge and without rules, so that the host stays as it was."""

    own_network = False

    def command(self) -> list[str]:
        """dockerd, started in a new mount namespace."""
        *_, start = super().command()
        plain = "--bridge=none --iptables=false --ip6tables=false --ip-forward=false"
        return ["unshare", "-m", "--propagation", "private", "sh", "-c", f"{start.partition('&& ')[2]} {plain}"]
