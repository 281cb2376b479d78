"""The installed `shoal`: a script that starts Python without its `site` module."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shoal import __version__

SOURCE = Path(__file__).resolve().parents[3] / "scripts" / "shoal"
INSTALLED = Path(sys.executable).with_name("shoal")


def _version(program: Path, *, cwd: Path, **variables: str) -> str:
    """What `shoal --version` prints when it is called so."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    done = subprocess.run([program, "--version"], capture_output=True, text=True, cwd=cwd, env=environment, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The script beside a Python, as an installation lays it."""
    directory = tmp_path / "bin"
    directory.mkdir()
    (directory / "shoal").write_bytes(SOURCE.read_bytes())
    (directory / "shoal").chmod(0o755)
    # This Python, which finds its packages from where it really is.
    (directory / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (directory / "python3").chmod(0o755)
    return directory / "shoal"


def test_start_script_runs_from_anywhere_and_through_links(program: Path, tmp_path: Path) -> None:
    """A link on the PATH, one to that link, and a name with a space all lead to it."""
    links = tmp_path / "some where"
    links.mkdir()
    (links / "docker").symlink_to(program)
    (links / "again").symlink_to("docker")
    for called in (program, links / "docker", links / "again"):
        assert _version(called, cwd=tmp_path) == f"shoal version {__version__}\n"


def test_start_script_takes_nothing_from_the_directory_or_the_environment(program: Path, tmp_path: Path) -> None:
    """Root may call it in a directory of somebody else's: no module is taken from there."""
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    for name in ("os", "errno", "shoal", "site", "sitecustomize", "h11"):
        (hostile / f"{name}.py").write_text("raise SystemExit('taken over')")
    shown = _version(program, cwd=hostile, PYTHONPATH=str(hostile), PYTHONSTARTUP=str(hostile / "os.py"))
    assert shown == f"shoal version {__version__}\n"


def test_start_script_is_what_is_installed() -> None:
    """`./dev setup` and pip put this script in place, not one that they make themselves."""
    assert INSTALLED.read_bytes() == SOURCE.read_bytes()
