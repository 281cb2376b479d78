"""Names, numbers and texts that are exchanged with the kernel."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import InvalidArgument, SyscallError
from shoal.linux import capabilities, features, mounts, namespaces, overlay, pidfd, procfs, sysctl
from shoal.linux.cgroups.usage import parse_blkio, v1_limit
from shoal.linux.inotify import IN_CREATE, IN_MODIFY, Inotify


@given(st.sets(st.sampled_from(sorted(capabilities.CAPABILITIES))))
def test_capability_names_and_masks_are_inverse(names: set[str]) -> None:
    """A set of names survives the way through its mask."""
    assert set(capabilities.names(capabilities.mask(sorted(names)))) == names


def test_capability_table_covers_this_kernel() -> None:
    """No capability that the kernel knows is missing in the table."""
    assert set(range(capabilities.last_cap() + 1)) <= set(capabilities.CAPABILITIES.values())


def test_capability_of_an_unknown_name_is_refused() -> None:
    """A typo can't silently grant nothing."""
    with pytest.raises(InvalidArgument) as caught:
        capabilities.mask(["CAP_EVERYTHING"])
    assert caught.value.what == "unknown capability 'CAP_EVERYTHING'"


_ATTRIBUTES = [attribute for attribute, _ in mounts._ATTRIBUTE_FLAGS]


@given(st.sets(st.sampled_from(_ATTRIBUTES)))
def test_mount_attributes_and_flags_are_inverse(chosen: set[int]) -> None:
    """MOUNT_ATTR_* survive the way through the MS_* of mount(2)."""
    attrs = 0
    for attribute in chosen:
        attrs |= attribute
    assert mounts.attributes(mounts.legacy_flags(attrs)) == attrs


def test_overlay_data_escapes_what_separates() -> None:
    """Colons separate layers and commas options, unless escaped; an upper directory may hold a colon."""
    assert overlay.overlay_data(["/a:b", "/c,d"], "/u:p", "/w\\k", ["volatile"]) == (
        "lowerdir=/a\\:b:/c\\,d,upperdir=/u:p,workdir=/w\\\\k,volatile"
    )


def test_namespace_names_of_the_specification_lead_to_flags() -> None:
    """Every type of the OCI specification has its flag."""
    assert {namespaces.FLAGS[name] for name in namespaces.OCI_NAMES.values()} == set(namespaces.FLAGS.values())


def test_namespace_of_a_missing_process_is_enoent() -> None:
    """The error names the path."""
    with pytest.raises(SyscallError) as caught:
        namespaces.namespace_fd(2**22 - 1, "net")
    assert str(caught.value) == "open `/proc/4194303/ns/net`: no such file or directory"


@pytest.mark.parametrize("ranges", [[(0, 0, 0)], [(-1, 0, 1)], [(0, -5, 1)]])
def test_user_map_with_an_impossible_range_is_refused(ranges: list[tuple[int, int, int]]) -> None:
    """The one write that the kernel allows is not wasted on nonsense."""
    with pytest.raises(InvalidArgument):
        namespaces.write_user_maps("self", ranges, [])


def test_time_offset_of_another_clock_is_refused() -> None:
    """Only two clocks can be shifted."""
    with pytest.raises(InvalidArgument) as caught:
        namespaces.write_time_offsets("self", {"realtime": (1, 0)})
    assert caught.value.why == "it is monotonic or boottime"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"),
        ("net/ipv4/conf/eth0.1/forwarding", "/proc/sys/net/ipv4/conf/eth0.1/forwarding"),
    ],
)
def test_sysctl_path_of_both_spellings(name: str, path: str) -> None:
    """Dots and slashes both separate; with slashes a dot stands for itself."""
    assert sysctl.sysctl_path(name) == path


@pytest.mark.parametrize("name", ["", "a..b", "../kernel/x", "kernel/../../etc/passwd", "/kernel/x", "a\0b"])
def test_sysctl_path_that_leads_elsewhere_is_refused(name: str) -> None:
    """No name reaches a file outside /proc/sys."""
    with pytest.raises(InvalidArgument):
        sysctl.sysctl_path(name)


def test_read_sysctl_gives_the_value_without_its_newline() -> None:
    """What the file holds."""
    assert sysctl.read_sysctl("kernel.ostype") == "Linux"


def test_write_sysctl_that_is_missing_is_enoent() -> None:
    """The error names the file."""
    with pytest.raises(SyscallError) as caught:
        sysctl.write_sysctl("kernel.no_such_thing", "1")
    assert caught.value.object == "/proc/sys/kernel/no_such_thing"


def test_process_is_known_by_pid_and_start_time() -> None:
    """This process exists with its start time, and not with another."""
    ticks = procfs.start_time_ticks(os.getpid())
    assert procfs.process_exists(os.getpid(), ticks)
    assert not procfs.process_exists(os.getpid(), ticks + 1)
    assert not procfs.process_exists(2**22 - 1, ticks)
    assert procfs.parent(os.getpid()) == os.getppid()


def test_process_with_a_hostile_name_is_read_right() -> None:
    """Spaces and parentheses in a name do not shift the fields behind it."""
    pid = os.fork()
    if pid == 0:
        try:
            Path("/proc/self/comm").write_text("a) Z 1 (b")
            good = procfs.process_exists(os.getpid(), procfs.start_time_ticks(os.getpid()))
            os._exit(0 if good and procfs.parent(os.getpid()) == os.getppid() else 1)
        finally:
            os._exit(2)
    assert pid in procfs.children(os.getpid())
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_process_that_has_ended_does_not_exist_though_it_is_not_reaped() -> None:
    """A zombie is gone."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    with pidfd.pidfd_open(pid) as descriptor:
        ticks = procfs.start_time_ticks(pid)
        assert pidfd.wait_exit(descriptor, 10)
        assert not procfs.process_exists(pid, ticks)
        assert procfs.command_line(pid) == []
        os.waitpid(pid, 0)


def test_pidfd_signals_and_counts_exits_as_docker_does() -> None:
    """A signal sent through the pidfd ends the process, whose exit code is 128 + N."""
    pid = os.fork()
    if pid == 0:
        while True:
            signal.pause()
    with pidfd.pidfd_open(pid) as descriptor:
        assert pidfd.is_alive(descriptor)
        assert pidfd.pid_of(descriptor) == pid
        pidfd.pidfd_send_signal(descriptor, 15)
        assert pidfd.exit_code(os.waitpid(pid, 0)[1]) == 143
        with pytest.raises(SyscallError) as caught:
            pidfd.pidfd_send_signal(descriptor, 15)
    assert str(caught.value) == "pidfd_send_signal `SIGTERM`: no such process"


def test_pss_and_boot_id_of_this_machine() -> None:
    """A Python process has some megabytes; the boot id is a UUID."""
    assert 1000 < procfs.pss_kib(os.getpid()) < 2_000_000
    assert len(procfs.boot_id()) == 36


def test_inotify_tells_what_happened_to_which_file(tmp_path: Path) -> None:
    """Events of a watched directory carry the name; nothing waiting is an empty list."""
    with Inotify() as queue:
        watch = queue.add(str(tmp_path), IN_CREATE | IN_MODIFY)
        assert queue.read_nowait() == []
        (tmp_path / "log").write_text("x")
        assert queue.read_nowait() == [(watch, IN_CREATE, "log"), (watch, IN_MODIFY, "log")]
        queue.remove(watch)
        with pytest.raises(SyscallError) as caught:
            queue.add(str(tmp_path / "missing"), IN_MODIFY)
    assert caught.value.syscall == "inotify_add_watch"


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.1.0-13-amd64", (6, 1)), ("5.10.0", (5, 10)), ("6.18rc1", (6, 18)), ("", (0, 0)), ("next", (0, 0))],
)
def test_kernel_version_of_a_release(release: str, version: tuple[int, int]) -> None:
    """Distributions' suffixes do not matter."""
    assert features.kernel_version(release) == version


def test_features_that_are_missing_have_a_reason() -> None:
    """Detection works for any user, names each thing once, and leaves nobody without a why."""
    found = features.detect()
    assert len({feature.name for feature in found}) == len(found)
    assert all(feature.reason for feature in found if not feature.available)
    assert not any(feature.reason for feature in found if feature.available)
    assert features.available(found, "pidfd")
    assert not features.available(found, "no-such-feature")


def test_blkio_counters_leave_out_the_sum() -> None:
    """Only lines of a device count."""
    assert parse_blkio("8:0 Read 5\n8:0 Total 5\nTotal 5\n") == [
        {"major": 8, "minor": 0, "op": "Read", "value": 5},
        {"major": 8, "minor": 0, "op": "Total", "value": 5},
    ]


@pytest.mark.parametrize(("value", "limit"), [(5, 5), (9223372036854771712, None), (-1, None), (None, None)])
def test_v1_limit_knows_the_number_that_stands_for_none(value: int | None, limit: int | None) -> None:
    """No limit is None inside the code."""
    assert v1_limit(value) == limit
