"""`shoal demo` as a newcomer runs it."""

from __future__ import annotations

import contextlib
import glob
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kernel.cli.shoal import COMMAND, environment

# The first run builds Debian's root file system; it is kept beside what `./dev` keeps.
pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

CACHE = Path(__file__).resolve().parents[3] / ".cache" / "demo"
PROOF = (
    "left of this engine: 0 mounts, 0 network namespaces, 0 cgroups, 0 veths and bridges, 0 nftables tables, "
    "0 processes, 0 files"
)


@contextmanager
def demo(work_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """The demo, its words as a pipe; killed at the end if it still runs."""
    process = subprocess.Popen(
        [*COMMAND, "demo", "--cache-dir", str(CACHE), "--work-dir", str(work_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture
def work_dir() -> Iterator[Path]:
    """Where the demo works: on a disk, and with a short name, for its sockets. It is empty at the end."""
    path = Path(tempfile.mkdtemp(prefix="demo-", dir="/var/tmp"))
    yield path
    assert list(path.iterdir()) == []
    path.rmdir()


def test_demo_twice_at_once_keeps_its_promises(work_dir: Path) -> None:
    """Both end well and prove that nothing is left, while the host's port 4000 is held by a third."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # somebody else holds it: that serves as well
            holder.bind(("0.0.0.0", 4000))
            holder.listen()
        with demo(work_dir) as first, demo(work_dir) as second:
            outputs = [process.communicate()[0] for process in (first, second)]
            codes = [first.returncode, second.returncode]
    for output in outputs:
        assert "FAILED" not in output, output
        assert PROOF in output
        assert "held by another program of this machine" in output
        assert "web-2 answers from port 4000 as process 1" in output
        assert "\033" not in output
    assert codes == [0, 0]


def test_demo_interrupted_leaves_nothing(work_dir: Path) -> None:
    """Ctrl-C, pressed again and again while containers run: code 130, and everything is gone."""
    with demo(work_dir) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "web-1, port 4000" in line:
                break
        process.send_signal(signal.SIGINT)
        for line in process.stdout:
            if "cleaning up" in line:
                break
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait() == 130, rest
    assert "left" not in rest
    assert [path for path in glob.glob("/proc/[0-9]*/cmdline") if str(work_dir).encode() in _command(path)] == []


def _command(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
