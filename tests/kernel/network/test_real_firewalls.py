"""The firewalls that people have, themselves: Debian's ufw and firewalld, on a host of their own beside shoal's tables.

Each has its files and its daemons in a mount namespace, so that the machine's own firewall is left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shoal.network.bridge import BridgeNetwork
from shoal.network.endpoint import Endpoint
from shoal.network.ports import PortRequest
from tests.kernel.network.conftest import HOST_IP, LAN_IP, Site
from tests.kernel.network.namespaces import Namespace, exchange, nft
from tests.kernel.network.test_guarded_ports import WEB, refused

pytestmark = pytest.mark.root
OPEN = PortRequest("tcp", 80, "0.0.0.0", range(8081, 8082))
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={path}</listen><policy context="default"><allow user="*"/>
<allow own="*"/><allow send_type="method_call"/><allow send_destination="*"/><allow receive_sender="*"/>
</policy></busconfig>"""


@pytest.fixture
def clean(site: Site) -> Iterator[None]:
    """Takes what a firewall has left before the site looks for it."""
    yield
    assert site
    for line in nft("list", "tables").splitlines():
        if line.split()[-1] != "shoal":
            nft("delete", *line.split())


class Web:
    """A container with a guarded port, 8080, and an open one, 8081, of the same server."""

    def __init__(self, site: Site) -> None:
        self.network: BridgeNetwork = site.network()
        self.lan = site.lan
        self.container: Namespace
        self.endpoint: Endpoint
        self.container, self.endpoint = site.container(self.network, WEB, OPEN)

    def answers(self, port: int) -> bool:
        """Whether the LAN gets through, and is seen as itself."""
        with self.container.listen("0.0.0.0", 80) as server:
            if refused(self.lan, port=port):
                return False
            server.accept()[0].close()
            return exchange(server, self.lan.connect(HOST_IP, port)) == LAN_IP

    def forget_permits(self) -> None:
        """What the daemon's watch does when it sees the change."""
        nft("flush", "set", "inet", "shoal", "permitted")


def isolated(files: Path, place: str, *command: str) -> list[str]:
    """A command that sees `files` at `place` and a /run of its own."""
    script = 'mount --bind "$0" "$1" && mount -t tmpfs none /run && shift && exec "$@"'
    return ["unshare", "-m", "sh", "-c", script, str(files), place, *command]


@pytest.mark.skipif(shutil.which("ufw") is None, reason="ufw is not installed: apt install ufw")
@pytest.mark.usefixtures("clean")
def test_guarded_port_obeys_ufw(site: Site, tmp_path: Path) -> None:
    """Denied until it is allowed, denied again after; an open port needs no leave but that of forwarding."""
    files = tmp_path / "ufw"
    shutil.copytree("/etc/ufw", files)
    web = Web(site)

    def ufw(*words: str) -> None:
        command = isolated(files, "/etc/ufw", "ufw", *words)
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
        assert done.returncode == 0, done.stdout + done.stderr
        web.forget_permits()

    assert web.answers(8080)
    ufw("--force", "enable")
    # ufw drops all that is forwarded; what `shoal doctor` advises.
    assert not web.answers(8081)
    ufw("route", "allow", "in", "on", "shoal0")
    ufw("route", "allow", "out", "on", "shoal0")
    assert web.answers(8081)
    assert not web.answers(8080)
    ufw("allow", "8080/tcp")
    assert web.answers(8080)
    ufw("delete", "allow", "8080/tcp")
    ufw("deny", "8080/tcp")
    assert not web.answers(8080)


class Firewalld:
    """firewalld with a bus of its own."""

    def __init__(self, stack: contextlib.ExitStack, directory: Path) -> None:
        bus, files = directory / "bus", directory / "firewalld"
        shutil.copytree("/etc/firewalld", files)
        (directory / "bus.conf").write_text(BUS.format(path=bus))
        self._environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus}"}
        words = ("--nofork", "--nopidfile", f"--config-file={directory / 'bus.conf'}")
        self._start(stack, ["dbus-daemon", *words])
        _wait(bus.exists)
        self._start(stack, isolated(files, "/etc/firewalld", "firewalld", "--nofork", "--nopid"))
        _wait(lambda: self._run("--state").returncode == 0)

    def _start(self, stack: contextlib.ExitStack, command: list[str]) -> None:
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, env=self._environment, stdout=quiet, stderr=quiet)
        stack.callback(process.wait, 10)
        stack.callback(process.terminate)

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["firewall-cmd", *words], capture_output=True, text=True, env=self._environment)

    def change(self, *words: str) -> None:
        """`firewall-cmd` with these words."""
        done = self._run(*words)
        assert done.returncode == 0, done.stdout + done.stderr


def _wait(is_there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_there():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(shutil.which("firewalld") is None, reason="firewalld is not installed: apt install firewalld")
@pytest.mark.usefixtures("clean")
def test_ports_and_guard_live_with_firewalld_and_its_reload(site: Site, tmp_path: Path) -> None:
    """A guarded port obeys it; reloads, and a flush of everything, leave shoal's tables there, or bring them back."""
    with contextlib.ExitStack() as stack:
        web = Web(site)
        firewalld = Firewalld(stack, tmp_path)
        web.forget_permits()
        assert not web.answers(8080)
        firewalld.change("--add-port=8080/tcp")
        web.forget_permits()
        assert web.answers(8080)
        firewalld.change("--reload")
        web.forget_permits()
        assert not web.answers(8080)
        firewalld.change("--permanent", "--zone=trusted", "--add-interface=shoal0")
        firewalld.change("--reload")
        assert web.answers(8081)
        reports: list[str] = []

        async def reload_and_flush() -> None:
            watching = asyncio.ensure_future(web.network.watch(reports.append))
            try:
                await asyncio.to_thread(firewalld.change, "--reload")
                await asyncio.to_thread(nft, "flush", "ruleset")
                while not reports:
                    await asyncio.sleep(0.02)
            finally:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching

        site.run(reload_and_flush())
        assert set(reports) == {"put the firewall table shoal back"}
        assert web.answers(8081)
        assert "pairs" in nft("list", "table", "bridge", "shoal")
