"""A child that made file systems ahead of its plan becomes the same container as one that did not."""

from __future__ import annotations

import os
import re

import pytest

from shoal.api.host_config import HostConfig
from shoal.linux.fd import Fd
from shoal.supervisor.steps.preparation import Prepared
from tests.kernel.steps.container import Box

pytestmark = pytest.mark.root

LOOK = "cat /proc/mounts; ls -la /dev /dev/pts /dev/mqueue /dev/shm; ls /proc/self /sys; echo hello > /dev/shm/x"


def _seen(box: Box, host: HostConfig | None = None) -> list[str]:
    """What a container sees of its mounts and devices, without what differs from one to the next.

    Kernels since 6.8 list mounts in the order in which they were made, so that one is not compared.
    """
    outcome = box.run(["sh", "-c", LOOK], host=host)
    output = re.sub(r"container-\d+", "container", outcome.output)
    return sorted(re.sub(r"[A-Z][a-z]{2} +\d+ +\d\d:\d\d", "", output).splitlines())


@pytest.mark.parametrize(
    "host",
    [
        HostConfig(),
        HostConfig(shm_size=1 << 20),
        HostConfig(tmpfs={"/tmp": "size=1m"}),
        HostConfig(privileged=True),
        HostConfig(readonly_rootfs=True),
        HostConfig(network_mode="host"),
        HostConfig(ipc_mode="none"),
    ],
    ids=["defaults", "shm", "tmpfs", "privileged", "readonly", "host", "no-ipc"],
)
def test_start_of_a_prepared_child_gives_the_same_container(box: Box, host: HostConfig) -> None:
    """Whether what was prepared fits wholly, in parts, or not: mounts, devices and their modes are the same."""
    plain = _seen(box, host)
    assert any(line.startswith("proc /proc ") for line in plain)
    box.run(["true"])
    box.expected = box.last_prepared
    assert _seen(box, host) == plain


def test_start_of_a_child_that_could_not_prepare_makes_its_own(box: Box) -> None:
    """What goes wrong ahead of the plan is no failure: the plan tells, if it is one for it too."""
    plain = _seen(box)
    box.expected = [(name, {**arguments, "options": ["nonsense=1"]}) for name, arguments in box.last_prepared]
    assert _seen(box) == plain


def test_prepared_gives_a_mount_once_and_only_for_the_very_same_step() -> None:
    """Two containers' worth of the same file system, or another size, are other file systems."""
    arguments = {"fstype": "tmpfs", "target": "/x", "source": "tmpfs", "options": ["size=64k"], "attributes": 0}
    prepared = Prepared()
    prepared.make([("mount", arguments)])
    assert prepared.take(("mount", {**arguments, "options": ["size=65k"]})) is None
    taken = prepared.take(("mount", dict(arguments)))
    assert isinstance(taken, Fd)
    with taken:
        assert os.fstatvfs(taken.fileno()).f_blocks * os.fstatvfs(taken.fileno()).f_bsize == 64 << 10
    assert prepared.take(("mount", arguments)) is None
    assert not prepared.has_devices
