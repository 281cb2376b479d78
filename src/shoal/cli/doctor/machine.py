"""The machine around the kernel: rights, memory, the clock, virtualisation, security modules, libraries."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import time

from shoal.cli.doctor.finding import OK, PROBLEM, WARNING, Finding, read_text

AREA = "machine"
_KVM_GET_API_VERSION = 0xAE00
_KVM_CREATE_VM = 0xAE01
_KVM_API = 12
_LIBRARIES = (
    ("libnftables.so.1", "libnftables1", "published ports and container networks"),
    ("libseccomp.so.2", "libseccomp2", "filters of system calls"),
)
_INITS = ("/usr/bin/tini-static", "/usr/libexec/docker/docker-init", "/usr/bin/catatonit")
_LOW_MEMORY_KIB = 128 * 1024


def check_machine() -> list[Finding]:
    """What is there, by asking; nothing is changed."""
    return [
        _root(),
        _memory(),
        _clock(),
        _kvm(),
        *_security_modules(),
        *(_library(*row) for row in _LIBRARIES),
        _init(),
    ]


def _root() -> Finding:
    if os.geteuid() == 0:
        return Finding(AREA, "root", OK)
    return Finding(
        AREA, "root", WARNING, "not root: some answers are those of a user without rights", "sudo shoal doctor"
    )


def _memory() -> Finding:
    fields = dict(line.split(":", 1) for line in read_text("/proc/meminfo").splitlines() if ":" in line)

    def kib(name: str) -> int:
        words = fields.get(name, "0").split()
        return int(words[0]) if words and words[0].isdigit() else 0

    detail = (
        f"{os.cpu_count()} processors, {kib('MemTotal') >> 10} MiB, {kib('MemAvailable') >> 10} MiB of it to be had"
    )
    if kib("MemAvailable") < _LOW_MEMORY_KIB:
        return Finding(AREA, "memory", WARNING, detail, "end something, or add memory: what starts now may be killed")
    return Finding(AREA, "memory", OK, detail)


def _clock() -> Finding:
    """A clock before the making of this program is wrong: certificates and `until` filters fail with it."""
    made = os.stat(__file__).st_mtime
    shown = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if time.time() < made - 86400:
        return Finding(AREA, "clock", PROBLEM, f"{shown}, before shoal was installed", "set the time: timedatectl")
    return Finding(AREA, "clock", OK, shown)


def _kvm() -> Finding:
    """Whether a machine with a kernel of its own could be made; one is made and thrown away to know."""
    try:
        fd = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        fix = "enable virtualisation in the firmware (or nested, in a guest) and `modprobe kvm`; without it, emulation"
        return Finding(AREA, "kvm", WARNING, f"/dev/kvm: {error.strerror}", fix)
    try:
        version = fcntl.ioctl(fd, _KVM_GET_API_VERSION)
        os.close(fcntl.ioctl(fd, _KVM_CREATE_VM))
    except OSError as error:
        return Finding(AREA, "kvm", WARNING, f"/dev/kvm makes no machine: {error.strerror}", "see `dmesg | grep kvm`")
    finally:
        os.close(fd)
    return Finding(AREA, "kvm", OK if version == _KVM_API else WARNING, f"API version {version}")


def _security_modules() -> list[Finding]:
    loaded = read_text("/sys/kernel/security/lsm")
    apparmor = read_text("/sys/module/apparmor/parameters/enabled") == "Y"
    found = [
        Finding(AREA, "apparmor", OK, "enabled")
        if apparmor
        else Finding(
            AREA,
            "apparmor",
            WARNING,
            "the kernel does not have it, or it is off: containers have no profile",
            "boot with apparmor=1 security=apparmor, where the kernel is built with it",
        )
    ]
    if "selinux" in loaded.split(","):
        found.append(
            Finding(AREA, "selinux", WARNING, "on; shoal sets no labels", "setenforce 0, if it stands in the way")
        )
    return found


def _library(soname: str, package: str, use: str) -> Finding:
    name = soname.partition(".")[0]
    try:
        ctypes.CDLL(soname)
    except OSError:
        return Finding(AREA, name, PROBLEM, f"not installed: no {use}", f"apt-get install {package}")
    return Finding(AREA, name, OK)


def _init() -> Finding:
    here = next((path for path in _INITS if os.path.exists(path)), None)
    if here:
        return Finding(AREA, "init", OK, here)
    return Finding(AREA, "init", WARNING, "no init for `run --init`", "apt-get install tini")


def program(name: str) -> str:
    """The path of a program, those in /usr/sbin too; "" where it is not installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""
