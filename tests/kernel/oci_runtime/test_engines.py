"""Other people's engines on `shoal-runtime`: Podman with conmon, containerd with its shim, dockerd.

Each engine has roots and sockets of its own. Where one is not installed its cases are left out, as the reasons say.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from tests.engines import dockerd
from tests.engines.busybox import root_filesystem
from tests.engines.engine import DOCKER
from tests.kernel.oci_runtime.runtime import PROGRAM, Bundle

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]
_PODMAN = shutil.which("podman")
_CONTAINERD = shutil.which("containerd")
_CTR = shutil.which("ctr")
_NAME = "shoalbox"
_DEADLINE_S = 60

Call = Callable[..., "subprocess.CompletedProcess[str]"]


def call(command: list[str], *words: str, **more: object) -> subprocess.CompletedProcess[str]:
    """A command that was run, with its output."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DOCKER_")}
    given = more.get("env")
    return subprocess.run(
        [*command, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
        env={**environment, **(given if isinstance(given, dict) else {})},
    )


def output_of(done: subprocess.CompletedProcess[str]) -> str:
    """What a command wrote, once it has succeeded."""
    assert done.returncode == 0, (done.args, done.returncode, done.stdout, done.stderr)
    return done.stdout


def typed(command: list[str], env: dict[str, str] | None = None) -> None:
    """Talks with a shell on a terminal, and ends it with an exit code of its own."""
    child = pexpect.spawn(command[0], command[1:], timeout=30, env={**os.environ, **(env or {})})
    child.expect("#")
    child.sendline("echo answer-$((40+2)); tty; exit 6")
    child.expect("answer-42")
    child.expect("/dev/")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 6


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """A directory with a path that leaves room for sockets."""
    directory = Path(tempfile.mkdtemp(prefix="shoal-oci-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def podman(short_directory: Path) -> Iterator[list[str]]:
    """Podman with a busybox image and nothing of the host's."""
    if _PODMAN is None:
        pytest.skip("podman is not installed")
    command = [_PODMAN, "--root", str(short_directory / "root"), "--runroot", str(short_directory / "run")]
    command += ["--tmpdir", str(short_directory / "tmp"), "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]
    command += ["--runtime", str(PROGRAM), "--runtime-flag", f"root={short_directory / 'state'}"]
    archive = short_directory / "image.tar"
    archive.write_bytes(root_filesystem())
    output_of(call(command, "import", str(archive), "busybox"))
    yield command
    call(command, "rm", "--all", "--force", "--time", "0")


def test_podman_runs_containers(podman: list[str]) -> None:
    """Run with an exit code, detached with logs and exec, kill, rm, a terminal, and a program that is not there."""
    done = call(podman, "run", "--rm", "--network", "none", "busybox", "sh", "-c", "echo hello; exit 3")
    assert (done.returncode, done.stdout) == (3, "hello\n")
    script = "echo from-the-log; exec sleep 100"
    output_of(call(podman, "run", "-d", "--name", _NAME, "--network", "none", "busybox", "sh", "-c", script))
    assert output_of(call(podman, "exec", _NAME, "sh", "-c", "echo joined; id -u")) == "joined\n0\n"
    assert call(podman, "exec", _NAME, "sh", "-c", "exit 9").returncode == 9
    assert "from-the-log" in output_of(call(podman, "logs", _NAME))
    assert _NAME in output_of(call(podman, "ps"))
    output_of(call(podman, "pause", _NAME))
    output_of(call(podman, "unpause", _NAME))
    output_of(call(podman, "kill", _NAME))
    assert output_of(call(podman, "wait", _NAME)).strip() == "137"
    output_of(call(podman, "rm", _NAME))
    typed([*podman, "run", "--rm", "-it", "--network", "none", "busybox", "sh"])
    assert call(podman, "run", "--rm", "--network", "none", "busybox", "nosuch").returncode == 127
    assert output_of(call(podman, "ps", "-a", "-q")) == ""


def test_podman_runs_with_a_user_namespace_and_limits(podman: list[str]) -> None:
    """Mappings, memory, a seccomp profile by default, and a read-only root with its memory."""
    flags = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536", "--memory", "64m", "--read-only"]
    done = call(podman, "run", "--rm", "--network", "none", *flags, "busybox", "cat", "/proc/self/uid_map")
    assert output_of(done).split() == ["0", "100000", "65536"]


class Containerd:
    """A containerd with directories and a socket of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "c.sock"
        config = directory / "config.toml"
        config.write_text(
            f'version = 2\nroot = "{directory}/root"\nstate = "{directory}/state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\n  address = "{self.socket}"\n[ttrpc]\n  address = "{self.socket}.ttrpc"\n'
        )
        with (directory / "log").open("wb") as log:
            self.process = subprocess.Popen([_CONTAINERD or "", "--config", str(config)], stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not self.socket.exists() or call(self.ctr(), "version").returncode != 0:
            assert time.monotonic() < deadline, (directory / "log").read_text()
            time.sleep(0.05)  # nothing announces readiness but the socket itself

    def ctr(self) -> list[str]:
        """Its command line client."""
        return [_CTR or "", "--address", str(self.socket), "--namespace", f"shoal-test-{os.getpid()}"]

    def run(self, *words: str) -> list[str]:
        """The command line of `run` with our runtime."""
        root = str(self.directory / "runc")
        return [
            *self.ctr(),
            "run",
            "--runc-binary",
            str(PROGRAM),
            "--runc-root",
            root,
            "--env",
            "PATH=/bin",
            "--rootfs",
            *words,
        ]

    def close(self) -> None:
        """Ends it, and what it left running."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        marker = os.fsencode(self.directory)
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            try:
                if marker in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                continue  # it ended meanwhile
        for hierarchy in Path("/sys/fs/cgroup").glob(f"*/shoal-test-{os.getpid()}"):
            hierarchy.rmdir()


@pytest.fixture
def containerd(short_directory: Path) -> Iterator[Containerd]:
    """A private containerd."""
    if _CONTAINERD is None or _CTR is None:
        pytest.skip("containerd is not installed")
    made = Containerd(short_directory)
    yield made
    made.close()


def test_containerd_runs_containers(containerd: Containerd, box: Bundle) -> None:
    """Run with an exit code, detached with exec, pause, kill, rm, and a terminal, through containerd's shim."""
    rootfs = str(box.rootfs)
    done = call(containerd.run("--rm", rootfs, _NAME, "sh", "-c", "echo hello; exit 3"))
    assert (done.returncode, done.stdout) == (3, "hello\n"), done.stderr
    output_of(call(containerd.run("--detach", rootfs, _NAME, "sleep", "100")))
    ctr = containerd.ctr()
    done = call(ctr, "task", "exec", "--exec-id", "e1", _NAME, "sh", "-c", "echo joined; exit 9")
    assert (done.returncode, done.stdout) == (9, "joined\n"), done.stderr
    assert "RUNNING" in output_of(call(ctr, "task", "ls"))
    output_of(call(ctr, "task", "pause", _NAME))
    assert "PAUSED" in output_of(call(ctr, "task", "ls"))
    output_of(call(ctr, "task", "resume", _NAME))
    output_of(call(ctr, "task", "kill", "--signal", "SIGKILL", _NAME))
    deadline = time.monotonic() + 20
    while "STOPPED" not in output_of(call(ctr, "task", "ls")):
        assert time.monotonic() < deadline
        time.sleep(0.05)  # ctr has no command that waits for a stop
    call(ctr, "task", "delete", _NAME)
    output_of(call(ctr, "container", "delete", _NAME))
    typed(containerd.run("--rm", "--tty", rootfs, _NAME, "sh"))
    done = call(containerd.run("--rm", rootfs, _NAME, "nosuch"))
    assert (done.returncode != 0, "executable file not found in $PATH" in done.stderr) == (True, True), done.stderr


class DockerdOnShoal(dockerd.Dockerd):
    """A private dockerd that knows our runtime."""

    def command(self) -> list[str]:
        """Its command line, with one runtime more."""
        words = super().command()
        return [*words[:-1], f"{words[-1]} --add-runtime=shoal={PROGRAM} --default-runtime=shoal"]


@pytest.fixture
def docker() -> Iterator[DockerdOnShoal]:
    """A private dockerd whose default runtime is ours, with a busybox image."""
    if not dockerd.is_installed() or DOCKER is None:
        pytest.skip("dockerd is not installed")
    made = DockerdOnShoal()
    try:
        made.start()
        made.import_busybox()
        yield made
    finally:
        made.close()


def test_dockerd_runs_containers(docker: DockerdOnShoal) -> None:
    """Run with an exit code, a port, logs, exec, stop, kill, rm, a terminal, and a program that is not there."""
    done = docker.docker("run", "--rm", "busybox", "sh", "-c", "echo hello; exit 3")
    assert (done.returncode, done.stdout) == (3, "hello\n"), done.stderr
    docker.ok("run", "-d", "--name", _NAME, "--memory", "64m", "busybox", "sh", "-c", "echo from-the-log; sleep 100")
    assert docker.ok("exec", _NAME, "sh", "-c", "echo joined; id -u") == "joined\n0"
    assert docker.docker("exec", _NAME, "sh", "-c", "exit 9").returncode == 9
    assert docker.ok("logs", _NAME) == "from-the-log"
    assert "sleep 100" in docker.ok("top", _NAME)
    docker.ok("pause", _NAME)
    docker.ok("unpause", _NAME)
    docker.ok("update", "--memory", "96m", "--memory-swap", "96m", _NAME)
    docker.ok("kill", _NAME)
    assert docker.ok("wait", _NAME) == "137"
    docker.ok("rm", _NAME)
    typed([DOCKER or "", "run", "--rm", "-it", "busybox", "sh"], docker.environment())
    done = docker.docker("run", "--rm", "busybox", "nosuch")
    assert (done.returncode, "executable file not found in $PATH" in done.stderr) == (127, True), done.stderr
    done = docker.docker("run", "--rm", "--user", "1000", "--read-only", "--cap-drop", "ALL", "busybox", "id", "-u")
    assert done.stdout == "1000\n", done.stderr
    assert docker.ok("run", "--rm", "--privileged", "--ipc", "host", "--pid", "host", "busybox", "id", "-u") == "0"
