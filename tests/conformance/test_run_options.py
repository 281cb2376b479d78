"""`docker run` with each option: what the program inside sees of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conformance.differences import sentence
from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")


def run(engine: Engine, *options: str, script: str) -> str:
    """What a shell script prints in a container that is gone afterwards; asserts success."""
    return engine.ok("run", "--rm", *options, "busybox", "sh", "-c", script)


def own_status(field: str) -> str:
    """One field of the host's /proc/self/status."""
    found = re.search(rf"^{field}:\s*(\S+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def host_has_every_capability() -> bool:
    """Whether this machine lets root have all that its kernel knows."""
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    return int(own_status("CapBnd"), 16) == (1 << (last + 1)) - 1


def test_run_env_is_seen_by_the_program(engine: Engine) -> None:
    """-e sets a variable, -e NAME alone takes the client's, and PATH and HOSTNAME are there by default."""
    out = run(engine, "-e", "A=1 2", "-e", "B=", "-h", "box", script='echo "$A|$B|$HOSTNAME|$PATH|$HOME"')
    assert out == "1 2||box|/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin|/root"


def test_run_env_file_sets_each_line(engine: Engine, tmp_path: Path) -> None:
    """--env-file sets one variable a line and ignores comments."""
    (tmp_path / "env").write_text("# a comment\nX=from file\nY=2\n")
    assert run(engine, "--env-file", str(tmp_path / "env"), script='echo "$X/$Y"') == "from file/2"


def test_run_workdir_is_made_where_it_is_missing(engine: Engine) -> None:
    """-w names the working directory, and makes it in the container if the image has none."""
    assert run(engine, "-w", "/etc", script="pwd") == "/etc"
    assert run(engine, "-w", "/made/on/the/way", script="pwd") == "/made/on/the/way"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("app", "1000:1000:1000 2000:/home/app"),
        ("1000", "1000:1000:1000 2000:/home/app"),
        ("app:daemon", "1000:1:1:/home/app"),
        ("4321", "4321:0:0:/"),
        ("4321:77", "4321:77:77:/"),
    ],
)
def test_run_user_has_ids_groups_and_home(engine: Engine, user: str, expected: str) -> None:
    """-u takes a name or a number, with or without a group; HOME and the extra groups come from the image's files."""
    assert run(engine, "-u", user, script='echo "$(id -u):$(id -g):$(id -G):$HOME"') == expected


def test_run_group_add_gives_more_groups(engine: Engine) -> None:
    """--group-add takes names and numbers."""
    groups = run(engine, "-u", "app", "--group-add", "daemon", "--group-add", "555", script="id -G").split()
    assert {"1", "555", "1000"} <= set(groups)


def test_run_entrypoint_replaces_the_image_program(engine: Engine) -> None:
    """--entrypoint is the program, and what follows the image are its arguments."""
    assert engine.ok("run", "--rm", "--entrypoint", "/bin/echo", "busybox", "a", "b") == "a b"


def test_run_hostname_is_in_the_namespace_and_the_files(engine: Engine) -> None:
    """--hostname shows in uname, /etc/hostname and /etc/hosts; without it, it is the short id."""
    out = run(engine, "--hostname", "box.example.org", script="hostname; cat /etc/hostname; cat /etc/hosts")
    lines = out.splitlines()
    assert lines[:2] == ["box.example.org"] * 2
    assert re.search(r"^\d+\.\d+\.\d+\.\d+\tbox\.example\.org box$", out, re.MULTILINE)
    identifier = engine.ok("run", "-d", "busybox", "hostname")
    engine.ok("wait", identifier)
    assert engine.ok("logs", identifier) == identifier[:12]


def test_run_add_host_and_dns_are_in_the_files(engine: Engine) -> None:
    """--add-host, --dns, --dns-search and --dns-option are written into /etc/hosts and /etc/resolv.conf."""
    options = [
        "--add-host",
        "db:10.9.8.7",
        "--dns",
        "9.9.9.9",
        "--dns-search",
        "example.org",
        "--dns-option",
        "ndots:3",
    ]
    out = run(engine, *options, script="cat /etc/hosts /etc/resolv.conf")
    assert "10.9.8.7\tdb" in out
    assert {"nameserver 9.9.9.9", "search example.org", "options ndots:3"} <= set(out.splitlines())


def test_run_label_shows_in_inspect(engine: Engine) -> None:
    """--label keeps key and value, and a label without a value is empty."""
    identifier = engine.ok("run", "-d", "--label", "a=b=c", "-l", "alone", "busybox", "true")
    assert json.loads(engine.ok("inspect", "-f", "{{json .Config.Labels}}", identifier)) == {"a": "b=c", "alone": ""}


def test_run_read_only_forbids_writing_to_the_root(engine: Engine) -> None:
    """--read-only leaves /dev/shm and a --tmpfs writable, and nothing of the image."""
    script = "touch /x 2>&1; touch /t/x && echo tmpfs; touch /dev/shm/x && echo shm; cat /proc/mounts"
    out = run(engine, "--read-only", "--tmpfs", "/t", script=script)
    assert "Read-only file system" in out.splitlines()[0]
    assert out.splitlines()[1:3] == ["tmpfs", "shm"]
    assert re.search(r"^\S+ / overlay ro,", out, re.MULTILINE) or re.search(r"^\S+ / \S+ ro,", out, re.MULTILINE)


def test_run_tmpfs_takes_its_options(engine: Engine) -> None:
    """--tmpfs PATH:OPTIONS mounts with Docker's own defaults and those options."""
    out = run(engine, "--tmpfs", "/t:size=1m,mode=1770", script="grep ' /t ' /proc/mounts; stat -c %a /t")
    mount, mode = out.splitlines()
    assert mount.startswith("tmpfs /t tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k")
    assert mode == "1770"


def test_run_shm_size_limits_dev_shm(engine: Engine) -> None:
    """/dev/shm has 64 MiB, or what --shm-size says."""
    script = "df -k /dev/shm | tail -n 1 | awk '{print $2}'"
    assert run(engine, script=script) == "65536"
    assert run(engine, "--shm-size", "3m", script=script) == "3072"


def test_run_volume_binds_host_directories_and_files(engine: Engine, tmp_path: Path) -> None:
    """-v shows the host's files both ways, ':ro' forbids writing, and a single file can be bound as well."""
    (tmp_path / "in").write_text("from host")
    volume = f"{tmp_path}:/data"
    assert run(engine, "-v", volume, script="cat /data/in; echo back > /data/out") == "from host"
    assert (tmp_path / "out").read_text() == "back\n"
    assert "Read-only" in run(engine, "-v", f"{volume}:ro", script="touch /data/x 2>&1; true")
    assert run(engine, "-v", f"{tmp_path}/in:/etc/plain-file", script="cat /etc/plain-file") == "from host"


def test_run_volume_source_is_made_where_it_is_missing(engine: Engine, tmp_path: Path) -> None:
    """-v makes a missing directory on the host, as it always did (--mount does not)."""
    run(engine, "-v", f"{tmp_path}/new/dir:/data", script="echo x > /data/f")
    assert (tmp_path / "new/dir/f").read_text() == "x\n"


def test_run_mount_binds_read_only(engine: Engine, tmp_path: Path) -> None:
    """--mount type=bind,readonly and type=tmpfs do the same in the long spelling."""
    (tmp_path / "f").write_text("x")
    bind, tmpfs = f"type=bind,source={tmp_path},target=/d,readonly", "type=tmpfs,target=/t,tmpfs-size=1048576"
    out = run(engine, "--mount", bind, "--mount", tmpfs, script="cat /d/f; touch /d/g 2>&1; grep ' /t ' /proc/mounts")
    assert out.startswith("x")
    assert "Read-only" in out
    assert "size=1024k" in out


def test_run_capabilities_default_add_drop_privileged(engine: Engine) -> None:
    """The default set is Docker's; --cap-add, --cap-drop ALL and --privileged change it."""
    script = "grep CapEff /proc/self/status | cut -f 2"
    assert run(engine, script=script) == "00000000a80425fb"
    assert run(engine, "--cap-drop", "ALL", script=script) == "0000000000000000"
    assert run(engine, "--cap-drop", "ALL", "--cap-add", "NET_ADMIN", script=script) == "0000000000001000"
    assert run(engine, "--cap-add", "SYS_PTRACE", script=script) == "00000000a80c25fb"
    assert run(engine, "-u", "app", script=script) == "0000000000000000"


def test_run_privileged_has_what_the_host_has(engine: Engine) -> None:
    """--privileged gives the host's capabilities and devices, no filter, and a writable /sys."""
    script = "grep -E 'CapEff|Seccomp:' /proc/self/status | cut -f 2; grep ' /sys sysfs' /proc/mounts; ls /dev | wc -l"
    plain = run(engine, script=script).split()
    assert (plain[1], plain[5].split(",")[0]) == ("2", "ro")
    done = engine.docker("run", "--rm", "--privileged", "busybox", "sh", "-c", script)
    if engine.name == "dockerd" and not host_has_every_capability():
        assert re.search(sentence(engine, "privileged-on-a-host-with-fewer-capabilities"), done.stderr)
        return
    assert done.returncode == 0, done.stderr
    privileged = done.stdout.split()
    assert (int(privileged[0], 16), privileged[1]) == (int(own_status("CapBnd"), 16), "0")
    assert privileged[5].split(",")[0] == "rw"
    assert int(privileged[-1]) > int(plain[-1])


def test_run_device_is_there(engine: Engine) -> None:
    """--device makes the node and lets the program use it; without it there is none."""
    assert run(engine, "--device", "/dev/zero:/dev/zeros", script="head -c 3 /dev/zeros | wc -c") == "3"


def test_run_default_devices_work_and_others_are_denied(engine: Engine) -> None:
    """The usual devices are there; a node that the program makes itself is not usable."""
    out = run(engine, script="ls /dev; head -c 1 /dev/urandom | wc -c; mknod /d b 8 0 && head -c 1 /d 2>&1; true")
    assert {"null", "zero", "full", "random", "urandom", "tty", "pts", "shm", "mqueue", "ptmx", "fd"} <= set(
        out.split()
    )
    assert "not permitted" in out


def test_run_memory_limit_is_in_the_cgroup(engine: Engine) -> None:
    """--memory shows in the cgroup and in inspect; a program that takes more is killed, and said to be."""
    script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
    assert run(engine, "--memory", "32m", script=script) == str(32 << 20)
    greedy = engine.docker("run", "--name", "greedy", "--memory", "16m", "busybox", "sh", "-c", "tail /dev/zero")
    assert greedy.returncode == 137
    state = json.loads(engine.ok("inspect", "-f", "{{json .State}}", "greedy"))
    assert (state["OOMKilled"], state["ExitCode"]) == (True, 137)


def test_run_cpus_is_a_quota(engine: Engine) -> None:
    """--cpus 0.5 is half a period, and --cpu-shares a weight."""
    v1 = "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us 2>/dev/null"
    out = run(engine, "--cpus", "0.5", script=f"{v1} || cat /sys/fs/cgroup/cpu.max")
    assert out.split() == ["50000", "100000"]


def test_run_pids_limit_stops_a_fork_bomb(engine: Engine) -> None:
    """--pids-limit bounds the number of processes."""
    done = engine.docker(
        "run",
        "--rm",
        "--pids-limit",
        "8",
        "busybox",
        "sh",
        "-c",
        "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 3 & done; wait",
    )
    assert "can't fork" in done.stderr


def test_run_ulimit_is_set(engine: Engine) -> None:
    """--ulimit sets the soft and the hard limit."""
    assert run(engine, "--ulimit", "nofile=100:200", script="ulimit -Sn; ulimit -Hn").split() == ["100", "200"]


def test_run_sysctl_is_set_in_the_namespace(engine: Engine) -> None:
    """--sysctl sets a value of the container's own namespace."""
    out = run(engine, "--sysctl", "net.ipv4.ip_default_ttl=33", script="cat /proc/sys/net/ipv4/ip_default_ttl")
    assert out == "33"


def test_run_oom_score_adj_is_set(engine: Engine) -> None:
    """--oom-score-adj reaches the process."""
    assert run(engine, "--oom-score-adj", "300", script="cat /proc/self/oom_score_adj") == "300"


def test_run_security_opt_no_new_privileges(engine: Engine) -> None:
    """no-new-privileges is off by default and on when asked; a seccomp filter is always there, unless unconfined."""
    script = "grep -E 'NoNewPrivs|^Seccomp:' /proc/self/status | cut -f 2"
    assert run(engine, script=script).split() == ["0", "2"]
    assert run(engine, "--security-opt", "no-new-privileges", script=script).split() == ["1", "2"]
    assert run(engine, "--security-opt", "seccomp=unconfined", script=script).split() == ["0", "0"]


def test_run_seccomp_profile_of_ones_own(engine: Engine, tmp_path: Path) -> None:
    """A JSON profile forbids what it names and allows the rest."""
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
    (tmp_path / "profile.json").write_text(json.dumps(profile))
    out = run(engine, "--security-opt", f"seccomp={tmp_path}/profile.json", script="mkdir /x 2>&1; touch /y && echo ok")
    assert "Operation not permitted" in out
    assert out.endswith("ok")


def test_run_init_reaps_and_passes_signals(engine: Engine) -> None:
    """--init puts a small init at PID 1 that ends on SIGTERM, though the program itself would ignore it there."""
    assert run(engine, "--init", script="cat /proc/1/comm") in {"docker-init", "tini", "init", "shoal-init"}
    identifier = engine.ok("run", "-d", "--init", "busybox", "sleep", "1000")
    engine.ok("stop", "-t", "20", identifier)
    assert engine.ok("inspect", "-f", "{{.State.ExitCode}}", identifier) == "143"


def test_run_namespaces_are_its_own(engine: Engine) -> None:
    """PID 1 is the program itself; --pid host and --uts host share the host's."""
    assert run(engine, script="echo $$; ps | wc -l").split()[0] == "1"
    host = Path("/proc/sys/kernel/hostname").read_text().strip()
    assert run(engine, "--uts", "host", script="hostname") == host
    assert "PID" in run(engine, "--pid", "host", script="ps | head -n 3")
    assert int(run(engine, "--pid", "host", script="echo $$")) > 1


def test_run_masked_paths_hide_the_host(engine: Engine) -> None:
    """What tells of or changes the whole machine is masked or read-only."""
    out = run(
        engine, script="ls /sys/firmware | wc -w; cat /proc/timer_list | wc -c; grep -c ' /proc/.* ro,' /proc/mounts"
    )
    assert out.split()[:2] == ["0", "0"]
    assert int(out.split()[2]) >= 5
    refused = engine.docker("run", "--rm", "busybox", "sh", "-c", "echo 1 > /proc/sys/kernel/panic")
    assert "Read-only file system" in refused.stderr


def test_run_network_none_has_the_loopback_alone(engine: Engine) -> None:
    """--network none leaves nothing but lo, which works."""
    out = run(
        engine, "--network", "none", script="ls /sys/class/net; ping -c 1 127.0.0.1 | grep -c '1 packets received'"
    )
    assert "eth0" not in out
    assert out.splitlines()[-1] == "1"
    assert "eth0" not in run(engine, "--network", "none", script="ip -o addr")


def test_run_network_host_shares_the_host_namespace(engine: Engine) -> None:
    """--network host sees the very interfaces of the machine."""
    links = run(engine, "--network", "host", script="readlink /proc/self/ns/net")
    assert links == engine.ok("run", "--rm", "--network", "host", "busybox", "readlink", "/proc/self/ns/net")
    assert links != run(engine, script="readlink /proc/self/ns/net")


def test_run_cidfile_and_quiet_detach_print_the_id(engine: Engine, tmp_path: Path) -> None:
    """-d prints the full id, and --cidfile writes the same."""
    identifier = engine.ok("run", "-d", "--cidfile", str(tmp_path / "cid"), "busybox", "true")
    assert re.fullmatch(r"[0-9a-f]{64}", identifier)
    assert (tmp_path / "cid").read_text() == identifier


def test_run_rm_leaves_no_container(engine: Engine) -> None:
    """--rm removes it when it ends, in the foreground and detached."""
    engine.ok("run", "--rm", "busybox", "true")
    identifier = engine.ok("run", "-d", "--rm", "busybox", "sleep", "1000")
    engine.ok("kill", identifier)
    engine.request("POST", f"/containers/{identifier}/wait?condition=removed")
    assert engine.ok("ps", "-aq") == ""


def test_run_stop_signal_and_timeout_are_kept(engine: Engine) -> None:
    """--stop-signal is what `stop` sends."""
    script = "trap 'echo got usr1; exit 3' USR1; while :; do sleep 0.1; done"
    engine.ok("run", "-d", "--name", "stopped", "--stop-signal", "USR1", "busybox", "sh", "-c", script)
    engine.ok("stop", "stopped")
    assert engine.ok("logs", "stopped") == "got usr1"
    assert engine.ok("inspect", "-f", "{{.State.ExitCode}}", "stopped") == "3"
