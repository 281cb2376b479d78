"""git repositories as sources of builds, by the machine's own git: without hooks, prompts, or a user's settings."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from shoal.errors import InvalidArgument, Unavailable

_REF = re.compile(r"[A-Za-z0-9_./@^~+-]+\Z", re.ASCII)
_LIMITS = (
    *("-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", "-c", "protocol.file.allow=never"),
    *("-c", "credential.helper=", "-c", "core.fsmonitor=false", "-c", "core.logAllRefUpdates=false"),
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_USERINFO = re.compile(r"\A(https?://)[^/?#]*@", re.ASCII | re.IGNORECASE)
_SERVER = re.compile(r"https?://[^/?#]*/", re.ASCII | re.IGNORECASE)
_TIMEOUT_S = 900.0
_COMPLAINTS_BYTES = 4096


def without_userinfo(url: str) -> str:
    """The URL of a source as others may read it: without the user and the password of HTTP."""
    return _USERINFO.sub(r"\1", url)


@dataclass(frozen=True, slots=True)
class Repository:
    """Where a repository is, what of it is wanted, and the directory in it: `URL#REF:DIRECTORY`."""

    url: str
    ref: str = ""
    directory: str = ""

    @classmethod
    def parse(cls, text: str) -> Repository:
        """Raises: InvalidArgument."""
        if _CONTROL.search(text):
            raise InvalidArgument(f"invalid git reference: {text!r}", why="it has control characters in it")
        url, _, fragment = text.partition("#")
        ref, _, directory = fragment.partition(":")
        if url.startswith("-") or (ref and (not _REF.match(ref) or ref.startswith("-"))):
            raise InvalidArgument(f"invalid git reference: {text}")
        if ".." in directory.split("/"):
            raise InvalidArgument(f"invalid git subdirectory: {directory}", why="it leads out of the repository")
        return cls(url, ref, directory.strip("/"))


@dataclass(frozen=True, slots=True)
class Checkout:
    """A repository's files: where, of which commit, and when that was made."""

    directory: str
    commit: str
    commit_s: int


def check_out(repository: Repository, directory: str, *, keep_git_dir: bool) -> Checkout:
    """The repository's files, below the empty `directory`. Blocks. Raises: Unavailable, InvalidArgument."""
    target = os.path.join(directory, "files")
    url = without_userinfo(repository.url)
    login = _login(repository.url)
    _git(["init", "-q", "--template=", target], directory)
    _git(["remote", "add", "origin", url], target)  # to which the URLs of submodules may be relative
    _git(["checkout", "-q", "--detach", _fetched(url, repository.ref or "HEAD", target, login)], target)
    _git(["submodule", "update", "-q", "--init", "--recursive", "--depth", "1"], target, login)
    sha, time_s = _git(["log", "-1", "--format=%H %ct"], target).split()
    if keep_git_dir:
        _settle(target)
    else:
        shutil.rmtree(os.path.join(target, ".git"))
    inner = os.path.normpath(os.path.join(os.path.realpath(target), repository.directory))
    if os.path.realpath(inner) != inner or not os.path.isdir(inner):
        raise InvalidArgument(f"git subdirectory {repository.directory!r} not found in {url}")
    return Checkout(inner, sha, int(time_s))


def _login(url: str) -> dict[str, str]:
    """The setting by which git adds the user and the password of `url` for its server: so no file has them."""
    clean = without_userinfo(url)
    found, server = _SERVER.match(url), _SERVER.match(clean)
    if url == clean or found is None or server is None:
        return {}
    key, value = f"url.{found[0]}.insteadOf", server[0]
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": key, "GIT_CONFIG_VALUE_0": value}


def _fetched(url: str, reference: str, target: str, login: Mapping[str, str]) -> str:
    """What the wanted commit is called in `target`, which has it now. Raises: Unavailable."""
    try:
        _git(["fetch", "-q", "--depth", "1", "--", url, reference], target, login)
    except Unavailable as refusal:
        if re.fullmatch(r"[0-9a-f]{7,40}", reference):
            # A server that gives no commit by its number gives all of them.
            _git(["fetch", "-q", "--", url, "+refs/*:refs/remote/*"], target, login)
            return reference
        if "shallow" not in refusal.why:
            raise
        _git(["fetch", "-q", "--", url, reference], target, login)  # one that serves files alone
    return "FETCH_HEAD"


def _settle(target: str) -> None:
    """Make `.git` the same wherever it is made."""
    for name in ("index", "FETCH_HEAD", "ORIG_HEAD"):  # the index tells the files' times and inodes
        if os.path.exists(path := os.path.join(target, ".git", name)):
            os.unlink(path)
    _git(["read-tree", "HEAD"], target)


def _git(arguments: list[str], directory: str, login: Mapping[str, str] | None = None) -> str:
    """What git prints. Raises: Unavailable with what it complains of."""
    program = shutil.which("git")
    if program is None:
        raise Unavailable("git is not installed", fix="apt-get install git")
    with tempfile.TemporaryFile(dir=directory) as complaints:
        try:
            code, told = _run([program, *_LIMITS, "-C", directory, *arguments], login or {}, complaints)
        except subprocess.TimeoutExpired:
            why = f"it was not done after {_TIMEOUT_S:.0f} seconds"
            raise Unavailable(f"git {arguments[0]} failed", why=why) from None
        if code != 0:
            raise Unavailable(f"git {arguments[0]} failed", why=_last_line(complaints))
    return told.strip()


def _run(command: list[str], login: Mapping[str, str], complaints: IO[bytes]) -> tuple[int, str]:
    """The code of git's end, and what it prints. What servers say goes to `complaints`: it may be without end."""
    env = {"PATH": os.defpath, "HOME": "/nonexistent", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}
    # subprocess starts it by vfork(2): shoald itself is not copied.
    with subprocess.Popen(
        command,
        env={**env, **login},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=complaints,
        text=True,
        errors="replace",
        umask=0o022,
        start_new_session=True,
    ) as process:
        try:
            told, _ = process.communicate(timeout=_TIMEOUT_S)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # the helpers that speak to the server, too
            raise
    return process.returncode, told


def _last_line(complaints: IO[bytes]) -> str:
    complaints.seek(max(0, complaints.seek(0, os.SEEK_END) - _COMPLAINTS_BYTES))
    lines = complaints.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
