"""What a blank child is told ahead of its launch."""

from __future__ import annotations

import os
import socket
from typing import Any, cast

import pytest

from shoal.linux.fd import Fd
from shoal.supervisor import blanks
from shoal.supervisor.blanks import Blanks, Child
from shoal.supervisor.protocol import receive


class _Layout:
    version = "v1"

    def create(self, path: str) -> object:
        del path
        return object()


class _Loop:
    def __init__(self) -> None:
        self.later: list[Any] = []

    def watch(self, *_: object) -> None:
        pass

    def when_idle(self, _seconds: float, action: Any) -> None:
        self.later.append(action)


class _Listener:
    def vacancies(self) -> int:
        return 1

    def blanks_changed(self, pids: list[int]) -> None:
        del pids


def test_blank_is_not_told_that_its_limits_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """It enters its cgroup, but the barrier `cgroup`, behind which user code may run, comes with the launch alone."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = Child(1, Fd(os.open("/dev/null", os.O_RDONLY)), ours, None)
    monkeypatch.setattr(blanks, "clone_child", lambda _flags: child)
    monkeypatch.setattr(blanks, "open_entrances", lambda _cgroup, _layout: [])
    loop = _Loop()
    pool = Blanks(cast(Any, loop), cast(Any, _Layout()), cast(Any, _Listener()))
    with theirs:
        pool.configure(1, 0, "/shoal")
        for action in loop.later[:1]:
            action()
        message = receive(theirs)
        assert message is not None
        assert (message[0], message[2]["barrier"]) == ("go", "blank")
    child.close()
