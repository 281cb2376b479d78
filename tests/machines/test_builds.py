"""`docker build --isolation vm`: what RUN executes runs in machines, and the image is the one that containers make."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.engines.engine import DOCKER
from tests.engines.shoald import Shoald
from tests.machines.modes import BOOT_S

INSTRUCTIONS = r"""
FROM busybox
ENV A=b
ARG WORD=none
WORKDIR /made
RUN echo $A $WORD $(pwd) $(id -u) > env; echo said
RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/t --mount=type=bind,target=/ctx \
    echo cached > /cache/f; ls /ctx; touch /t/x && cat /cache/f > cached
RUN --network=none ip -o addr | wc -l > links
COPY --chown=5:6 Dockerfile /made/
RUN rm /bin/vi; ln -s /made /link; mkdir -p /d/e; chmod 1777 /d; chown 7:8 /d/e
USER 5:6
RUN id > /d/who; ls -ln Dockerfile | awk '{print $3, $4}' >> /d/who; umask >> /d/who
FROM busybox
COPY --from=0 /d/who /who
"""


def build(shoald: Shoald, isolation: str, directory: Path, *words: str) -> tuple[int, str]:
    """(exit code, output) of a build by the docker command."""
    assert DOCKER is not None
    command = [DOCKER, "build", f"--isolation={isolation}", "--no-cache", *words, str(directory)]
    environment = shoald.environment() | {"DOCKER_BUILDKIT": "0"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=3 * BOOT_S)
    said = re.sub(r"(Running in|intermediate container) [0-9a-f]+", r"\1 ID", done.stdout)
    return done.returncode, said + done.stderr


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A build's context."""
    (tmp_path / "Dockerfile").write_text(INSTRUCTIONS)
    return tmp_path


def test_image_built_in_machines_is_the_one_built_in_containers(shoald: Shoald, directory: Path) -> None:
    """Byte for byte: its id, those of all steps, and what is said meanwhile; mounts and users of RUN included."""
    code, said = build(shoald, "process", directory, "--build-arg=WORD=w", "-t", "built")
    assert code == 0, said
    made = shoald.ok("inspect", "-f", "{{.Id}}", "built")
    assert build(shoald, "vm", directory, "--build-arg=WORD=w", "-t", "built") == (0, said)
    assert shoald.ok("inspect", "-f", "{{.Id}}", "built") == made
    shoald.ok("rmi", "built")


def test_command_that_fails_in_a_machine_fails_the_build(shoald: Shoald, tmp_path: Path) -> None:
    """With its code, after its output; nothing of the machine stays (the engine's end asserts it)."""
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo before; exit 9\n")
    container, machine = (build(shoald, mode, tmp_path) for mode in ("process", "vm"))
    assert machine == container
    assert machine[0] == 9
