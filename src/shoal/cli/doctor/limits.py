"""What the machine may run out of: descriptors, processes, keys, mounts, watches, tracked connections."""

from __future__ import annotations

import resource

from shoal.cli.doctor.finding import OK, WARNING, Finding, read_number, read_text

AREA = "limits"
# A running container takes about so many of shoald's and its supervisor's descriptors.
_DESCRIPTORS_EACH = 8
_FEW_CONTAINERS = 500
_NEARLY = 0.9


def check_limits() -> list[Finding]:
    """Each limit with how much of it is used, where the kernel tells."""
    return [
        _descriptors(),
        _files(),
        _at_least("processes", "/proc/sys/kernel/pid_max", 32768, "kernel.pid_max"),
        _at_least("threads", "/proc/sys/kernel/threads-max", 16384, "kernel.threads-max"),
        _at_least("mounts", "/proc/sys/fs/mount-max", 16384, "fs.mount-max"),
        _at_least("inotify-instances", "/proc/sys/fs/inotify/max_user_instances", 128, "fs.inotify.max_user_instances"),
        _keys(),
        _connections(),
    ]


def _descriptors() -> Finding:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = hard // _DESCRIPTORS_EACH
    if hard != resource.RLIM_INFINITY and room < _FEW_CONTAINERS:
        fix = "raise the hard limit: ulimit -Hn 1048576, or LimitNOFILE= in shoald's unit"
        return Finding(AREA, "descriptors", WARNING, f"{hard} for a process: about {room} containers", fix)
    shown = "no limit" if hard == resource.RLIM_INFINITY else f"{hard} for a process"
    return Finding(AREA, "descriptors", OK, shown)


def _files() -> Finding:
    words = read_text("/proc/sys/fs/file-nr").split()
    if len(words) == 3 and int(words[0]) > _NEARLY * int(words[2]):
        fix = f"sysctl fs.file-max={int(words[2]) * 2}"
        return Finding(AREA, "open-files", WARNING, f"{words[0]} of {words[2]} on the whole machine", fix)
    return Finding(AREA, "open-files", OK, f"{words[0]} open" if words else "")


def _at_least(name: str, path: str, least: int, sysctl: str) -> Finding:
    value = read_number(path)
    if value is not None and value < least:
        return Finding(AREA, name, WARNING, f"{sysctl} is {value}", f"sysctl {sysctl}={least}")
    return Finding(AREA, name, OK, "" if value is None else str(value))


def _keys() -> Finding:
    """Each container has a session keyring, which root's own share of keys pays for."""
    most = read_number("/proc/sys/kernel/keys/root_maxkeys")
    if most is not None and most < _FEW_CONTAINERS:
        fix = "sysctl kernel.keys.root_maxkeys=1000000"
        return Finding(AREA, "keys", WARNING, f"kernel.keys.root_maxkeys is {most}: so many containers at most", fix)
    return Finding(AREA, "keys", OK, "" if most is None else str(most))


def _connections() -> Finding:
    used = read_number("/proc/sys/net/netfilter/nf_conntrack_count")
    most = read_number("/proc/sys/net/netfilter/nf_conntrack_max")
    if used is None or not most:
        return Finding(AREA, "tracked-connections", OK, "connection tracking is not loaded yet")
    if used > _NEARLY * most:
        fix = f"sysctl net.netfilter.nf_conntrack_max={most * 2}"
        return Finding(AREA, "tracked-connections", WARNING, f"{used} of {most}: new connections get lost", fix)
    return Finding(AREA, "tracked-connections", OK, f"{used} of {most}")
