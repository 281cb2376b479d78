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
    *("-c", "credential.helper=", "-c", "core.fsmonitor=false"),
)


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
    _git(["init", "-q", target], directory)
    reference = repository.ref or "HEAD"
    try:
        _git(["fetch", "-q", "--depth", "1", "--", repository.url, reference], target)
        commit = "FETCH_HEAD"
    except Unavailable:
        if not re.fullmatch(r"[0-9a-f]{7,40}", reference):
            raise
        # A server that gives no commit by its number gives all of them.
        _git(["fetch", "-q", "--", repository.url, "+refs/*:refs/remote/*"], target)
        commit = reference
    _git(["checkout", "-q", "--detach", commit], target)
    _git(["submodule", "update", "-q", "--init", "--recursive", "--depth", "1"], target)
    sha, time_s = _git(["log", "-1", "--format=%H %ct"], target).split()
    if not keep_git_dir:
        shutil.rmtree(os.path.join(target, ".git"))
    inner = os.path.join(target, repository.directory)
    if os.path.realpath(inner) != inner or not os.path.isdir(inner):
        raise InvalidArgument(f"git subdirectory {repository.directory!r} not found in {repository.url}")
    return Checkout(inner, sha, int(time_s))


def _git(arguments: list[str], directory: str) -> str:
    """What git prints. Raises: Unavailable with what it complains of."""
    program = shutil.which("git")
    if program is None:
        raise Unavailable("git is not installed", fix="apt-get install git")
    # subprocess starts it by vfork(2): shoald itself is not copied.
    done = subprocess.run(
        [program, *_LIMITS, "-C", directory, *arguments],
        env={"PATH": os.defpath, "HOME": "/nonexistent", "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        complaints = done.stderr.strip().splitlines()
        raise Unavailable(f"git {arguments[0]} failed", why=complaints[-1] if complaints else "")
    return done.stdout.strip()
