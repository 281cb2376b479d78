"""`spec` and `features`: a specification to begin with, and what this runtime can do. OCI runtime-spec, features.md."""

from __future__ import annotations

import json
import os

import shoal
from shoal.errors import Conflict, ShoalError, SyscallError
from shoal.linux.capabilities import all_known, names
from shoal.linux.cgroups import detect
from shoal.linux.namespaces import OCI_NAMES
from shoal.linux.seccomp import FLAGS
from shoal.oci_runtime.arguments import Invocation
from shoal.oci_runtime.bundle import has_apparmor
from shoal.oci_runtime.records import STATE_VERSION
from shoal.oci_runtime.report import Report
from shoal.runtime.compile.options import KNOWN_OPTIONS

_CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
_HOOKS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
_ACTIONS = "ALLOW ERRNO KILL KILL_PROCESS KILL_THREAD LOG TRACE TRAP"
_OPERATORS = "NE LT LE EQ GE GT MASKED_EQ"
_ARCHITECTURES = "AARCH64 ARM MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 PPC PPC64 PPC64LE RISCV64 S390 S390X X32 X86 X86_64"
_SAFE = ["nosuid", "noexec", "nodev"]
_MASKED = "acpi asound kcore keys latency_stats timer_list timer_stats sched_debug scsi"
_READONLY = "bus fs irq sys sysrq-trigger"


def spec(call: Invocation, report: Report) -> int:
    """Writes a `config.json` to begin with into the bundle's directory."""
    del report
    path = os.path.join(call.flags.text("bundle", "."), "config.json")
    document = json.dumps(default_spec(rootless=call.flags.switch("rootless")), indent="\t")
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(document + "\n")
    except FileExistsError:
        raise Conflict(f"File {path} exists. Remove it first") from None
    except OSError as error:
        raise SyscallError("open", path, error.errno or 0) from None
    return 0


def default_spec(*, rootless: bool) -> dict[str, object]:
    """A specification of a shell in namespaces of its own; `rootless` for one user without any right of root's."""
    kinds = ["pid", "network", "ipc", "uts", "mount", "cgroup"]
    linux: dict[str, object] = {
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "namespaces": [{"type": kind} for kind in kinds],
        "maskedPaths": [*(f"/proc/{name}" for name in _MASKED.split()), "/sys/firmware"],
        "readonlyPaths": [f"/proc/{name}" for name in _READONLY.split()],
    }
    if rootless:
        uid, gid = os.geteuid(), os.getegid()
        linux["namespaces"] = [{"type": kind} for kind in (*kinds, "user")]
        linux["uidMappings"] = [{"containerID": 0, "hostID": uid, "size": 1}]
        linux["gidMappings"] = [{"containerID": 0, "hostID": gid, "size": 1}]
        del linux["resources"]
    return {
        "ociVersion": STATE_VERSION,
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), _CAPABILITIES),
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "shoal",
        "mounts": _default_mounts(rootless=rootless),
        "linux": linux,
    }


def _default_mounts(*, rootless: bool) -> list[dict[str, object]]:
    terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", *([] if rootless else ["gid=5"])]
    table: list[tuple[str, str, str, list[str]]] = [
        ("/proc", "proc", "proc", []),
        ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        ("/dev/pts", "devpts", "devpts", terminals),
        ("/dev/shm", "tmpfs", "shm", [*_SAFE, "mode=1777", "size=65536k"]),
        ("/dev/mqueue", "mqueue", "mqueue", _SAFE),
        ("/sys", "sysfs", "sysfs", [*_SAFE, "ro"]),
        ("/sys/fs/cgroup", "cgroup", "cgroup", [*_SAFE, "relatime", "ro"]),
    ]
    if rootless:
        table = [row for row in table if row[1] != "cgroup"]
    return [
        {"destination": place, "type": kind, "source": source, **({"options": options} if options else {})}
        for place, kind, source, options in table
    ]


def features(call: Invocation, report: Report) -> int:
    """Prints what this runtime can do as JSON."""
    del call, report
    print(json.dumps(runtime_features(), indent=2))
    return 0


def runtime_features() -> dict[str, object]:
    """What this runtime can do, on this machine where that matters."""
    try:
        layout = detect()
        cgroup = {"v1": layout.version == "v1", "v2": layout.version == "v2", "rdma": "rdma" in layout.controllers}
    except ShoalError:
        cgroup = {"v1": False, "v2": False, "rdma": False}
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": STATE_VERSION,
        "hooks": _HOOKS,
        "mountOptions": list(KNOWN_OPTIONS),
        "linux": {
            "namespaces": sorted(OCI_NAMES),
            "capabilities": names(all_known()),
            "cgroup": {**cgroup, "systemd": False, "systemdUser": False},
            "seccomp": {
                "enabled": True,
                "actions": [f"SCMP_ACT_{name}" for name in _ACTIONS.split()],
                "operators": [f"SCMP_CMP_{name}" for name in _OPERATORS.split()],
                "archs": [f"SCMP_ARCH_{name}" for name in _ARCHITECTURES.split()],
                "knownFlags": sorted(FLAGS),
                "supportedFlags": sorted(FLAGS),
            },
            "apparmor": {"enabled": has_apparmor()},
            "selinux": {"enabled": False},
            "intelRdt": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": True}},
            "netDevices": {"enabled": True},
        },
        "annotations": {"io.shoal.runtime.version": shoal.__version__},
    }
