"""A control group that runs out of memory: the kernel's notice, and what its log tells of it."""

from __future__ import annotations

import contextlib
import os
import select

import pytest

from shoal.errors import SyscallError
from shoal.linux.cgroups import Cgroup
from shoal.linux.cgroups.oom_events import drain, oom_events
from shoal.linux.kernel_log import oom_reports, read_kernel_log
from tests.kernel.linux.test_cgroups import run_inside

pytestmark = pytest.mark.root

MIB = 1 << 20
HUNGRY = "exec tail /dev/zero"


@pytest.fixture
def limited(cgroup: Cgroup) -> Cgroup:
    """A group with 20 MiB of memory and no swap."""
    cgroup.apply({"memory": {"limit": 20 * MIB, "swap": 20 * MIB}})
    return cgroup


def test_oom_events_tell_of_a_kill_and_of_nothing_before(limited: Cgroup) -> None:
    """The descriptor is not readable until memory runs out, and again not once it was drained."""
    events = oom_events(limited)
    assert events is not None
    with events:
        assert run_inside(limited, "true") == 0
        drain(events)  # version 2 counts more than kills in the file
        assert not select.select([events], [], [], 0)[0]
        assert run_inside(limited, HUNGRY) == -9
        assert select.select([events], [], [], 5)[0]
        assert limited.oom_kills() == 1
        drain(events)
        drain(events)


def test_kernel_log_tells_victim_limit_and_use(limited: Cgroup) -> None:
    """As this kernel words it, on both versions."""
    before = read_kernel_log()
    assert run_inside(limited, HUNGRY) == -9
    known = before[-1].number if before else 0
    name = limited.path.rpartition("/")[2]
    (report,) = [
        report
        for report in oom_reports(record for record in read_kernel_log() if record.number > known)
        if name in report.group.split("/")
    ]
    assert (report.name, report.limit) == ("tail", 20 * MIB)
    assert name in report.limited.split("/")
    assert report.anon > 10 * MIB
    assert max(report.counters.get("anon", 0), report.counters.get("total_rss", 0)) > 10 * MIB


def test_oom_events_of_a_group_that_is_gone_are_none(limited: Cgroup) -> None:
    """Nothing is left open."""
    limited.remove()
    open_before = os.listdir("/proc/self/fd")
    with contextlib.suppress(SyscallError):
        assert oom_events(limited) is None
    assert os.listdir("/proc/self/fd") == open_before
