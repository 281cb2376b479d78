"""A container made of its plan: what the process in it sees, is, and may do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoal.api.host_config import DeviceMapping, HostConfig, Ulimit
from shoal.linux.keyrings import join_new_session_keyring
from shoal.linux.libc import SYS_keyctl, syscall
from tests.kernel.steps.container import Box

pytestmark = pytest.mark.root

_KEYCTL_SETPERM = 5
_KEY_SPEC_SESSION_KEYRING = -3
_SYS_ADD_KEY = {"x86_64": 248}.get(os.uname().machine, 217)


def add_session_key(description: bytes, *, permissions: int) -> int:
    """The serial number of a new key in this process's session keyring. add_key(2)."""
    arguments = (b"user", description, b"x", 1, _KEY_SPEC_SESSION_KEYRING)
    serial = syscall(_SYS_ADD_KEY, "add_key", "", *arguments)
    syscall(SYS_keyctl, "keyctl", "KEYCTL_SETPERM", _KEYCTL_SETPERM, serial, permissions)
    return serial


def test_container_is_alone_in_its_world(box: Box) -> None:
    """Its own process table, host name, network and root; the same kernel."""
    outcome = box.run(["sh", "-c", "echo $$; hostname; ls /sys/class/net; uname -r; ls /"], hostname="alone")
    lines = outcome.output.split("\n")
    assert lines[:2] == ["1", "alone"]
    assert lines[2] == "lo"
    assert "bin" in lines
    assert "home" not in lines


def test_container_leaves_no_mount_on_the_host(box: Box) -> None:
    """Everything is mounted in the container's own namespace, while it runs too."""
    with box.started(["sleep", "30"]):
        assert str(box.directory) not in Path("/proc/self/mountinfo").read_text()


def test_container_root_may_be_a_plain_directory(box: Box) -> None:
    """The vfs snapshotter's root works as the overlay does."""
    outcome = box.run(["cat", "/etc/passwd"], rootfs=box.plain_rootfs())
    assert outcome.output.startswith("root:")


def test_container_devices_work_and_links_are_there(box: Box) -> None:
    """/dev holds what the specification demands, usable, and nothing of the host's."""
    script = "head -c 3 /dev/zero | wc -c; echo x > /dev/null; ls /dev; echo to-stdout > /dev/stdout"
    outcome = box.run(["sh", "-c", script])
    words = outcome.output.split()
    assert words[0] == "3"
    assert "to-stdout" in words
    assert {"null", "zero", "full", "random", "urandom", "tty", "pts", "shm", "mqueue", "ptmx", "fd"} <= set(words)
    assert outcome.code == 0


def test_container_with_null_streams_has_its_own_null_device(box: Box) -> None:
    """Nobody in a container holds the host's /dev/null, whose mode and owner root could change through it."""
    script = "stat -L -c %d:%i /proc/self/fd/0 /dev/null"
    with box.started(["sleep", "30"]) as container:
        for outcome in (box.run(["sh", "-c", script]), box.exec(container, ["sh", "-c", script])):
            held, own = outcome.output.split()
            assert held == own


def test_exec_without_a_null_device_in_the_container_is_refused(box: Box) -> None:
    """What stands for /dev/null in a container is not opened when it is something else."""
    with box.started(["sh", "-c", "rm /dev/null; mkfifo /dev/null; echo ready; sleep 30"]) as container:
        container.wait_output("ready")
        outcome = box.exec(container, ["true"])
    assert (outcome.step, outcome.kind) == ("stdio", "Forbidden")


def test_container_possesses_no_key_of_the_host(box: Box) -> None:
    """A process of a container, even a privileged one, has left the session keyring of whoever started shoald."""
    join_new_session_keyring()
    # Only for those who possess it, and so invisible from any other session.
    serial = add_session_key(b"shoal-test-secret", permissions=0x3F000000)
    assert f"{serial:08x}" in Path("/proc/keys").read_text()
    with box.started(["sleep", "30"], host=HostConfig(privileged=True)) as container:
        for outcome in (
            box.run(["cat", "/proc/keys"], host=HostConfig(privileged=True)),
            box.exec(container, ["cat", "/proc/keys"], privileged=True),
        ):
            assert "keyring" in outcome.output
            assert "shoal-test-secret" not in outcome.output


def test_container_device_of_the_host_has_its_numbers(box: Box) -> None:
    """`--device` makes a node with the same numbers under the name that was asked for."""
    mapping = DeviceMapping(path_on_host="/dev/zero", path_in_container="/dev/deep/one")
    outcome = box.run(["stat", "-c", "%t:%T %a", "/dev/deep/one"], host=HostConfig(devices=[mapping]))
    assert outcome.output == "1:5 666\n"


def test_container_hides_and_protects_parts_of_proc(box: Box) -> None:
    """Masked files are empty, masked directories too, /proc/sys is read-only."""
    script = "cat /proc/timer_list /proc/keys | wc -c; ls /sys/firmware | wc -l; echo 1 > /proc/sys/kernel/panic"
    outcome = box.run(["sh", "-c", script])
    assert outcome.output.startswith("0\n0\n")
    assert "Read-only file system" in outcome.output


def test_container_shows_its_cgroups_read_only(box: Box) -> None:
    """/sys/fs/cgroup is there, and cannot be written to."""
    outcome = box.run(["sh", "-c", "ls /sys/fs/cgroup | wc -l; mkdir /sys/fs/cgroup/x"])
    assert int(outcome.output.split()[0]) > 0
    assert "Read-only file system" in outcome.output


def test_container_on_v2_sees_its_cgroup_as_the_root(tmp_path: Path) -> None:
    """With a cgroup namespace of its own, /sys/fs/cgroup is the container's cgroup and nothing above it."""
    box = Box(tmp_path, cgroup_v2=True)
    outcome = box.run(["sh", "-c", "grep ^0:: /proc/self/cgroup; grep cgroup2 /proc/mounts; mkdir /sys/fs/cgroup/x"])
    lines = outcome.output.splitlines()
    assert lines[0] == "0::/"
    assert lines[1].startswith("cgroup /sys/fs/cgroup cgroup2 ro,nosuid,nodev,noexec")
    assert "Read-only file system" in lines[2]


def test_container_on_v1_can_have_a_cgroup_namespace_too(box: Box) -> None:
    """`--cgroupns private` on v1: the paths begin at the container's cgroup."""
    outcome = box.run(["cat", "/proc/self/cgroup"], host=HostConfig(cgroupns_mode="private"))
    assert outcome.output
    assert all(line.endswith(":/") for line in outcome.output.splitlines())


def test_container_sysctls_are_set_before_they_are_protected(box: Box) -> None:
    """Docker's default, and one that was asked for."""
    files = ["/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/net/core/somaxconn"]
    outcome = box.run(["cat", *files], host=HostConfig(sysctls={"net.core.somaxconn": "77"}))
    assert outcome.output == "0\n77\n"


@pytest.mark.parametrize(
    ("user", "groups", "expected"),
    [
        ("", [], "uid=0(root) gid=0(root) groups=0(root)\n/root\n"),
        ("app", [], "uid=1000(app) gid=1001(app) groups=10(wheel),1001(app)\n/home/app\n"),
        ("4711:10", ["99"], "uid=4711 gid=10(wheel) groups=10(wheel),99\n/\n"),
    ],
)
def test_container_user_and_home_come_from_its_own_passwd(
    box: Box, user: str, groups: list[str], expected: str
) -> None:
    """`-u` and `--group-add` mean the container's names."""
    outcome = box.run(["sh", "-c", "id; echo $HOME"], user=user, host=HostConfig(group_add=groups))
    assert outcome.output == expected


def test_container_capabilities_of_root_are_dockers(box: Box) -> None:
    """Effective, permitted and bounding are the default set, inheritable and ambient empty."""
    outcome = box.run(["grep", "Cap", "/proc/self/status"])
    sets = dict(line.split(":\t") for line in outcome.output.splitlines())
    assert sets["CapEff"] == sets["CapPrm"] == sets["CapBnd"] == "00000000a80425fb"
    assert int(sets["CapInh"], 16) == int(sets["CapAmb"], 16) == 0


def test_container_capabilities_of_a_user_are_gone(box: Box) -> None:
    """Another user holds none, though the bounding set stays."""
    outcome = box.run(["grep", "Cap", "/proc/self/status"], user="app")
    sets = dict(line.split(":\t") for line in outcome.output.splitlines())
    assert int(sets["CapEff"], 16) == int(sets["CapPrm"], 16) == 0
    assert sets["CapBnd"] == "00000000a80425fb"


@pytest.mark.parametrize("user", ["", "app"])
@pytest.mark.parametrize("options", [[], ["no-new-privileges"]])
def test_container_runs_under_the_filter(box: Box, user: str, options: list[str]) -> None:
    """For root and others, with and without no_new_privs."""
    outcome = box.run(
        ["grep", "-E", "NoNewPrivs|Seccomp:", "/proc/self/status"], user=user, host=HostConfig(security_opt=options)
    )
    assert outcome.output == f"NoNewPrivs:\t{len(options)}\nSeccomp:\t2\n"


def test_container_filter_refuses_mount_even_with_the_capability_dropped_late(box: Box) -> None:
    """A plain container's mount(2) fails with EPERM."""
    outcome = box.run(["mount", "-t", "tmpfs", "none", "/tmp"])
    assert outcome.code != 0
    assert "denied" in outcome.output or "not permitted" in outcome.output


def test_container_with_a_profile_of_its_own_obeys_it(box: Box) -> None:
    """`--security-opt seccomp=FILE`: here, mkdir answers ENOLCK."""
    profile = (
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls":'
        ' [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 37}]}'
    )
    outcome = box.run(["mkdir", "/x"], host=HostConfig(security_opt=[f"seccomp={profile}"]))
    assert "No locks available" in outcome.output


def test_container_privileged_may_mount_and_is_not_filtered(box: Box) -> None:
    """`--privileged`: everything that shoald itself may do."""
    script = "grep Seccomp: /proc/self/status; mount -t tmpfs none /tmp && echo mounted; touch /proc/sys/kernel/panic"
    outcome = box.run(["sh", "-c", script], host=HostConfig(privileged=True))
    assert outcome.output == "Seccomp:\t0\nmounted\n"


def test_container_read_only_keeps_its_tmpfs_writable(box: Box) -> None:
    """`--read-only --tmpfs /tmp`: the root refuses, /tmp and /dev/shm do not."""
    host = HostConfig(readonly_rootfs=True, tmpfs={"/tmp": "size=1m"})
    outcome = box.run(["sh", "-c", "touch /tmp/a /dev/shm/b && echo both; touch /c"], host=host)
    assert outcome.output.startswith("both\n")
    assert "/c: Read-only file system" in outcome.output


def test_container_rlimits_are_set_and_clamped_with_a_warning(box: Box) -> None:
    """A hard limit beyond this host's is clamped, and the client is told."""
    outcome = box.run(
        ["sh", "-c", "ulimit -n; ulimit -Hn"], host=HostConfig(ulimits=[Ulimit(name="nofile", soft=100, hard=200)])
    )
    assert outcome.output == "100\n200\n"


def test_container_starts_in_a_directory_that_is_made(box: Box) -> None:
    """`-w /a/b` makes it, as Docker does, also when the user could not."""
    outcome = box.run(["sh", "-c", "pwd; stat -c %a:%u ."], working_dir="/a/b", user="app")
    assert outcome.output == "/a/b\n755:0\n"


def test_container_streams_belong_to_its_user(box: Box) -> None:
    """A user can open its own /dev/stdout."""
    outcome = box.run(["sh", "-c", "echo again > /dev/stdout"], user="app")
    assert outcome.output == "again\n"


def test_container_signals_are_as_a_program_expects_them(box: Box) -> None:
    """Python ignores SIGPIPE and SIGXFSZ; the container's process must not."""
    outcome = box.run(["grep", "-E", "SigIgn|SigBlk", "/proc/self/status"])
    assert outcome.output == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"


def test_container_has_no_descriptor_but_its_three(box: Box) -> None:
    """Nothing of the supervisor's is inherited: 3 is the directory that ls reads."""
    outcome = box.run(["sh", "-c", "exec ls /proc/self/fd"])
    assert outcome.output.split() == ["0", "1", "2", "3"]


def test_container_with_init_has_the_program_as_its_second_process(box: Box) -> None:
    """`--init`: PID 1 reaps, the program is its child."""
    outcome = box.run(["sh", "-c", "echo $$; cat /proc/1/comm"], host=HostConfig(init=True))
    assert outcome.output == "2\ndocker-init\n"


def test_container_terminal_is_its_console_and_has_its_user(box: Box) -> None:
    """With -t the streams are a terminal of the container's own devpts."""
    running = box.start(
        ["sh", "-c", "tty; stat -c %u /dev/console; id -u"],
        tty=True,
        user="app",
        host=HostConfig(console_size=[24, 80]),
    )
    assert running.console is not None
    parts = []
    while True:
        try:
            part = os.read(running.console.fileno(), 4096)
        except OSError:
            break
        parts.append(part)
    assert running.wait().code == 0
    assert b"".join(parts).replace(b"\r\n", b"\n") == b"/dev/pts/0\n1000\n1000\n"


@pytest.mark.parametrize(
    "missing",
    [
        ("mount_setattr", "quotactl_fd"),
        ("openat2", "mount_setattr", "close_range", "faccessat2"),
        ("open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "openat2", "mount_setattr", "close_range"),
    ],
)
def test_container_starts_on_older_kernels_too(box: Box, tmp_path: Path, missing: tuple[str, ...]) -> None:
    """Without the calls of Linux 5.12, 5.6 and 5.2 everything is made by mount(2) and by walking."""
    (tmp_path / "source").mkdir()
    box.missing = missing
    host = HostConfig(readonly_rootfs=True, tmpfs={"/tmp": ""}, binds=[f"{tmp_path / 'source'}:/a:ro"])
    script = "id -u; touch /x /a/y /sys/fs/cgroup/z; touch /tmp/ok && echo ok; cat /proc/keys | wc -l"
    outcome = box.run(["sh", "-c", script], host=host, user="app")
    assert (outcome.step, outcome.error) == ("", "")
    assert outcome.output.startswith("1000\n")
    assert outcome.output.count("Read-only file system") == 3
    assert outcome.output.endswith("ok\n0\n")
