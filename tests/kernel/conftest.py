"""Around every kernel test: nothing of it may be left on the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.linux.cgroups import Cgroup, Layout, detect
from shoal.linux.prctl import set_child_subreaper
from tests.kernel import leaks


@pytest.fixture(scope="module", autouse=True)
def orphans_come_to_us() -> Iterator[None]:
    """A test's process whose parent has ended becomes our child, so that the leak check sees it.

    Not for the whole session: in other tests nobody would collect them, and they would stay.
    """
    set_child_subreaper(True)
    yield
    set_child_subreaper(False)


@pytest.fixture(autouse=True)
def no_leaks(tmp_path: Path, orphans_come_to_us: None) -> Iterator[None]:  # noqa: ARG001 - order
    """The test leaves no descriptor, mount, cgroup, namespace or process behind."""
    check = leaks.LeakCheck(str(tmp_path))
    yield
    left = check.left()
    leaks.purge_cgroups()
    assert not left, "the test left behind:\n" + "\n".join(left)


@pytest.fixture
def no_network_leaks(tmp_path: Path) -> Iterator[None]:
    """The test leaves no link and no firewall table of shoal's kind in this network namespace either."""
    check = leaks.LeakCheck(str(tmp_path), network=True)
    yield
    left = check.left()
    assert not left, "the test left behind:\n" + "\n".join(left)


@pytest.fixture
def layout() -> Layout:
    """How control groups are mounted on this machine."""
    return detect()


@pytest.fixture
def cgroup(layout: Layout) -> Iterator[Cgroup]:
    """A new control group with a name of this process's own, removed behind the test with what is in it."""
    group = layout.create(f"/{leaks.CGROUP_PREFIX}/group")
    yield group
    group.kill(9)
    group.remove()
    layout.open(f"/{leaks.CGROUP_PREFIX}").remove()
