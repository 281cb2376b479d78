"""Process 1 of a guest: makes the machine fit to run a container, and answers as a supervisor to the monitor's line.

    monitor (host)                                      guest
       │ ◀──────────────────────────── hello {kernel} ─────│  modules loaded, file systems mounted, service up
       │ launch {steps, attach: [{…, fd: channel}]} ──────▶│  the supervisor's own `launch`, in this same process
       │ ◀──────────────────────────── reply {pid, …} ─────│
       │ ◀═══════ streams, one channel a client ══════════▶│
       │ exec, signal, resize, list, processes … ─────────▶│
       │ ◀────────────────────────── exited {code, …} ─────│

The requests are those of supervisor/protocol.py, and Service answers them; here they get the descriptors that the line
cannot carry: a client's socket is one end of a pair, whose other end is a stream of the line. Runs as /init of the
initramfs, with the interpreter's own library only. When it ends the kernel panics, and QEMU ends with it.
"""

from __future__ import annotations

import os
import sys
import time

from shoal.errors import Unavailable
from shoal.linux.boot import load_module, make_root_leavable, power_off
from shoal.linux.fd import Fd
from shoal.linux.files import read_file
from shoal.linux.filesystems import mount_filesystem
from shoal.linux.mounts import MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID
from shoal.linux.netlink import Netlink
from shoal.supervisor.child import describe_error
from shoal.supervisor.loop import Loop
from shoal.supervisor.machine.bridge import Bridge
from shoal.supervisor.machine.idle import Idleness
from shoal.supervisor.machine.places import PORT, ROOT, SHARE
from shoal.supervisor.protocol import listen
from shoal.supervisor.service import Service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_SOCKET = "/run/supervisor.sock"
_PLAIN = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC
_SYSTEM: tuple[tuple[str, str, int, list[str]], ...] = (
    ("proc", "/proc", _PLAIN, []),
    ("sysfs", "/sys", _PLAIN, []),
    ("devtmpfs", "/dev", MOUNT_ATTR_NOSUID, []),
    ("tmpfs", "/run", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, ["mode=755"]),
    ("cgroup2", "/sys/fs/cgroup", _PLAIN, ["nsdelegate"]),
)
_PORTS = "/sys/class/virtio-ports"
_PATIENCE_S, _PAUSE_S = 20.0, 0.002


def main() -> NoReturn:
    """Runs until the machine is switched off."""
    try:
        _serve()
    except BaseException as error:  # noqa: BLE001  the edge of this process: the console is all that is left
        body = describe_error(error, "guest")
        sys.stderr.write(f"shoal: {body['what']}: {body['why']}\n")
        sys.stderr.flush()
    power_off()
    os._exit(1)


def _serve() -> None:
    # As in a supervisor: what runs in a container is started with these.
    os.umask(0o022)
    make_root_leavable("/tmp")
    _mount_system()
    for name in read_file("/modules/order").decode().split():
        load_module(f"/modules/{name}")
    with Netlink() as netlink:
        netlink.configure_interface("lo", None, None)
    port = _open_port(PORT)
    loop = Loop()
    loop.on_error = _report
    service = Service(loop, listen(_SOCKET), "guest")
    Bridge(loop, service, _SOCKET, port, {"kernel": os.uname().release})
    Idleness(loop)
    loop.run()


def _mount_system() -> None:
    for kind, place, attributes, options in _SYSTEM:
        with Fd(os.open(place, os.O_PATH | os.O_CLOEXEC)) as target:
            mount_filesystem(kind, target, options=options, attrs=attributes, object=place).close()
    for directory in (SHARE, ROOT):
        os.mkdir(directory, 0o700)
    with Fd(os.open("/sys/fs/cgroup/cgroup.subtree_control", os.O_WRONLY | os.O_CLOEXEC)) as control:
        os.write(control.fileno(), b"+cpu +cpuset +memory +pids +io")


def _open_port(name: str) -> int:
    """The virtio-serial port of that name, once the kernel has it. Raises: Unavailable."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        for entry in os.listdir(_PORTS) if os.path.isdir(_PORTS) else ():
            try:
                found = read_file(f"{_PORTS}/{entry}/name").decode().strip()
            except FileNotFoundError:
                continue  # without a name, or not named yet
            if found == name:
                return os.open(f"/dev/{entry}", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        time.sleep(_PAUSE_S)  # nothing but udev, which is not here, tells of a new port
    raise Unavailable(f"no virtio-serial port {name}")


def _report(error: BaseException) -> None:
    body = describe_error(error, "guest")
    sys.stderr.write(f"shoal: {body['what']}: {body['why']}\n")
    sys.stderr.flush()
