"""Finding the program, with the sentences that the docker client reads exit codes from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoal.errors import InvalidArgument
from shoal.supervisor.steps.execute import find_program


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with a program, a file that is none, and a directory."""
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    (tmp_path / "text").write_text("")
    (tmp_path / "dir").mkdir()
    return tmp_path


def test_find_program_in_path_is_the_first_executable(directory: Path) -> None:
    """Directories without it, and files that cannot be executed, are passed over."""
    other = directory / "dir"
    (other / "tool").write_text("")
    path = f"/nowhere:{other}:{directory}".encode()
    assert find_program("tool", path) == os.fsencode(directory / "tool")


@pytest.mark.parametrize("name", ["nope", "text", "dir", ""])
def test_find_program_not_in_path_is_dockers_127(directory: Path, name: str) -> None:
    """Not there, not executable and a directory are one thing when looked up by name."""
    with pytest.raises(InvalidArgument) as caught:
        find_program(name, os.fsencode(directory))
    assert caught.value.what == f'exec: "{name}": executable file not found in $PATH'


def test_find_program_without_a_path_variable_finds_nothing() -> None:
    """There is no built-in search path."""
    with pytest.raises(InvalidArgument, match="executable file not found"):
        find_program("sh", b"")


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("nope", "stat {path}: no such file or directory"),
        ("text", "permission denied"),
        ("dir", "is a directory"),
        ("text/x", "not a directory"),
    ],
)
def test_find_program_by_path_tells_what_is_wrong_with_it(directory: Path, name: str, detail: str) -> None:
    """The errno's text decides between exit code 126 and 127 at the client."""
    path = str(directory / name)
    with pytest.raises(InvalidArgument) as caught:
        find_program(path, b"/bin")
    assert caught.value.what == f'exec: "{path}": ' + detail.format(path=path)


def test_find_program_with_a_nul_is_refused(directory: Path) -> None:
    """A name that the kernel cannot take is an error like another, not a crash of the child."""
    with pytest.raises(InvalidArgument, match="invalid argument"):
        find_program(f"{directory}/to\0ol", b"")
