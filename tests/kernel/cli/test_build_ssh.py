"""RUN --mount=type=ssh with a real ssh-agent."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.engine import Engine
from tests.kernel.cli.building import build

pytestmark = pytest.mark.root


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[str]:
    """The socket of an agent that has one key, named `the-key`."""
    socket = str(tmp_path / "agent")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE, env={"PATH": os.defpath})
    try:
        assert process.stdout is not None
        process.stdout.readline()
        key = str(tmp_path / "key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "the-key", "-f", key], check=True)
        env = {"PATH": os.defpath, "SSH_AUTH_SOCK": socket}
        subprocess.run(["ssh-add", "-q", key], check=True, env=env, capture_output=True)
        yield socket
    finally:
        process.terminate()
        process.communicate()


def dockerfile(mount: str, *, user: str = "root") -> str:
    """A build whose command asks the agent."""
    return f"FROM ssh-tools\nUSER {user}\nRUN --mount=type=ssh{mount} ask-agent\n"


@pytest.fixture
def tools(engine: Engine, tmp_path: Path) -> None:
    """The image `ssh-tools`: this machine's ssh-add and its libraries."""
    program = shutil.which("ssh-add")
    assert program is not None
    context = tmp_path / "context"
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    files = {word for word in linked.split() if word.startswith("/")} | {program}
    for name in files:
        target = context / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, target)
    text = "FROM busybox\nCOPY . /\nRUN echo 'ssh-add -l' > /bin/ask-agent && chmod 755 /bin/ask-agent\n"
    (context / "Dockerfile").write_text(text)
    engine.ok("build", "-t", "ssh-tools", str(context))


@pytest.mark.usefixtures("tools")
def test_ssh_mount_reaches_the_agent(engine: Engine, agent: str) -> None:
    """The command finds the agent's key, as root and as another user whose socket it is; nothing of it stays."""
    output = build(engine, dockerfile(""), "--ssh", f"default={agent}", "-t", "asked")
    assert "the-key (ED25519)" in output
    assert engine.ok("history", "--format", "{{.Size}}", "asked").splitlines()[0] == "0B"
    other = dockerfile(",id=other,uid=1000,mode=0600,target=/tmp/s", user="1000")
    assert "the-key (ED25519)" in build(engine, other, "--ssh", f"other={agent}")
    closed = dockerfile(",uid=7,mode=0600,required", user="1000")
    assert "Permission denied" in build(engine, closed, "--ssh", f"default={agent}", code=2)


@pytest.mark.usefixtures("tools")
def test_ssh_mount_without_an_agent(engine: Engine, tmp_path: Path) -> None:
    """One that is required and not given is refused; one that is not there, or a key in its place, is told as that."""
    assert "ssh agent default not found" in build(engine, dockerfile(",required"), code=1)
    assert "Could not open a connection" in build(engine, dockerfile(""), code=2)
    (tmp_path / "key").touch()
    assert "is a file" in build(engine, dockerfile(""), "--ssh", f"default={tmp_path}/key", code=1)
    gone = build(engine, dockerfile(",required"), "--ssh", f"default={tmp_path}/gone", code=1)
    assert f"ssh agent {tmp_path}/gone can't be reached" in gone
