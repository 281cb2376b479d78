"""Every option of `docker run` that a container's processes can see, in both modes: what they see is the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.engines.shoald import Shoald
from tests.machines.modes import run_in, run_in_both

STATUS = "grep -E '^(Cap|NoNewPrivs|Seccomp|Groups)' /proc/self/status; "
OPTIONS: dict[str, tuple[str, str]] = {
    "nothing": (
        "",
        STATUS + "id; pwd; env | grep -v HOSTNAME | sort; cat /proc/self/oom_score_adj; umask; ls /; ls /dev",
    ),
    "who and where": (
        "-u 12:34 --group-add=56 -w /new/place -e A=1 -e B --env-file=/dev/null --hostname=box --domainname=example",
        "id; pwd; stat -c '%u %g' .; echo $A; echo ${B-unset}; hostname -f; cat /etc/hostname; grep -c box /etc/hosts",
    ),
    "rights": (
        "--cap-drop=ALL --cap-add=CHOWN --cap-add=NET_RAW -u 0 --security-opt=no-new-privileges",
        STATUS + "chown 1 /tmp && echo chown; mount -t tmpfs x /mnt; mknod /x c 1 3",
    ),
    "all rights": ("--cap-add=ALL", STATUS + "mount -t tmpfs x /mnt && echo mounted; hostname new && hostname"),
    "no filter": ("--security-opt=seccomp=unconfined", STATUS + "unshare -U true && echo unshared"),
    "the filter": ("", "unshare -U true && echo unshared; mount -t tmpfs x /mnt"),
    "privileged": (
        "--privileged",
        STATUS + "mount -t tmpfs x /mnt && echo mounted; hostname new && hostname; grep -c ' /proc/sys ' /proc/mounts; "
        "wc -c </proc/keys >/dev/null && echo keys",
    ),
    "limits": (
        "--ulimit=nofile=300:400 --ulimit=nproc=500 --ulimit=core=0 --ulimit=fsize=1000000 --oom-score-adj=300",
        "for kind in n p c f; do ulimit -S$kind; ulimit -H$kind; done; cat /proc/self/oom_score_adj",
    ),
    "file systems in memory": (
        "--read-only --shm-size=3m --tmpfs=/scratch:size=2m,mode=700,uid=3 --tmpfs=/run "
        "--mount=type=tmpfs,dst=/m,tmpfs-mode=1770,tmpfs-size=1m",
        "touch /x; touch /scratch/x /run/x /m/x; stat -c '%a %u %n' /scratch /run /m; "
        "df -k /scratch /m /dev/shm | awk '{print $2}'",
    ),
    "what is mounted": (
        "--tmpfs=/scratch",
        'awk \'$2 ~ "^/(proc|sys|scratch|dev.*)$" {split($4, o, ","); print $2, $3, o[1], o[2], o[3]}\' /proc/mounts',
    ),
    "names": (
        "--dns=192.0.2.7 --dns-search=example.org --dns-option=ndots:3 --add-host=far:10.9.8.7 --network=none",
        "grep -v '^#' /etc/resolv.conf; cat /etc/hosts; ip -o addr | awk '{print $2, $4}'; ip route",
    ),
    "first process": (
        "--init --stop-signal=USR1",
        "cat /proc/1/comm; (sleep 0.1 &); sleep 0.5; ps -o stat,comm | grep -c Z",
    ),
    "parameters": (
        "--sysctl=net.ipv4.ip_default_ttl=42 --sysctl=kernel.msgmax=9999",
        "cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/msgmax",
    ),
    "tasks": ("--pids-limit=20", "for i in $(seq 40); do sleep 3 & done; wait; echo done"),
}


@pytest.mark.parametrize("what", OPTIONS)
def test_option_in_container_and_machine_is_the_same(shoald: Shoald, what: str) -> None:
    """Exit code, output and errors."""
    options, script = OPTIONS[what]
    container, machine = run_in_both(shoald, options, "sh", "-c", script)
    assert machine == container


def test_volumes_and_binds_hold_the_same_in_both(shoald: Shoald, tmp_path: Path) -> None:
    """Each sees what the other has written: files, links, modes, owners, times, names of any bytes."""
    (tmp_path / "given").write_text("from the host\n")
    options = f"-v kept:/kept -v {tmp_path}:/bind -v {tmp_path}/given:/etc/given:ro --mount=src=second,dst=/second"
    write = (
        "cat /etc/given; echo x >/etc/given; cd $0; mkdir d; echo text >d/file; ln -s file d/link; ln d/file d/hard; "
        "chmod 640 d/file; chown 7:8 d/file; touch -d @1234567890 d/file; mkfifo d/pipe; "
        "echo x >\"$(printf 'd/\\351 x')\"; "
        "ls -ln d | awk '{print $1, $2, $3, $4, $5, $9}'; stat -c %Y d/file; rm -r d; df . >/dev/null && echo end"
    )
    for place in ("/kept", "/bind", "/second"):
        container, machine = run_in_both(shoald, options, "sh", "-c", write, place)
        assert machine == container
        assert machine.code == 0
    assert run_in(shoald, "vm", options, "sh", "-c", "echo by the guest >/kept/a; echo by the guest >/bind/a").code == 0
    assert run_in(shoald, "default", options, "cat", "/kept/a", "/bind/a").out == "by the guest\n" * 2
    assert (tmp_path / "a").read_text() == "by the guest\n"


def test_memory_and_processors_size_the_machine(shoald: Shoald) -> None:
    """--memory is the guest's memory, but for what its kernel takes first; --cpus are its processors."""
    script = "awk '/MemTotal/{print $2}' /proc/meminfo; nproc"
    for options, memory_mib, processors in (("", 512, 1), ("--memory=300m --cpus=1.5", 300, 2)):
        total, count = run_in(shoald, "vm", options, "sh", "-c", script).out.split()
        assert (memory_mib - 110) << 10 < int(total) < memory_mib << 10
        assert int(count) == processors


def test_filter_of_a_file_is_the_guests(shoald: Shoald, tmp_path: Path) -> None:
    """What the profile forbids is forbidden in both, with the error that it names."""
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]}
    (tmp_path / "profile").write_text(json.dumps(profile))
    container, machine = run_in_both(shoald, f"--security-opt=seccomp={tmp_path}/profile", "mkdir", "/made")
    assert machine == container
    assert machine.code == 1


@pytest.mark.parametrize(
    "command", [["nothing-of-this-name"], ["/etc/passwd"], ["sh", "-c", "kill -9 $$"], ["sh", "-c", "exit 3"], ["cat"]]
)
def test_end_of_container_and_machine_is_told_alike(shoald: Shoald, command: list[str]) -> None:
    """126, 127, the signal, the code; and input reaches the program, to its end."""
    container, machine = run_in_both(shoald, "-i", *command, input="a line\n" * 20_000)
    assert machine == container
