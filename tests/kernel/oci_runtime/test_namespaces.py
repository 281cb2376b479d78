"""Namespaces of a bundle: new ones, those of others by path, and user namespaces with mappings."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.kernel.oci_runtime.runtime import Bundle, Runtime, output_of

pytestmark = pytest.mark.root
MAPS = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def in_user_namespace(box: Bundle) -> None:
    """Gives the container a user namespace, and its files to its root."""
    box.namespace("user")
    box.linux["uidMappings"] = box.linux["gidMappings"] = MAPS
    for directory, names, files in os.walk(box.rootfs):
        for name in (*names, *files, "."):
            os.chown(os.path.join(directory, name), 100000, 100000, follow_symlinks=False)
    for path in (box.directory, *box.directory.parents[:4]):
        path.chmod(0o755)


def test_user_namespace_maps_root(runtime: Runtime, box: Bundle) -> None:
    """Root inside is another user outside, with all mounts and devices in their places."""
    in_user_namespace(box)
    box.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128}]
    box.process["oomScoreAdj"] = 321
    box.shell("id -u; cat /proc/self/uid_map; touch /made; echo x > /dev/null; ulimit -n; cat /proc/self/oom_score_adj")
    lines = output_of(runtime.run(box)).splitlines()
    assert (lines[0], lines[1].split()) == ("0", ["0", "100000", "65536"])
    assert lines[2:] == ["64", "321"]
    assert (box.rootfs / "made").stat().st_uid == 100000


def test_exec_enters_the_user_namespace(runtime: Runtime, box: Bundle) -> None:
    """A process that joins is root there and nowhere else."""
    in_user_namespace(box)
    box.process["args"] = ["sleep", "100"]
    runtime.start(box)
    done = runtime.call("exec", "one", "sh", "-c", "id -u; cat /proc/self/uid_map; touch /exec")
    assert output_of(done).split() == ["0", "0", "100000", "65536"]
    assert (box.rootfs / "exec").stat().st_uid == 100000


def test_namespaces_by_path_are_joined(runtime: Runtime, box: Bundle) -> None:
    """A second container lives in the network, ipc, uts and pid namespaces of the first."""
    box.process["args"] = ["sleep", "100"]
    pid = runtime.start(box)
    other = runtime.bundle()
    kinds = {"network": "net", "ipc": "ipc", "uts": "uts", "pid": "pid"}
    for kind, name in kinds.items():
        other.namespace(kind, f"/proc/{pid}/ns/{name}")
    other.spec.pop("hostname")
    other.shell("for n in net ipc uts pid; do readlink /proc/self/ns/$n; done; ps | grep -c sleep")
    lines = output_of(runtime.run(other, id="two")).splitlines()
    assert lines[:4] == [os.readlink(f"/proc/{pid}/ns/{name}") for name in kinds.values()]
    assert int(lines[4]) >= 1


def test_user_namespace_by_path_is_joined(runtime: Runtime, box: Bundle) -> None:
    """A container in the user namespace of another has its new namespaces owned by that."""
    in_user_namespace(box)
    box.process["args"] = ["sleep", "100"]
    pid = runtime.start(box)
    other = runtime.bundle()
    in_user_namespace(other)
    del other.linux["uidMappings"], other.linux["gidMappings"]
    other.namespace("user", f"/proc/{pid}/ns/user")
    other.namespace("network", f"/proc/{pid}/ns/net")
    other.shell("readlink /proc/self/ns/user; id -u; hostname")
    lines = output_of(runtime.run(other, id="two")).splitlines()
    assert lines == [os.readlink(f"/proc/{pid}/ns/user"), "0", "shoal"]


def test_network_device_moves_in(runtime: Runtime, box: Bundle) -> None:
    """An interface of the caller's network namespace is the container's, with its address, under its new name."""
    box.linux["netDevices"] = {"shoaldummy0": {"name": "eth7"}}
    box.shell("ip -o addr show eth7")
    box.write()
    link = "ip link add shoaldummy0 type veth peer name shoaldummy1 && ip addr add 10.9.8.7/24 dev shoaldummy0"
    script = f'{link} && exec "$@"'
    command = runtime.command("run", "--bundle", str(box.directory), "one")
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", script, "sh", *command],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert "10.9.8.7/24" in output_of(done)


def test_container_leaves_the_callers_namespaces_alone(runtime: Runtime, box: Bundle) -> None:
    """Nothing of a container is in the mount table of whoever made it."""
    before = Path("/proc/self/mountinfo").read_text()
    box.process["args"] = ["sleep", "100"]
    runtime.start(box)
    assert str(box.directory) not in Path("/proc/self/mountinfo").read_text()
    assert before.count("\n") == Path("/proc/self/mountinfo").read_text().count("\n")
