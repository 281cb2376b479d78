"""The guest's part in a template: what makes a machine that has booted small, and a copy of it one of its own.

maker (host, once)      boots a machine without files and network ── settle ──▶ guest; then it is frozen and kept
monitor (each start)    wakes a copy ── renew {now_ns, entropy} ──▶ guest: from here on it is like no other copy
"""

from __future__ import annotations

import fcntl
import gc
import os
import struct
import sys
import time

from shoal.linux.files import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.supervisor.protocol import Body

# include/uapi/linux/random.h
_RNDADDENTROPY, _RNDRESEEDCRNG = 0x40085203, 0x5207
# What is left free while the rest is filled with zeros, and the most that is filled: boots dirty no more.
# What has been loaded from there is not looked for again.
_SPENT = ("/modules", "/lib/shoal", f"{sys.prefix}/lib/python{sys.version_info.major}.{sys.version_info.minor}")
_SPARED_BYTES, _MOST_FILLED_BYTES = 6 << 20, 512 << 20


def settle(_body: Body) -> Body:
    """Forgets what the boot has left in memory: pages of zeros take no room in the template, nor in its copies."""
    gc.collect()
    gc.freeze()
    for directory in _SPENT:
        _remove(directory)
    _write("/proc/sys/vm/drop_caches", b"3")
    _write("/proc/sys/vm/compact_memory", b"1")
    filled = b"\0" * max(0, min(_free_bytes() - _SPARED_BYTES, _MOST_FILLED_BYTES))
    return {"filled_bytes": len(filled)}


def renew(body: Body) -> Body:
    """Sets the clock, makes the random numbers this machine's own, and finds the devices that the template had not."""
    time.clock_settime_ns(time.CLOCK_REALTIME, body["now_ns"])
    seed = body["entropy"]
    device = os.open("/dev/urandom", os.O_WRONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(device, _RNDADDENTROPY, struct.pack("ii", 8 * len(seed), len(seed)) + seed)
        # Else the kernel goes on with the key that every copy has, for up to a minute.
        fcntl.ioctl(device, _RNDRESEEDCRNG)
    finally:
        os.close(device)
    _write("/sys/bus/pci/rescan", b"1")
    return {}


def _free_bytes() -> int:
    lines = read_file("/proc/meminfo").decode().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))


def _remove(directory: str) -> None:
    for place, directories, files in os.walk(directory, topdown=False):
        for name in files:
            os.unlink(f"{place}/{name}")
        for name in directories:
            os.rmdir(f"{place}/{name}")


def _write(path: str, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, data)
    finally:
        os.close(file)
