"""The Tab key in real shells, on a terminal."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.engines.busybox import IMAGE
from tests.engines.shoald import Shoald
from tests.kernel.cli.shoal import COMMAND, environment, shoal

pytestmark = pytest.mark.root

SHELLS = {
    "bash": ["--norc", "--noprofile", "-i"],
    "zsh": ["-f", "-i"],
    "fish": ["--no-config", "-i"],
}
LOAD = {
    "bash": "bind 'set enable-bracketed-paste off'; source <(shoal completion bash)",
    "zsh": "autoload -Uz compinit && compinit -u -D; source <(shoal completion zsh)",
    "fish": "shoal completion fish | source",
}
INSTALLED = [name for name in SHELLS if shutil.which(name)]


@pytest.fixture(scope="module")
def engine() -> Iterator[Shoald]:
    """An engine with one container, whose name begins as no other."""
    engine = Shoald("--ip-forward=false")
    try:
        engine.start()
        engine.import_busybox()
        engine.request("POST", "/containers/create?name=quartz", {"Image": IMAGE})
        yield engine
    finally:
        engine.close()


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH on which `shoal` is this checkout's."""
    program = tmp_path / "shoal"
    program.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    return f"{tmp_path}:/usr/bin:/bin"


@pytest.mark.parametrize("name", INSTALLED)
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("shoal rm qua", "quartz"),
        ("shoal renam", "rename"),
        ("shoal run --networ", "--network"),
        ("shoal run --pull=alw", "--pull=always"),
    ],
)
def test_tab_completes_the_word(
    name: str, typed: str, completed: str, engine: Shoald, path: str, tmp_path: Path
) -> None:
    """Each shell asks shoal, and puts what it says behind what was typed."""
    variables = environment(engine) | {"PATH": path, "HOME": str(tmp_path), "PS1": "ready> ", "TERM": "dumb"}
    child = pexpect.spawn(name, SHELLS[name], env=variables, timeout=20, encoding="utf-8", dimensions=(40, 200))
    child.delaybeforesend = 0.05
    try:
        child.sendline(f"{LOAD[name]}; echo lo''aded")
        child.expect("loaded")
        child.send(typed)
        child.expect_exact(typed.rpartition(" ")[2])
        child.send("\t")
        child.expect_exact(completed.removeprefix(typed.rpartition(" ")[2]))
    finally:
        child.close(force=True)


def test_complete_is_quick(engine: Shoald) -> None:
    """The best of several is far below what a person notices (the promise is 150 ms)."""
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        assert shoal(engine, "__complete", "--line", "shoal rm ").stdout.startswith(b"quartz")
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.150
