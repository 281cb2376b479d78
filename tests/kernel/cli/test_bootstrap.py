"""`shoal bootstrap`: base images without any registry, against a real engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoal.cli.bootstrap.busybox import busybox_tar
from tests.engines.shoald import Shoald
from tests.kernel.cli.shoal import shoal

pytestmark = pytest.mark.root

# Copies the tar that lies beside it to its last argument, or to the last but one if that is a mirror.
STAND_IN = """#!/bin/sh
echo "I: $*" >&2
for word; do case $word in http*) ;; *) target=$word ;; esac; done
cp "$(dirname "$0")/root.tar" "$target"
"""


def test_bootstrap_busybox_runs(shoald: Shoald) -> None:
    """The image has the asked name, a command, and every applet."""
    done = shoal(shoald, "bootstrap", "busybox", "-t", "boot:1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().strip() == shoald.ok("images", "-q", "--no-trunc", "boot:1")
    assert shoald.ok("run", "--rm", "boot:1", "sh", "-c", "echo on | tr n k") == "ok"
    assert shoald.inspect(shoald.ok("create", "boot:1"))["Config"]["Cmd"] == ["sh"]  # type: ignore[index]
    shoald.clear()
    shoald.ok("rmi", "boot:1")


def test_bootstrap_debian_asks_mmdebstrap_and_runs(
    shoald: Shoald, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Suite, packages and mirror reach it, what it makes is the image, and no file stays."""
    (tmp_path / "root.tar").write_bytes(busybox_tar("/bin/busybox"))
    (tmp_path / "mmdebstrap").write_text(STAND_IN)
    (tmp_path / "mmdebstrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    flags = ("--include", "python3", "--mirror", "http://mirror.example", "--work-dir", str(tmp_path))
    done = shoal(shoald, "bootstrap", *flags, "debian:trixie")
    assert done.returncode == 0, done.stderr
    assert b"--variant=minbase --format=tar --include=python3 trixie" in done.stderr
    assert b"root.tar http://mirror.example" in done.stderr
    assert shoald.ok("run", "--rm", "debian:trixie", "echo", "ok") == "ok"
    assert not list(tmp_path.glob("shoal-bootstrap-*"))
    shoald.ok("rmi", "debian:trixie")


@pytest.mark.parametrize("system", ["debian", "debian:", "debian:-x", "alpine"])
def test_bootstrap_of_what_cannot_be_made_is_refused(shoald: Shoald, system: str) -> None:
    """With the two that can."""
    done = shoal(shoald, "bootstrap", system)
    assert done.returncode == 1
    assert b"shoal bootstrap debian:bookworm, or shoal bootstrap busybox" in done.stderr
