"""A root file system of Debian, made by mmdebstrap out of Debian's own archive."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Sequence

from shoal.errors import Unavailable


def build_debian(
    suite: str,
    target: str,
    work_dir: str,
    show: Callable[[str], None],
    *,
    variant: str = "minbase",
    include: Sequence[str] = (),
    mirror: str = "",
) -> None:
    """Write the tar of a root file system to `target`; `show` is told what happens, and `work_dir` has room for it.

    mmdebstrap runs in a session of its own, so that a Ctrl-C reaches only this program, which then ends it in order.
    Raises: Unavailable when mmdebstrap is missing or fails, with its last words.
    """
    mode = "root" if os.geteuid() == 0 else "auto"
    packages = [f"--include={','.join(include)}"] if include else []
    command = ["mmdebstrap", f"--mode={mode}", f"--variant={variant}", "--format=tar", *packages, suite]
    command += [target, mirror] if mirror else [target]
    environment = {**os.environ, "TMPDIR": work_dir, "LC_ALL": "C"}
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
                show(line.strip().removeprefix("I: "))
        code = process.wait()
    except BaseException:
        # mmdebstrap removes its directory on SIGINT; KeyboardInterrupt must not leave it at work.
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    if code:
        raise Unavailable(
            f"mmdebstrap could not build debian:{suite} (exit code {code})",
            why=last,
            fix="check the name of the suite, and that this machine reaches a Debian mirror: `apt-get update`",
        )
