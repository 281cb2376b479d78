"""Process 1 of the guest: mounts what a system has, runs the job that the host sends, reports, and powers off.

Started by the initramfs as `python3 -m tests.vm.guest`, with the standard library alone. Whatever fails here ends in
a message or on the console; that process 1 ends is a panic of the kernel, which the host sees as the end of QEMU.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from tests.vm.messages import OUTPUT_PORT, REPORT_PORT, Decoder, Message, encode

CHECKOUT = Path(__file__).resolve().parents[2]
RESULTS = Path("/run/results.xml")
CGROUPS = Path("/sys/fs/cgroup")
# Where the tests live: a leaf, as a service's group under systemd is one.
OWN_GROUP = "tests.service"
_SWAP_MIB = 256
# A test's time: where every instruction is emulated all takes ten times as long.
_TEST_S = 600
_NOSUID, _NODEV, _NOEXEC = 2, 4, 8
_POWER_OFF = 0x4321FEDC
_V1_HIERARCHIES = (
    "cpu,cpuacct",
    "cpuset",
    "memory",
    "pids",
    "blkio",
    "devices",
    "freezer",
    "hugetlb",
    "net_cls,net_prio",
)

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: Path, kind: str, options: str = "", flags: int = _NOSUID | _NODEV | _NOEXEC) -> None:
    """mount(2), the directory made if it is missing.

    Raises: OSError.
    """
    target.mkdir(parents=True, exist_ok=True)
    if _libc.mount(source.encode(), os.fsencode(target), kind.encode(), flags, options.encode()):
        raise OSError(ctypes.get_errno(), f"mount {kind} on {target}")


def mount_system() -> None:
    """What every program expects to find; /dev comes along from the initramfs."""
    mount("proc", Path("/proc"), "proc")
    mount("sysfs", Path("/sys"), "sysfs")
    mount("devpts", Path("/dev/pts"), "devpts", "ptmxmode=666,mode=620,gid=5", _NOSUID | _NOEXEC)
    mount("tmpfs", Path("/dev/shm"), "tmpfs", "", _NOSUID | _NODEV)
    mount("tmpfs", Path("/run"), "tmpfs", "mode=755", _NOSUID | _NODEV)
    mount("securityfs", Path("/sys/kernel/security"), "securityfs")
    mount("bpf", Path("/sys/fs/bpf"), "bpf")


def mount_cgroups(layout: str) -> None:
    """Mount control groups as a machine with systemd has them: "v2", "hybrid" or "v1".

    Raises: OSError.
    """
    if layout == "v2":
        mount("cgroup2", CGROUPS, "cgroup2", "nsdelegate,memory_recursiveprot")
        return
    mount("tmpfs", CGROUPS, "tmpfs", "mode=755")
    for controllers in _V1_HIERARCHIES:
        mount("cgroup", CGROUPS / controllers, "cgroup", controllers)
    mount("cgroup", CGROUPS / "systemd", "cgroup", "none,name=systemd")
    if layout == "hybrid":
        mount("cgroup2", CGROUPS / "unified", "cgroup2", "nsdelegate")


def enter_own_group(layout: str) -> None:
    """Move this process out of the top group, where on a real machine no service is; its controllers as by systemd."""
    if layout == "v2":
        (CGROUPS / "cgroup.subtree_control").write_text("+memory +pids")
        (CGROUPS / OWN_GROUP).mkdir()
        (CGROUPS / OWN_GROUP / "cgroup.procs").write_text("0")


def add_swap() -> None:
    """Swap space, so that its limits mean something."""
    path = Path("/swap")
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, _SWAP_MIB << 20)
    path.chmod(0o600)
    for command in (["mkswap", "-q", str(path)], ["swapon", str(path)]):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def connect() -> None:
    """The network of a machine with an engine on it: loopback, forwarding, bridges that ask netfilter, taps."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["modprobe", "-a", "br_netfilter", "tun"], check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def wait_port(name: str, patience_s: float = 10) -> int:
    """A descriptor of the virtio-serial port `name`, once the kernel has it.

    Raises: TimeoutError.
    """
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        for place in Path("/sys/class/virtio-ports").glob("*"):
            if (place / "name").exists() and (place / "name").read_text().strip() == name:
                return os.open(f"/dev/{place.name}", os.O_RDWR | os.O_CLOEXEC)
        time.sleep(0.01)  # nothing but udev, which is not here, tells of a new port
    raise TimeoutError(f"no virtio-serial port {name}")


class Report:
    """The host, as seen from here."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._decoder = Decoder()

    def send(self, message: Message) -> None:
        """Tell the host."""
        data = encode(message)
        while data:
            data = data[os.write(self._port, data) :]

    def receive(self) -> Message:
        """The next message of the host."""
        while True:
            for message in self._decoder.feed(os.read(self._port, 65536)):
                return message
            time.sleep(0.01)  # a port whose other end is not open yet reads as ended


def run_job(job: Message, output: int) -> int:
    """The exit code of pytest (128 + N: signal N) with the job's arguments; its output goes to the descriptor."""
    arguments = job["arguments"]
    assert isinstance(arguments, list)
    python = str(CHECKOUT / ".venv/bin/python")
    command = [python, "-m", "pytest", f"--junit-xml={RESULTS}", "-o", f"timeout={_TEST_S}", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.Popen(
        command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
    )
    return reap_until(process.pid)


def reap_until(pid: int) -> int:
    """The exit code of that child; every orphan that comes to process 1 meanwhile is reaped too."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def serve(report: Report, output: int) -> None:
    """Make the system, get the job, run it, send what came of it."""
    job = report.receive()
    layout = str(job["cgroups"])
    mount_cgroups(layout)
    enter_own_group(layout)
    add_swap()
    connect()
    report.send({"kind": "ready", "kernel": os.uname().release, "uptime_s": time.clock_gettime(time.CLOCK_BOOTTIME)})
    code = run_job(job, output)
    if RESULTS.exists():
        report.send({"kind": "file", "name": "results.xml", "text": RESULTS.read_text(errors="replace")})
    report.send({"kind": "exit", "code": code})


def power_off() -> None:
    """End the machine."""
    os.sync()
    _libc.reboot(_POWER_OFF)


def main() -> None:
    """Run as process 1."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        mount_system()
        Path("/proc/sys/kernel/hostname").write_text("guest")
        serve(Report(wait_port(REPORT_PORT)), wait_port(OUTPUT_PORT))
    except BaseException:  # noqa: BLE001 - process 1 must not end with a traceback that nobody sees
        traceback.print_exc(file=sys.__stderr__)
        sys.__stderr__.flush() if sys.__stderr__ else None
        time.sleep(0.1)
    power_off()


if __name__ == "__main__":
    main()
