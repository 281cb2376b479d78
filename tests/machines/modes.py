"""One command line in a container and in a virtual machine, and what came of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from tests.engines.shoald import Shoald

MODES = ("default", "vm")
BOOT_S = 180
# What whoever creates a machine without KVM is told; a container's maker is not.
_COST = "WARNING: machines run without KVM"


class Outcome(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


def run_in(shoald: Shoald, mode: str, options: str, *command: str, input: str | None = None) -> Outcome:
    """`docker run OPTIONS busybox COMMAND`, removed afterwards."""
    words = ["run", "--rm", f"--isolation={mode}", *options.split(), "busybox", *command]
    done = shoald.docker(*words, input=input, timeout_s=BOOT_S)
    errors = "".join(line for line in done.stderr.splitlines(keepends=True) if not line.startswith(_COST))
    return Outcome(done.returncode, done.stdout, errors)


def run_in_both(shoald: Shoald, options: str, *command: str, input: str | None = None) -> tuple[Outcome, Outcome]:
    """(container, machine) of the same words."""
    container, machine = (run_in(shoald, mode, options, *command, input=input) for mode in MODES)
    return container, machine


def start_both(shoald: Shoald, options: str, *command: str) -> tuple[str, str]:
    """The names of a container and a machine that run on, started with the same words."""
    for mode in MODES:
        words = ["run", "-d", f"--name=in-{mode}", f"--isolation={mode}", *options.split(), "busybox", *command]
        shoald.ok(*words, timeout_s=BOOT_S)
    return "in-default", "in-vm"


def wait_for(is_so: Callable[[], bool], *, timeout_s: float = 60) -> None:
    """Returns when `is_so()` is true."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "it has not come to that"
        time.sleep(0.1)  # what is waited for is told nowhere
