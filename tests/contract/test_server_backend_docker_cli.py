"""The stock docker command against the server and the fake engine: both sides of the wire are real."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from shoal.api.log import LogEntry
from shoal.server.api_server import ApiServer
from tests.unit.server.fake_engine import FakeEngine

DOCKER = shutil.which("docker")
pytestmark = pytest.mark.skipif(DOCKER is None, reason="the docker command is not installed")

Docker = Callable[..., Awaitable[tuple[int, str, str]]]


def play(tmp_path: Path, scenario: Callable[[Docker, FakeEngine], Awaitable[None]]) -> None:
    """Run a scenario with a `docker` that talks to a server of its own."""

    async def main() -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "docker.sock"))
        listener.listen(64)
        engine = FakeEngine()
        server = ApiServer(engine)

        async def docker(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
            process = await asyncio.create_subprocess_exec(
                DOCKER or "docker",
                "--config",
                str(tmp_path),
                "-H",
                f"unix://{tmp_path}/docker.sock",
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await process.communicate(stdin)
            return process.returncode or 0, out.decode(), err.decode()

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(server.serve([listener]))
            try:
                await scenario(docker, engine)
            finally:
                await server.close(grace_s=0)

    asyncio.run(main())


def test_docker_version_and_info_show_the_engine(tmp_path: Path) -> None:
    """The command negotiates its version and prints the engine's."""

    async def scenario(docker: Docker, _engine: FakeEngine) -> None:
        code, out, err = await docker("version", "--format", "{{.Server.Version}} {{.Server.APIVersion}}")
        assert (code, out, err) == (0, "0.1.0 1.50\n", "")
        code, out, _ = await docker("info", "--format", "{{.Driver}} {{.NCPU}} {{.Swarm.LocalNodeState}}")
        assert (code, out) == (0, "overlay2 2 inactive\n")

    play(tmp_path, scenario)


def test_docker_ps_and_images_list(tmp_path: Path) -> None:
    """Lists are understood, an empty one too."""

    async def scenario(docker: Docker, _engine: FakeEngine) -> None:
        code, out, _ = await docker(
            "ps", "--all", "--filter", "label=a=b", "--format", "{{.Names}} {{.Image}} {{.Status}}"
        )
        assert (code, out) == (0, "c1 alpine Up 1 second\n")
        assert (await docker("images"))[0] == 0
        assert (await docker("volume", "ls", "--quiet"))[:2] == (0, "v1\n")
        assert (await docker("network", "ls", "--format", "{{.Name}}"))[:2] == (0, "bridge\n")
        assert (await docker("history", "alpine"))[0] == 0
        code, _, err = await docker("ps", "--filter", "colour=red")
        assert (code, err) == (1, "Error response from daemon: invalid filter 'colour'\n")

    play(tmp_path, scenario)


def test_docker_inspect_finds_each_kind_and_refuses_the_unknown(tmp_path: Path) -> None:
    """Inspect goes through all kinds of object and ends with Docker's own sentence."""

    async def scenario(docker: Docker, _engine: FakeEngine) -> None:
        code, out, _ = await docker("inspect", "--format", "{{.Name}} {{.State.Running}}", "c1")
        assert (code, out) == (0, "/c1 true\n")
        code, out, _ = await docker("inspect", "--format", "{{.RepoTags}}", "docker.io/library/alpine")
        assert (code, out) == (0, "[alpine:latest]\n")
        code, out, _ = await docker("inspect", "--format", "{{.Driver}}", "bridge")
        assert (code, out) == (0, "bridge\n")
        code, _, err = await docker("inspect", "nothing-here")
        assert code == 1
        assert "No such object: nothing-here" in err

    play(tmp_path, scenario)


def test_docker_logs_attach_and_exec_carry_streams(tmp_path: Path) -> None:
    """Framed logs, an attach with input and an exec with its exit code pass through the command."""

    async def scenario(docker: Docker, engine: FakeEngine) -> None:
        engine.containers.log = [LogEntry(1, 0, b"out\n"), LogEntry(2, 0, b"err\n")]
        code, out, err = await docker("logs", "c1")
        assert (code, out, err) == (0, "out\n", "err\n")
        text = "x" * 200_000 + "\n"
        code, out, err = await docker("exec", "-i", "c1", "cat", stdin=text.encode())
        assert (code, out, err) == (3, text, "bye\n")
        assert (await docker("exec", "-d", "nope", "ls"))[2] == "Error response from daemon: No such container: nope\n"

    play(tmp_path, scenario)


def test_docker_load_save_and_import_carry_archives(tmp_path: Path) -> None:
    """An archive goes in and out whole, and a refusal is printed."""

    async def scenario(docker: Docker, engine: FakeEngine) -> None:
        code, out, _ = await docker("load", stdin=b"tar" * 100_000)
        assert (code, out) == (0, "Loaded image: alpine:latest\n")
        assert bytes(engine.images.received) == b"tar" * 100_000
        assert (await docker("save", "-o", str(tmp_path / "o.tar"), "alpine"))[0] == 0
        assert (tmp_path / "o.tar").stat().st_size == 64 * 65536
        code, _, err = await docker("save", "-o", str(tmp_path / "p.tar"), "nope:1")
        assert (code, err) == (1, "Error response from daemon: No such image: nope:1\n")
        assert (await docker("import", "-", "x:y", stdin=b"tar"))[0] == 0

    play(tmp_path, scenario)


def test_docker_commands_that_are_not_served_say_so(tmp_path: Path) -> None:
    """What is not there yet is told in a sentence, with a failing exit code."""

    async def scenario(docker: Docker, _engine: FakeEngine) -> None:
        for arguments, sentence in {
            ("search", "a"): "shoal 0.1.0 does not serve the search of a registry yet",
            ("network", "create", "bridge"): "operation is not permitted on predefined bridge network",
            ("node", "ls"): "This node is not a swarm manager.",
            ("plugin", "inspect", "p"): 'plugin "p" not found',
            ("pull", "alpine"): "pulls come later",
        }.items():
            code, _, err = await docker(*arguments)
            assert code == 1, arguments
            assert sentence in err, err
        assert (await docker("volume", "prune", "-f"))[0] == 0
        assert (await docker("plugin", "ls", "-q"))[:2] == (0, "")

    play(tmp_path, scenario)


def test_docker_run_starts_only_after_wait_is_heard_and_takes_its_exit_code(tmp_path: Path) -> None:
    """The whole choreography of `docker run`: create, attach, wait, start, and the exit code at the end."""

    async def scenario(docker: Docker, engine: FakeEngine) -> None:
        code, out, err = await docker("run", "-i", "alpine", "cat", stdin=b"hello\n")
        assert (code, out, err) == (7, "hello\n", "bye\n")
        assert [note[0] for note in engine.containers.notes] == ["create", "attach", "wait", "start"]

    play(tmp_path, scenario)
