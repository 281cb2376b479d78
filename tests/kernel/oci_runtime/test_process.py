"""The process of a bundle: identity, limits, and how the kernel treats it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.kernel.oci_runtime.runtime import Bundle, Runtime, output_of

pytestmark = pytest.mark.root


def test_user_umask_and_groups_are_the_specifications(runtime: Runtime, box: Bundle) -> None:
    """The groups are those listed, and none that /etc/group of the image would add."""
    box.process["user"] = {"uid": 1000, "gid": 1000, "umask": 0o027, "additionalGids": [5, 6]}
    box.shell("id -u; id -g; grep Groups /proc/self/status; umask; echo $HOME")
    lines = output_of(runtime.run(box)).splitlines()
    assert lines[:2] == ["1000", "1000"]
    assert lines[2].split()[1:] == ["5", "6"]
    assert lines[3:] == ["0027", "/home/app"]


def test_root_has_no_groups_but_those_listed(runtime: Runtime, box: Bundle) -> None:
    """Root of the image is in no group by the image's own word."""
    (box.rootfs / "etc" / "group").write_text("root:x:0:\nevil:x:4242:root\n")
    box.process["args"] = ["grep", "Groups", "/proc/self/status"]
    assert output_of(runtime.run(box)).split() == ["Groups:"]


def test_capabilities_none_given_means_none(runtime: Runtime, box: Bundle) -> None:
    """A specification without capabilities gives none, not the runtime's own."""
    del box.process["capabilities"]
    box.process["args"] = ["grep", "Cap", "/proc/self/status"]
    assert all(int(line.split()[1], 16) == 0 for line in output_of(runtime.run(box)).splitlines())


def test_limits_oom_score_and_no_new_privileges(runtime: Runtime, box: Bundle) -> None:
    """Resource limits, the oom score and no-new-privileges are what was asked for."""
    box.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128}]
    box.process["oomScoreAdj"] = 500
    box.shell("ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; grep NoNewPrivs /proc/self/status")
    lines = output_of(runtime.run(box)).splitlines()
    assert (lines[:3], lines[3].split()[1]) == (["64", "128", "500"], "1")


def test_scheduler_io_priority_and_personality(runtime: Runtime, box: Bundle) -> None:
    """The policy, the I/O class and the execution domain are what the program finds."""
    box.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 5}
    box.process["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
    box.linux["personality"] = {"domain": "LINUX32"}
    box.shell("ionice -p 1; uname -m; cut -d' ' -f19,41 /proc/self/stat")
    lines = output_of(runtime.run(box)).splitlines()
    assert "idle" in lines[0]
    assert lines[1] == {"x86_64": "i686", "aarch64": "armv8l"}.get(os.uname().machine, lines[1])
    assert lines[2] == "5 3"


def test_time_namespace_shifts_the_clock(runtime: Runtime, box: Bundle) -> None:
    """A boottime offset is what the container's uptime starts with."""
    box.namespace("time")
    box.linux["timeOffsets"] = {"boottime": {"secs": 10_000_000, "nanosecs": 0}}
    box.process["args"] = ["cut", "-d.", "-f1", "/proc/uptime"]
    assert int(output_of(runtime.run(box))) > 10_000_000


def test_seccomp_filter_refuses_and_start_works_under_it(runtime: Runtime, box: Bundle) -> None:
    """A filter of allowed calls that knows none of the runtime's own does not keep `start` from working."""
    for new in (True, False):
        box.process["noNewPrivileges"] = new
        box.linux["seccomp"] = {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [
                {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
                {"names": ["accept", "accept4", "recvmsg", "sendmsg", "sendto"], "action": "SCMP_ACT_ERRNO"},
            ],
        }
        box.shell("mkdir /tmp/x")
        done = runtime.run(box, id=f"new-{new}".lower())
        assert (done.returncode, "Function not implemented" in done.stderr) == (1, True), done.stderr


def test_preserved_descriptors_arrive(runtime: Runtime, box: Bundle) -> None:
    """`--preserve-fds` hands 3 and those behind it on, and nothing else."""
    box.shell("cat <&3; ls /proc/self/fd")
    box.write()
    reading, writing = os.pipe()
    os.write(writing, b"handed on\n")
    os.close(writing)
    command = runtime.command("run", "--bundle", str(box.directory), "--preserve-fds", "1", "one")
    script = f'exec 3<&{reading}; exec "$@"'
    done = subprocess.run(
        ["bash", "-c", script, "sh", *command],
        pass_fds=(reading,), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    os.close(reading)
    lines = output_of(done).split("\n")
    assert lines[0] == "handed on"
    # 0, 1, 2, what was handed on, and the one of the listing itself.
    assert [word for word in lines[1:] if word] == ["0", "1", "2", "3", "4"]


def test_sysctl_and_hostname_are_the_containers(runtime: Runtime, box: Bundle) -> None:
    """Parameters of the container's namespaces are set, and the host's stay."""
    before = Path("/proc/sys/kernel/shmmax").read_text()
    box.linux["sysctl"] = {"kernel.shmmax": "12345678", "net.ipv4.ip_forward": "1"}
    box.spec["domainname"] = "example.org"
    box.shell("cat /proc/sys/kernel/shmmax /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/domainname; hostname")
    assert output_of(runtime.run(box)).split() == ["12345678", "1", "example.org", "shoal"]
    assert Path("/proc/sys/kernel/shmmax").read_text() == before


def test_working_directory_is_made(runtime: Runtime, box: Bundle) -> None:
    """A missing working directory is made, as other runtimes do."""
    box.process["cwd"] = "/srv/deep"
    box.process["args"] = ["pwd"]
    assert output_of(runtime.run(box)) == "/srv/deep\n"
