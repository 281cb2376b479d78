"""What is run in every instance: the same scripts, by the same busybox, which each of them is given. Pure.

So the figures do not depend on what the image has, and the same instructions are timed everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

PLACE = "/.shoal-compare"
FILES = 500
SYSTEM_CALLS = 100_000
STREAM_PORT = 5201


def cpu_loop(turns: int) -> str:
    """Adds one, so many times."""
    return f"i=0; while [ $i -lt {turns} ]; do i=$((i+1)); done"


def file_loop(directory: str, busybox: str) -> str:
    """Makes small files, reads them, and removes them."""
    return (
        f"{busybox} mkdir {directory} && cd {directory} && i=0; "
        f"while [ $i -lt {FILES} ]; do echo text > f$i; i=$((i+1)); done; "
        f"{busybox} cat * > /dev/null; cd /; {busybox} rm -r {directory}"
    )


def system_calls(busybox: str) -> str:
    """Reads and writes single bytes: two system calls a turn, and little else."""
    return f"{busybox} dd if=/dev/zero of=/dev/null bs=1 count={SYSTEM_CALLS // 2} 2> /dev/null"


def stream_server(busybox: str) -> list[str]:
    """Sends zeros to whoever connects, one after the other."""
    return [busybox, "nc", "-ll", "-p", str(STREAM_PORT), "-e", busybox, "dd", "if=/dev/zero", "bs=64k"]


@dataclass(frozen=True, slots=True)
class Look:
    """What one script prints is shown as what an instance sees."""

    title: str
    script: str


def looks(busybox: str) -> list[Look]:
    """What an instance sees of a machine."""
    return [
        Look("kernel release", f"{busybox} uname -r"),
        Look("host name", f"{busybox} hostname"),
        Look("processes", "set -- /proc/[0-9]*; echo $#"),
        Look("processors", f"{busybox} nproc"),
        Look("memory", f"{busybox} awk '/^MemTotal/ {{ printf \"%d MiB\", $2 / 1024 }}' /proc/meminfo"),
        Look("device files", "set -- /dev/*; echo $#"),
        Look("block devices", "set -- /sys/class/block/*; [ -e $1 ] && echo $# || echo 0"),
        Look("mounts", f"{busybox} wc -l < /proc/mounts"),
        Look("network interfaces", "set -- /sys/class/net/*; echo $#"),
    ]
