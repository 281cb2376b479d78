"""Findings of the doctor, from files and answers that are made up."""

from __future__ import annotations

import pytest

from shoal.cli.doctor import engine, firewall, limits, storage
from shoal.cli.doctor.finding import OK, PROBLEM, WARNING
from tests.unit.cli.invocation import shoal
from tests.unit.client.scripted import answer


def test_doctor_of_an_engine_elsewhere_tells_what_it_says_of_itself() -> None:
    """The kernel here has nothing to do with it: its own warnings count."""
    info = {"ServerVersion": "1", "Containers": 2, "Warnings": ["WARNING: No swap limit support"], "Driver": "vfs"}
    outcome = shoal("doctor", "--format", "{{.Name}}={{.State}}", scripts=[[answer(200, info)]])
    assert outcome.code == 0
    assert outcome.stdout.splitlines() == ["answers=ok", "says=warning", "storage-driver=warning", "elsewhere=warning"]


def test_doctor_of_an_engine_that_fails_is_a_problem() -> None:
    """An engine that answers with an error is worse than none."""
    outcome = shoal("doctor", scripts=[[answer(500, {"message": "database is malformed"})]])
    assert outcome.code == 1
    assert "database is malformed" in outcome.stdout


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("shoal0", ""), ("sh-0123abcd", "0123abcd"), ("sh-0123abc", None), ("sh-0123ABCD", None), ("eth0", None)],
)
def test_leftover_names_are_told_from_others(name: str, suffix: str | None) -> None:
    """Only names that shoal gives are shoal's."""
    assert engine._suffix_of(name, "shoal0", "sh-") == suffix


@pytest.mark.parametrize(
    ("file", "state"),
    [("1000 0 9000000", OK), ("950 0 1000", WARNING), ("", OK)],
)
def test_open_files_near_their_limit_are_a_warning(file: str, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine tenths of what the machine may have open is near."""
    monkeypatch.setattr(limits, "read_text", lambda _path: file)
    assert limits._files().state == state


@pytest.mark.parametrize(("free", "state"), [(10**12, OK), (10**9, WARNING), (10**7, PROBLEM)])
def test_room_on_the_disk(free: int, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Little room is a warning, next to none a problem."""

    class Seen:
        f_frsize, f_blocks, f_files, f_favail, f_flag = 1, 10**12, 10**6, 10**6, 0
        f_bavail = free

    monkeypatch.setattr(storage.os, "statvfs", lambda _path: Seen)
    assert storage._place("data-root", "/")[0].state == state


def test_file_system_of_a_path_is_that_of_the_nearest_mount(monkeypatch: pytest.MonkeyPatch) -> None:
    """`/var/library` is not below `/var/lib`, and of two mounts at one place the later one counts."""
    mounts = "a / ext4 rw 0 0\nb /var/lib xfs rw 0 0\nc /var/lib overlay rw 0 0"
    monkeypatch.setattr(storage, "read_text", lambda _path: mounts)
    assert storage._file_system("/var/lib/shoal") == "overlay"
    assert storage._file_system("/var/library") == "ext4"


def test_forward_policy_of_docker_is_told_with_iptables_and_others_with_nft() -> None:
    """The mend is a command that fits who made the chain."""
    docker = {"family": "ip", "table": "filter", "name": "FORWARD"}
    own = {"family": "inet", "table": "mine", "name": "fw"}
    assert firewall._dropping(docker).fix.startswith("iptables -I FORWARD -i shoal0")
    assert firewall._dropping(own).fix.startswith("nft insert rule inet mine fw iifname shoal0 accept")
