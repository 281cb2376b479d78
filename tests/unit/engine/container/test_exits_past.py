"""How containers ended that are gone by now."""

from __future__ import annotations

import sqlite3

from shoal.api.container import ContainerConfig
from shoal.api.host_config import HostConfig
from shoal.api.network import NetworkingConfig
from shoal.engine.container.exits import Cause, ExitRecord
from shoal.engine.container.exits_past import PastExits
from shoal.engine.container.exits_view import past_view
from shoal.engine.container.record import ContainerRecord
from shoal.oci.rootfs import PlainRootfs


def _record(number: int, cause: Cause, name: str = "web") -> ContainerRecord:
    return ContainerRecord(
        id=f"{number:064x}"[::-1],
        name=name,
        created_ns=1,
        image_id="sha256:0",
        config=ContainerConfig(image="busybox"),
        host_config=HostConfig(),
        networking=NetworkingConfig(),
        path="true",
        args=[],
        rootfs=PlainRootfs("/nowhere"),
        exits=[ExitRecord(cause=cause, started_ns=1, ended_ns=2, code=number)],
    )


def _past() -> PastExits:
    return PastExits(sqlite3.connect(":memory:", isolation_level=None))


def test_keep_is_for_ends_that_nobody_wished_for() -> None:
    """A program that ended by itself, or by a client's wish, leaves no row."""
    past = _past()
    wished: tuple[Cause, ...] = ("exit", "stop", "kill", "daemon", "start-failed")
    for cause in wished:
        past.keep(_record(1, cause))
    never_ran = _record(2, "exit")
    never_ran.exits = []
    past.keep(never_ran)
    assert past.find("web") is None
    past.keep(_record(3, "signal"))
    found = past.find("web")
    assert found is not None
    assert past_view(found).status == "removed"


def test_find_is_the_last_one_of_the_name() -> None:
    """By name, with its slash too, by id, and by the beginning of one; nothing for nothing."""
    past = _past()
    past.keep(_record(1, "crash"))
    past.keep(_record(2, "crash"))
    for reference in ("web", "/web", f"{2:064x}"[::-1], "20000"):
        found = past.find(reference)
        assert found is not None
        assert found.exits[0].code == 2
    assert past.find("") is None
    assert past.find("%") is None


def test_keep_is_bounded() -> None:
    """The last hundred are kept."""
    past = _past()
    for number in range(1, 121):
        past.keep(_record(number, "oom", f"n{number}"))
    assert past.find("n20") is None
    assert past.find("n21") is not None
    (count,) = past._db.execute("SELECT count(*) FROM past_exits").fetchone()
    assert count == 100
