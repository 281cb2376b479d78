"""Capabilities, resource limits and process attributes, as the child sets them before execve."""

from __future__ import annotations

import errno
import os
import resource
import signal
from pathlib import Path

import pytest

from shoal.errors import InvalidArgument, SyscallError
from shoal.linux import capabilities, prctl, rlimits
from shoal.linux.capabilities import mask
from tests.kernel.child import run_in_child

pytestmark = pytest.mark.root

DOCKER = mask(["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_NET_BIND_SERVICE"])


def sets() -> dict[str, int]:
    """The five sets of this process, as the kernel shows them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {line[3:6]: int(line.split()[1], 16) for line in lines if line.startswith("Cap")}


def test_set_capabilities_gives_exactly_the_five_sets() -> None:
    """What was asked is what /proc shows, and nothing was missing."""
    one = mask(["CAP_NET_BIND_SERVICE"])

    def inside() -> object:
        missing = capabilities.set_capabilities(DOCKER, DOCKER, DOCKER, one, one)
        return missing, sets()

    expected = {"Inh": one, "Prm": DOCKER, "Eff": DOCKER, "Bnd": DOCKER, "Amb": one}
    assert run_in_child(inside) == (0, expected)


def test_set_capabilities_none_leaves_root_without_power() -> None:
    """Root without capabilities can't even give a file away."""

    def inside() -> object:
        capabilities.set_capabilities(0, 0, 0, 0, 0)
        try:
            os.chown("/proc/self", 1, 1)
        except PermissionError as error:
            return error.errno, sets()
        return 0, sets()

    assert run_in_child(inside) == (errno.EPERM, {"Inh": 0, "Prm": 0, "Eff": 0, "Bnd": 0, "Amb": 0})


def test_set_capabilities_that_the_host_lacks_are_left_out_and_told() -> None:
    """On a host whose root lacks a capability, asking for all gives the rest, and names what is missing."""

    def inside() -> object:
        capabilities.drop_bounding(DOCKER)
        wanted = DOCKER | mask(["CAP_SYS_ADMIN"])
        return capabilities.set_capabilities(wanted, wanted, wanted, 0, 0), sets()["Eff"]

    assert run_in_child(inside) == (mask(["CAP_SYS_ADMIN"]), DOCKER)


def test_set_capabilities_beyond_the_permitted_is_refused() -> None:
    """What this process gave up itself is an error, not a silent loss."""

    def inside() -> None:
        capabilities.capset(0, 0, 0)
        one = mask(["CAP_KILL"])
        capabilities.set_capabilities(capabilities.bounding_set(), one, one, 0, 0)

    with pytest.raises(SyscallError) as caught:
        run_in_child(inside)
    assert (caught.value.syscall, caught.value.errno) == ("capset", errno.EPERM)


def test_drop_bounding_lasts_over_execve() -> None:
    """A set-uid root program of the container can't get back what was dropped."""

    def inside() -> object:
        capabilities.drop_bounding(DOCKER)
        read, write = os.pipe()
        if os.fork() == 0:
            os.dup2(write, 1)
            os.execv("/bin/cat", ["cat", "/proc/self/status"])
        os.close(write)
        text = b""
        while part := os.read(read, 65536):
            text += part
        os.wait()
        return [line for line in text.decode().splitlines() if line.startswith("CapEff")]

    assert run_in_child(inside) == [f"CapEff:\t{DOCKER:016x}"]


def test_keepcaps_and_ambient_give_another_user_capabilities() -> None:
    """With PR_SET_KEEPCAPS and the ambient set a non-root user keeps what was granted."""
    one = mask(["CAP_NET_BIND_SERVICE"])

    def inside() -> object:
        capabilities.drop_bounding(one)
        prctl.set_keepcaps(True)
        os.setresgid(1000, 1000, 1000)
        os.setresuid(1000, 1000, 1000)
        capabilities.set_capabilities(one, one, one, one, one)
        return sets()["Amb"], sets()["Eff"]

    assert run_in_child(inside) == (one, one)


def test_get_capabilities_reads_what_proc_shows() -> None:
    """capget and /proc agree."""
    found = sets()
    assert capabilities.get_capabilities() == (found["Eff"], found["Prm"], found["Inh"])
    assert capabilities.bounding_set() == found["Bnd"]


def test_set_rlimit_within_the_hard_limit_is_silent() -> None:
    """Both limits are as asked."""

    def inside() -> object:
        return rlimits.set_rlimit("RLIMIT_NOFILE", 100, 200), resource.getrlimit(resource.RLIMIT_NOFILE)

    assert run_in_child(inside) == (None, (100, 200))


def test_set_rlimit_above_the_hard_limit_without_the_capability_is_clamped_and_told() -> None:
    """A host without CAP_SYS_RESOURCE still starts containers, and says what they did not get."""

    def inside() -> object:
        resource.setrlimit(resource.RLIMIT_NOFILE, (50, 100))
        rest = capabilities.bounding_set() & ~mask(["CAP_SYS_RESOURCE"])
        capabilities.set_capabilities(rest, rest, rest, 0, 0)
        warning = rlimits.set_rlimit("RLIMIT_NOFILE", 1000, 2000)
        return warning, resource.getrlimit(resource.RLIMIT_NOFILE)

    warning, limits = run_in_child(inside)  # type: ignore[misc]
    assert limits == (100, 100)
    assert warning == (
        "RLIMIT_NOFILE is 100:100 instead of 1000:2000: the hard limit of this process is 100, and raising it "
        "needs CAP_SYS_RESOURCE, which it lacks"
    )


def test_set_rlimit_unlimited_in_the_specification_s_spelling() -> None:
    """2⁶⁴-1 and -1 both are no limit."""

    def inside() -> object:
        return (
            rlimits.set_rlimit("RLIMIT_CORE", 0xFFFFFFFFFFFFFFFF, -1),
            resource.getrlimit(resource.RLIMIT_CORE),
        )

    if resource.getrlimit(resource.RLIMIT_CORE)[1] == resource.RLIM_INFINITY:
        assert run_in_child(inside) == (None, (-1, -1))
    else:
        warning, _ = run_in_child(inside)  # type: ignore[misc]
        assert warning.startswith("RLIMIT_CORE is ")


@pytest.mark.parametrize(
    ("name", "soft", "hard", "sentence"),
    [
        ("RLIMIT_BOGUS", 1, 1, "invalid rlimit type 'RLIMIT_BOGUS'"),
        ("RLIMIT_NOFILE", 2, 1, "invalid RLIMIT_NOFILE: the soft limit 2 is above the hard limit 1"),
        ("RLIMIT_NOFILE", -1, 1, "invalid RLIMIT_NOFILE: the soft limit unlimited is above the hard limit 1"),
    ],
)
def test_set_rlimit_of_nonsense_is_refused(name: str, soft: int, hard: int, sentence: str) -> None:
    """Wrong names and contradictions are found before the kernel is asked."""
    with pytest.raises(InvalidArgument) as caught:
        rlimits.set_rlimit(name, soft, hard)
    assert caught.value.what == sentence


def test_prctl_attributes_are_what_proc_shows() -> None:
    """no_new_privs, the name, and the dumpable flag (whose loss gives the files of /proc/self to root) arrive."""

    def inside() -> object:
        prctl.set_no_new_privs()
        prctl.set_name("a-name-that-is-too-long")
        prctl.set_pdeathsig(signal.SIGTERM)
        prctl.set_child_subreaper()
        status = Path("/proc/self/status").read_text()
        os.setresgid(1000, 1000, 1000)
        os.setresuid(1000, 1000, 1000)
        prctl.set_dumpable(True)
        before = os.stat("/proc/self/status").st_uid
        prctl.set_dumpable(False)
        return "NoNewPrivs:\t1" in status, status.splitlines()[0], before, os.stat("/proc/self/status").st_uid

    assert run_in_child(inside) == (True, "Name:\ta-name-that-is-", 1000, 0)
