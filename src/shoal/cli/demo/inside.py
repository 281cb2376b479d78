"""Step 2 of the demo: what a process in a container sees."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from shoal.cli.demo.stage import Stage
from shoal.cli.demo.webserver import COMMAND
from shoal.client.capture import exec_captured
from shoal.client.client import Client
from shoal.errors import Unavailable

# One line for each fact, `name value`. Debian's smallest image has no ps and no ip; /proc and /sys tell the same.
_SCRIPT = r"""
for process in /proc/[0-9]*; do
    [ "${process#/proc/}" = $$ ] || echo "process ${process#/proc/} $(tr '\0' ' ' < "$process/cmdline")"
done
echo "name $(hostname)"
. /etc/os-release; echo "system $PRETTY_NAME"
echo "cards $(ls -m /sys/class/net)"
echo "address $(hostname -I)"
echo "release $(uname -r)"
"""


@dataclass(frozen=True, slots=True)
class View:
    """What can be seen from one place. `processes` are `PID command` lines."""

    processes: list[str]
    name: str
    system: str
    cards: list[str]
    address: str
    release: str


def view_from_container(client: Client, ref: str) -> View:
    """What the container `ref` sees. Raises: Unavailable when the script fails there."""
    seen = exec_captured(client, ref, ["/bin/sh", "-c", _SCRIPT])
    if seen.exit_code:
        raise Unavailable(f"the look around in {ref} failed", why=seen.stderr.decode("utf-8", "replace").strip())
    facts = [line.split(" ", 1) for line in seen.text().splitlines()]
    values = {name: value.strip() for name, value in facts if name != "process"}
    return View(
        [value.strip() for name, value in facts if name == "process"],
        values.get("name", ""),
        values.get("system", ""),
        values.get("cards", "").split(", "),
        values.get("address", ""),
        values.get("release", ""),
    )


def show_inside(stage: Stage) -> None:
    """Step 2."""
    narration = stage.narration
    narration.step(2, "A machine of its own, on the same kernel")
    narration.explain(
        "A container is a process to which the kernel shows other processes, names, files and network cards than to "
        "its neighbours. Nothing is emulated: the kernel is the host's."
    )
    view, host = view_from_container(stage.client, "web-1"), os.uname()
    host_cards = sorted(name for _, name in socket.if_nameindex())
    host_processes = sum(name.isdecimal() for name in os.listdir("/proc"))
    narration.figure("processes", f"{'; '.join(view.processes)}   (host: {host_processes} processes)")
    narration.figure("host name", f"{view.name}   (host: {host.nodename})")
    narration.figure("file system", f"{view.system}   (host: {_host_system()})")
    narration.figure("network", f"{' '.join(view.cards)}, address {view.address}   (host: {_few(host_cards)})")
    narration.figure("kernel release", f"{view.release}   (host: {host.release})")
    narration.promise("its own process table, in which the web server is PID 1", view.processes == [_server_line()])
    narration.promise("its own host name", view.name == "web-1" and view.name != host.nodename)
    narration.promise("its own file system: Debian 12", "12 (bookworm)" in view.system)
    narration.promise("its own network: a card and the loopback, with an address", _is_own_network(view))
    narration.promise("the host's kernel", view.release == host.release)


def _few(cards: list[str]) -> str:
    return " ".join(cards[:4]) + (f" and {len(cards) - 4} more" if len(cards) > 4 else "")


def _server_line() -> str:
    return f"1 {' '.join(COMMAND)}"


def _is_own_network(view: View) -> bool:
    return sorted(view.cards) == ["eth0", "lo"] and view.address.count(".") == 3


def _host_system() -> str:
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            pairs = dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
    except OSError:
        return "unknown"
    return pairs.get("PRETTY_NAME", "unknown").strip('"')
