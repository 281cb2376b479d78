"""git repositories as sources of builds, by the machine's own git: without hooks, prompts, or a user's settings."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from shoal.errors import InvalidArgument, Unavailable

_REF = re.compile(r"[A-Za-z0-9_./@^~+-]+\Z", re.ASCII)
_LIMITS = (
    *("-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", "-c", "protocol.file.allow=never"),
    *("-c", "credential.helper=", "-c", "core.fsmonitor=false", "-c", "core.logAllRefUpdates=false"),
)
_TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True)
class Repository:
    """Where a repository is, what of it is wanted, and the directory in it: `URL#REF:DIRECTORY`."""

    url: str
    ref: str = ""
    directory: str = ""

    @classmethod
    def parse(cls, text: str) -> Repository:
        """Raises: InvalidArgument."""
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
    _git(["init", "-q", "--template=", target], directory)
    _git(["checkout", "-q", "--detach", _fetched(repository, target)], target)
    _git(["submodule", "update", "-q", "--init", "--recursive", "--depth", "1"], target)
    sha, time_s = _git(["log", "-1", "--format=%H %ct"], target).split()
    if keep_git_dir:
        _settle(repository, target)
    else:
        shutil.rmtree(os.path.join(target, ".git"))
    inner = os.path.normpath(os.path.join(os.path.realpath(target), repository.directory))
    if os.path.realpath(inner) != inner or not os.path.isdir(inner):
        raise InvalidArgument(f"git subdirectory {repository.directory!r} not found in {repository.url}")
    return Checkout(inner, sha, int(time_s))


def _fetched(repository: Repository, target: str) -> str:
    """What the wanted commit is called in `target`, which has it now. Raises: Unavailable."""
    reference = repository.ref or "HEAD"
    try:
        _git(["fetch", "-q", "--depth", "1", "--", repository.url, reference], target)
    except Unavailable as refusal:
        if re.fullmatch(r"[0-9a-f]{7,40}", reference):
            # A server that gives no commit by its number gives all of them.
            _git(["fetch", "-q", "--", repository.url, "+refs/*:refs/remote/*"], target)
            return reference
        if "shallow" not in refusal.why:
            raise
        _git(["fetch", "-q", "--", repository.url, reference], target)  # one that serves files alone
    return "FETCH_HEAD"


def _settle(repository: Repository, target: str) -> None:
    """Make `.git` the same wherever it is made, and have no password in it."""
    scheme, separator, rest = repository.url.rpartition("://")
    server, slash, path = rest.partition("/")
    url = (
        f"{scheme}{separator}{server.rpartition('@')[2]}{slash}{path}" if scheme.startswith("http") else repository.url
    )
    _git(["remote", "add", "origin", url], target)
    for name in ("index", "FETCH_HEAD", "ORIG_HEAD"):  # the index tells the files' times and inodes
        if os.path.exists(path := os.path.join(target, ".git", name)):
            os.unlink(path)
    _git(["read-tree", "HEAD"], target)


def _git(arguments: list[str], directory: str) -> str:
    """What git prints. Raises: Unavailable with what it complains of."""
    program = shutil.which("git")
    if program is None:
        raise Unavailable("git is not installed", fix="apt-get install git")
    try:
        done = _run(program, arguments, directory)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"git {arguments[0]} failed", why=f"it was not done after {_TIMEOUT_S:.0f} seconds") from None
    if done.returncode != 0:
        complaints = done.stderr.strip().splitlines()
        raise Unavailable(f"git {arguments[0]} failed", why=complaints[-1] if complaints else "")
    return done.stdout.strip()


def _run(program: str, arguments: list[str], directory: str) -> subprocess.CompletedProcess[str]:
    # subprocess starts it by vfork(2): shoald itself is not copied.
    return subprocess.run(
        [program, *_LIMITS, "-C", directory, *arguments],
        env={"PATH": os.defpath, "HOME": "/nonexistent", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=_TIMEOUT_S,
        umask=0o022,
    )
