"""The root file system of Debian 12, made by mmdebstrap once and kept as a tar for the next demo."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from shoal.errors import Internal, ShoalError, Unavailable

SUITE = "bookworm"
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RootTar:
    """A tar of a root file system. `build_s`: how long mmdebstrap took; None where the tar was there already."""

    path: str
    size_bytes: int
    diff_id: str
    created: str
    build_s: float | None


def debian_root(cache_dir: str, show: Callable[[str], None]) -> RootTar:
    """The tar, from `cache_dir` or built now. Two demos that share the directory build it once.

    Raises: Unavailable when mmdebstrap fails, with its last words.
    """
    try:
        os.makedirs(cache_dir, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"can't use {cache_dir}", why=error.strerror or "", fix="shoal demo --cache-dir DIR"
        ) from None
    tar_path = os.path.join(cache_dir, f"debian-{SUITE}.tar")
    with open(tar_path + ".lock", "w", encoding="ascii") as lock:
        show(f"waiting for another demo that builds {tar_path}")
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = _known(tar_path)
        if known is not None:
            return known
        started = time.monotonic()
        partial = f"{tar_path}.partial"
        try:
            _build(partial, cache_dir, show)
            show("computing the layer's digest")
            _describe(tar_path, partial)
            os.replace(partial, tar_path)
        finally:
            if os.path.exists(partial):
                os.unlink(partial)
        built = _known(tar_path)
        if built is None:
            raise Internal(f"{tar_path} vanished while it was built", fix="run the demo again")
        return RootTar(built.path, built.size_bytes, built.diff_id, built.created, time.monotonic() - started)


def _known(tar_path: str) -> RootTar | None:
    """The tar of an earlier run, if it is whole: its size is the one that was noted."""
    try:
        with open(f"{tar_path}.json", encoding="ascii") as file:
            noted = json.load(file)
        size = os.stat(tar_path).st_size
        if noted["size"] != size:
            return None
        return RootTar(tar_path, size, str(noted["diff_id"]), str(noted["created"]), None)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _describe(tar_path: str, partial: str) -> None:
    digest = hashlib.sha256()
    with open(partial, "rb") as file:
        while chunk := file.read(_READ_BYTES):
            digest.update(chunk)
        size = file.tell()
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with open(f"{tar_path}.json", "w", encoding="ascii") as file:
        json.dump({"size": size, "diff_id": f"sha256:{digest.hexdigest()}", "created": created}, file)


def _build(target: str, cache_dir: str, show: Callable[[str], None]) -> None:
    """Runs mmdebstrap. In a session of its own, so that a Ctrl-C reaches only the demo, which then ends it in order."""
    command = ["mmdebstrap", "--mode=root", "--variant=minbase", "--format=tar", SUITE, target]
    environment = {**os.environ, "TMPDIR": cache_dir, "LC_ALL": "C"}
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise Unavailable("mmdebstrap is missing", fix="apt-get install -y mmdebstrap") from None
    last = ""
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if line.strip():
                last = line.strip() if not line.startswith("I: success") else last
                show(f"building debian:{SUITE} (once): {line.strip().removeprefix('I: ')}")
        code = process.wait()
    except BaseException:
        # mmdebstrap removes its directory on SIGINT; KeyboardInterrupt must not leave it at work.
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    if code:
        raise _build_failure(code, last)


def _build_failure(code: int, last: str) -> ShoalError:
    return Unavailable(
        f"mmdebstrap could not build debian:{SUITE} (exit code {code})",
        why=last,
        fix="check that this machine reaches a Debian mirror: `apt-get update`",
    )
