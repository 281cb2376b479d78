"""A shoald that meets supervisors of an older build, as behind an upgrade: containers live on, and all works in them.

Against shoald alone. The older build is this one with a message of its protocol changed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.test_killed import (
    COUNT,
    ends_with,
    exec_output,
    kernel_tells_exit_codes,
    logs,
    start,
    state,
    until,
    whole,
)
from tests.engines.shoald import SOURCE, Shoald


class UpgradedShoald(Shoald):
    """A shoald that runs from the sources in `source`: an older build at first, this checkout behind `upgrade`."""

    def __init__(self, source: Path) -> None:
        super().__init__()
        self.source = source

    def environment(self) -> dict[str, str]:
        """With its own sources first."""
        path = super().environment()["PYTHONPATH"].split(os.pathsep)
        return super().environment() | {"PYTHONPATH": os.pathsep.join([str(self.source), *path])}

    def upgrade(self) -> None:
        """Stop it in the ordinary way, and start this checkout's build on the same state."""
        self.stop()
        self.source = SOURCE
        self.start()


@pytest.fixture
def older(tmp_path: Path) -> Iterator[UpgradedShoald]:
    """An older build whose supervisors call the steps of a plan otherwise, as a real change of the protocol might."""
    source = tmp_path / "older"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    changed = 0
    for path in [*source.glob("shoal/supervisor/*.py"), source / "shoal/runtime/native/wire.py"]:
        text = path.read_text()
        changed += '"steps"' in text
        path.write_text(text.replace('"steps"', '"course"'))
    assert changed > 2, "the messages of a supervisor are written in fewer places than this test expects"
    engine = UpgradedShoald(source)
    try:
        engine.start()
        engine.import_busybox()
        yield engine
    finally:
        engine.close()


def test_upgrade_running_container_lives_on(older: UpgradedShoald) -> None:
    """Its supervisor is replaced by one of the new build: exec, log, input and exit code are as if nothing had been."""
    start(older, "it", COUNT.format(lines=900))
    start(older, "reader", "read line; echo got $line; exit 3", OpenStdin=True)
    pid, before = state(older, "it")["Pid"], older.supervisor_pids()
    until(lambda: len(logs(older, "it")) > 50, "the first lines")
    older.upgrade()
    assert state(older, "it")["Pid"] == pid
    assert not set(before) & set(older.supervisor_pids())
    assert exec_output(older, "it", "echo", "alive") == b"alive\r\n"
    head = b"POST /containers/reader/attach?stream=1&stdin=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
    older.exchange(head + b"Upgrade: tcp\r\nContent-Length: 0\r\n\r\nhello\n", half_close=True)
    codes = {name: ends_with(older, name) for name in ("it", "reader")}
    assert codes == {"it": 7, "reader": 3} or not kernel_tells_exit_codes()
    assert (logs(older, "it"), logs(older, "reader")) == (whole(900), ["got hello"])
    assert "another build" in older.log


def test_upgrade_terminal_and_exec_live_on(older: UpgradedShoald) -> None:
    """A shell on a terminal and an exec beside it are adopted as well; nothing of the older build is left behind."""
    start(older, "shell", "while read line; do echo got $line; done", Tty=True, OpenStdin=True)
    made = older.request("POST", "/containers/shell/exec", {"Cmd": ["sleep", "1000"]}).json["Id"]
    assert older.request("POST", f"/exec/{made}/start", {"Detach": True}).status == 200
    older.upgrade()
    assert "sleep 1000" in older.request("GET", "/containers/shell/top").body.decode()
    head = b"POST /containers/shell/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
    answer = older.exchange(head + b"Upgrade: tcp\r\nContent-Length: 0\r\n\r\nhello\n\x04", half_close=True)
    assert b"got hello" in answer
    until(lambda: state(older, "shell")["Status"] == "exited", "the shell's end")


def test_same_build_supervisors_stay(older: UpgradedShoald) -> None:
    """A restart without an upgrade replaces nobody."""
    start(older, "it", "exec sleep 1000")
    before = older.supervisor_pids()
    older.restart()
    assert older.supervisor_pids() == before
