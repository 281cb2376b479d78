"""Starting the engine on the first use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from shoal.cli.autostart import StartingTransport, find_shoald
from shoal.client.transport import UnixTransport
from shoal.errors import Forbidden, Unavailable

# An engine that listens, tells its pid, and ends when its first client hangs up.
LISTENER = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("listening in", os.getcwd(), flush=True)
connection, _ = listener.accept()
connection.sendall(b"%d %d" % (os.getpid(), os.getsid(0)))
connection.recv(1)
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run directory, and a user who may start engines."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path / "run"


def starting(root: Path, *program: str) -> tuple[StartingTransport, list[str]]:
    """The transport, and what it announces."""
    announced: list[str] = []
    transport = UnixTransport(str(root / "docker.sock"))
    return StartingTransport(transport, announced.append, program=program, exec_root=str(root)), announced


def test_starting_transport_starts_the_engine_and_connects(root: Path) -> None:
    """In a session of its own, away from the caller's directory, its output in the log."""
    transport, announced = starting(root, sys.executable, "-c", LISTENER, str(root / "docker.sock"))
    connection = transport.connect()
    pid, session = (int(word) for word in connection.receive(100).split())
    connection.close()
    os.waitpid(pid, 0)
    assert pid == session
    assert announced == [f"shoald does not run; starting it (log: {root}/shoald.log)"]
    assert (root / "shoald.log").read_text() == "listening in /\n"


def test_starting_transport_engine_that_fails_is_told_with_its_last_words(root: Path) -> None:
    """The code, the log's last line, and where the log is."""
    transport, _ = starting(root, sys.executable, "-c", "import sys; print('no space'); sys.exit(3)")
    with pytest.raises(Unavailable, match="shoald ended at once with code 3: no space") as caught:
        transport.connect()
    assert caught.value.fix == f"see {root}/shoald.log"


def test_starting_transport_without_a_program_says_so(root: Path) -> None:
    """Nothing is started."""
    transport, announced = starting(root)
    with pytest.raises(Unavailable, match="no shoald next to this program"):
        transport.connect()
    assert announced == []
    assert not root.exists()


def test_starting_transport_of_another_user_says_who_may(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root may start it."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    transport, announced = starting(root, "shoald")
    with pytest.raises(Forbidden, match="Is shoald running") as caught:
        transport.connect()
    assert "root" in caught.value.fix
    assert announced == []


def test_starting_transport_does_not_follow_a_link_for_its_log(root: Path) -> None:
    """A log that someone replaced by a link is not written through."""
    root.mkdir()
    (root / "shoald.log").symlink_to("/dev/null")
    transport, _ = starting(root, sys.executable, "-c", "")
    with pytest.raises(Unavailable, match="can't write"):
        transport.connect()


def test_find_shoald_finds_a_command() -> None:
    """Beside the interpreter, or the module."""
    command = find_shoald()
    assert command[0].endswith("shoald") or command[1:] == ["-m", "shoal.daemon.main"]
