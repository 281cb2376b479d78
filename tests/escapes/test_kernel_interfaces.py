"""Ways out through the kernel: its switches, devices, control groups, dangerous system calls, and a console."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.engines.shoald import Shoald
from tests.escapes import inside
from tests.escapes.cells import PYTHON, PYTHON_BINDS, SETTINGS, attempts, exec, run, start

# What the kernel grants to everyone: a user namespace of one's own is no way out by itself.
GRANTED = "clone-user clone3-user unshare-user io_uring_setup keyctl add_key request_key perf_event_open"
REFUSED = {"EPERM", "ENOSYS", "EACCES"}


def done(told: dict[str, str]) -> list[str]:
    """The attempts that succeeded."""
    return [name for name, outcome in told.items() if outcome == "done"]


@pytest.mark.parametrize("user", ["0", "1000"])
def test_dangerous_system_calls_are_refused(shoald: Shoald, user: str) -> None:
    """BPF, modules, mounts, namespaces, keyrings, userfaultfd, handles, kernel messages: the filter answers each."""
    told = attempts(shoald, inside.SYSTEM_CALLS, User=user)
    assert {name: outcome for name, outcome in told.items() if outcome not in REFUSED} == {}


@pytest.mark.parametrize("user", ["0", "1000"])
def test_dangerous_system_calls_without_the_filter_meet_the_capabilities(shoald: Shoald, user: str) -> None:
    """`seccomp=unconfined` alone opens nothing that changes the machine: the capabilities are a wall of their own."""
    told = attempts(shoald, inside.SYSTEM_CALLS, SETTINGS["seccomp-unconfined"], User=user, Env=[f"SKIP={GRANTED}"])
    assert done(told) == []


def test_filter_of_the_user_that_allows_all_gives_no_capability(shoald: Shoald) -> None:
    """A profile that allows everything is no more than no profile."""
    host = {"SecurityOpt": ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']}
    assert done(attempts(shoald, inside.SYSTEM_CALLS, host, Env=[f"SKIP={GRANTED}"])) == []


def test_capability_of_the_user_opens_its_own_calls_only(shoald: Shoald) -> None:
    """`--cap-add SYSLOG` reads the kernel's messages, and does nothing else."""
    assert set(done(attempts(shoald, inside.SYSTEM_CALLS, {"CapAdd": ["SYSLOG"]}))) <= {"syslog"}


@pytest.mark.parametrize("settings", SETTINGS)
def test_kernel_switches_cannot_be_opened_for_writing(shoald: Shoald, settings: str) -> None:
    """core_pattern, sysrq-trigger, release_agent, cgroup files, uevent_helper, devices: each one, and by any path."""
    told = attempts(shoald, inside.WRITES, SETTINGS[settings])
    assert done(told) == []
    assert "/proc/sys/kernel/core_pattern" in told


def test_kernel_switches_stay_shut_in_an_exec(shoald: Shoald) -> None:
    """What an exec sees is protected as for the container's own processes, also with a user of its own."""
    start(shoald, "cell", ["sleep", "1000"], {"Binds": PYTHON_BINDS})
    for user in ("", "1000"):
        code, text = exec(shoald, "cell", [PYTHON, "-ISc", inside.WRITES], User=user)
        assert code == 0, text
        assert '"done"' not in text


@pytest.mark.parametrize("settings", ["default", "seccomp-unconfined", "cgroupns-host"])
def test_devices_of_the_host_made_inside_cannot_be_opened(shoald: Shoald, settings: str) -> None:
    """mknod is allowed, as with Docker; the device's cgroup refuses to open what was made: disks, memory, terminals."""
    told = attempts(shoald, inside.DEVICES, SETTINGS[settings])
    assert done(told) == []
    assert set(told.values()) == {"EPERM"}


def test_devices_of_the_host_open_for_a_privileged_container(shoald: Shoald) -> None:
    """The same attempts succeed where a user gave everything away: these programs would notice a way out."""
    assert len(done(attempts(shoald, inside.DEVICES, {"Privileged": True}))) > 2


def test_device_made_in_a_volume_cannot_be_opened_by_the_next_container(shoald: Shoald) -> None:
    """A node that one container leaves in a volume opens for no other."""
    host = {"Binds": ["loot:/loot"]}
    assert run(shoald, ["mknod", "/loot/disk", "b", "7", "0"], host)[0] == 0
    code, text = run(shoald, ["dd", "if=/loot/disk", "of=/dev/null", "count=1"], host)
    assert shoald.request("DELETE", "/volumes/loot").status == 204
    assert (code, "not permitted" in text) == (1, True)


@pytest.mark.parametrize("settings", ["default", "seccomp-unconfined"])
def test_release_agent_of_cgroup_v1_is_out_of_reach(shoald: Shoald, settings: str) -> None:
    """Neither a mount nor a user namespace with one gives a release_agent to write (CVE-2022-0492)."""
    assert set(done(attempts(shoald, inside.RELEASE_AGENT, SETTINGS[settings]))) <= {"unshare"}


def test_terminal_is_the_containers_own(shoald: Shoald) -> None:
    """A pty of its own devpts: whatever is pushed into it with TIOCSTI comes back to the container alone."""
    told = attempts(shoald, inside.TERMINAL, Tty=True, OpenStdin=True)
    assert told.pop("console").startswith("crw")
    assert int(told.pop("device")) not in {os.stat("/dev/pts").st_dev, os.stat("/dev").st_dev}
    assert done(told) == []


@pytest.mark.parametrize(
    "sysctl",
    [
        "kernel.core_pattern",
        "kernel.sysrq",
        "vm.overcommit_memory",
        "net/../kernel/core_pattern",
        "net.ipv4/../../kernel/core_pattern",
        "net.../kernel.core_pattern",
        "fs.mqueue.../../kernel/core_pattern",
        "kernel/shm_../core_pattern",
    ],
)
def test_sysctl_of_the_whole_machine_is_refused(shoald: Shoald, sysctl: str) -> None:
    """`--sysctl` takes what a namespace holds; no spelling leads to the rest."""
    path = Path("/proc/sys/kernel/core_pattern")
    before = path.read_text()
    code, text = run(shoald, ["true"], {"Sysctls": {sysctl: "|/bin/escape"}})
    assert path.read_text() == before
    assert code is None, text


@pytest.mark.parametrize("parent", ["/../../..", "../../../..", "/a/../../..", "..", "/./../x"])
def test_cgroup_parent_cannot_climb_out(shoald: Shoald, parent: str) -> None:
    """`--cgroup-parent` with dots makes no group beside the hierarchies, and no process leaves its limits."""
    root = Path("/sys/fs/cgroup")
    before = {path.name for path in root.iterdir()}
    code, text = run(shoald, ["cat", "/proc/self/cgroup"], {"CgroupParent": parent, "CgroupnsMode": "host"})
    assert {path.name for path in root.iterdir()} == before
    assert code is None or all(line.split(":")[2] != "/" for line in text.split() if ":memory:" in line), text


def masked(shoald: Shoald, host: dict[str, Any], **more: Any) -> tuple[int | None, str]:
    """What is seen of masked paths."""
    script = "for p in kcore keys timer_list; do cat /proc/$p 2>/dev/null | head -c 20 | wc -c; done; "
    script += "ls /sys/firmware 2>/dev/null | wc -l"
    return run(shoald, ["sh", "-c", script], host, **more)


@pytest.mark.parametrize("settings", SETTINGS)
def test_masked_paths_are_empty(shoald: Shoald, settings: str) -> None:
    """/proc/kcore, /proc/keys and /sys/firmware show nothing."""
    assert masked(shoald, SETTINGS[settings]) == (0, "0\n0\n0\n0\n")
