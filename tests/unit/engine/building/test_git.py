"""What a text says of a repository, what is told of it, and how git is run."""

from __future__ import annotations

import os
import select
from pathlib import Path

import pytest

from shoal.engine.building import git
from shoal.engine.building.git import Repository, check_out, without_userinfo
from shoal.errors import InvalidArgument, Unavailable


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://user:secret@host/r.git#main:sub", "https://host/r.git#main:sub"),
        ("http://secret@host:8080/r.tar?a=b@c", "http://host:8080/r.tar?a=b@c"),
        ("https://user:se@cret@host/r.git", "https://host/r.git"),
        ("https://host/a@b.git#x://y@z", "https://host/a@b.git#x://y@z"),
        ("ssh://git@host/r.git", "ssh://git@host/r.git"),
        ("git@host:r.git", "git@host:r.git"),
        ("", ""),
    ],
)
def test_without_userinfo_takes_the_password_of_http_alone(url: str, told: str) -> None:
    """Neither the user nor the password is told; a user of ssh and an @ behind the server stay."""
    assert without_userinfo(url) == told


@pytest.mark.parametrize("text", ["https://host/\0.git", "https://host/r.git#\0", "git@host:a\nb", "git@host:\x7f"])
def test_parse_refuses_control_characters(text: str) -> None:
    """No program can be given a NUL, and no setting a line's end."""
    with pytest.raises(InvalidArgument, match="control characters"):
        Repository.parse(text)


def fake_git(directory: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Have the shell's `script` for git."""
    (directory / "git").write_text(f"#!/bin/sh\n{script}\n")
    (directory / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(directory), prepend=os.pathsep)


def test_check_out_tells_the_last_of_many_complaints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much a server says, its end is told."""
    fake_git(tmp_path, monkeypatch, "head -c 3000000 /dev/zero >&2; echo >&2; echo fatal: no >&2; exit 1")
    with pytest.raises(Unavailable) as caught:
        check_out(Repository("https://host/r.git"), str(tmp_path), keep_git_dir=False)
    assert caught.value.why == "fatal: no"


def test_check_out_ends_the_helpers_of_a_git_that_takes_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time, what git has started is gone with it."""
    os.mkfifo(tmp_path / "helper")
    fake_git(tmp_path, monkeypatch, f"exec 9>{tmp_path}/helper\nsleep 1000 &\nwait")
    monkeypatch.setattr(git, "_TIMEOUT_S", 2.0)
    fd = os.open(tmp_path / "helper", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(Unavailable, match="git init failed"):
            check_out(Repository("https://host/r.git"), str(tmp_path), keep_git_dir=False)
        waiting = select.poll()
        waiting.register(fd, 0)
        assert waiting.poll(10_000) == [(fd, select.POLLHUP)]  # nobody has its other end any more
    finally:
        os.close(fd)
