"""What has no meaning in a virtual machine, or cannot be: refused in one sentence, and nothing is left.

No machine is started here, so neither QEMU nor a kernel is needed. Against shoald alone: dockerd refuses the flag.
"""

from __future__ import annotations

import struct
import tarfile
from io import BytesIO

import pytest

from tests.engines.engine import Engine

OWN = "a virtual machine has its own, and sees nothing of the host's"
REFUSED = {
    "--network=host": f"--network host cannot be used with --isolation vm: {OWN}",
    "--network=container:other": f"--network container cannot be used with --isolation vm: {OWN}",
    "--pid=host": f"--pid host cannot be used with --isolation vm: {OWN}",
    "--ipc=host": f"--ipc host cannot be used with --isolation vm: {OWN}",
    "--uts=host": f"--uts host cannot be used with --isolation vm: {OWN}",
    "--device=/dev/null": "--device cannot be used with --isolation vm: the host's devices are not in the machine",
    "--cpuset-cpus=0": "--cpuset-cpus cannot be used with --isolation vm: the machine's processors are its own",
    "--memory=64m": "--memory 64m is too small for --isolation vm: it is the memory of the whole machine, its kernel "
    "included",
}
# Enough of a program for the kernel to see whose it is: ELF, 64 bits, for the processor 0xb7 (AArch64).
FOREIGN_PROGRAM = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, 0xB7, 1) + bytes(200)


@pytest.mark.usefixtures("cli")
@pytest.mark.parametrize("flag", REFUSED)
def test_flag_without_meaning_in_a_machine_is_refused(shoald: Engine, flag: str) -> None:
    """By `docker run`, with 125 and a sentence that says why."""
    done = shoald.docker("run", "--isolation=vm", flag, "busybox", "true")
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.splitlines()[0] == f"docker: Error response from daemon: {REFUSED[flag]}"
    assert shoald.ok("ps", "-aq") == ""


def test_image_of_another_processor_is_refused(shoald: Engine) -> None:
    """It could only end in an exec format error, after a boot; a container of it is the host's kernel's affair."""
    archive = BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("program")
        member.size, member.mode = len(FOREIGN_PROGRAM), 0o755
        tar.addfile(member, BytesIO(FOREIGN_PROGRAM))
    target = "/images/create?fromSrc=-&repo=foreign&platform=linux/arm64"
    assert b"error" not in shoald.request("POST", target, archive.getvalue()).body
    body = {"Image": "foreign", "Cmd": ["/program"], "HostConfig": {"Isolation": "vm"}}
    refused = shoald.request("POST", "/containers/create", body)
    made = shoald.request("POST", "/containers/create", body | {"HostConfig": {}})
    moved = shoald.request("POST", f"/containers/{made.json['Id']}/move?isolation=vm")
    shoald.clear()
    shoald.request("DELETE", "/images/foreign")
    assert (refused.status, made.status, moved.status) == (400, 201, 400)
    for answer in (refused, moved):
        assert answer.json["message"].startswith("an image for linux/arm64 cannot run with --isolation vm")
    assert refused.json["fix"].startswith("use an image for linux/")


def test_machine_larger_than_the_host_is_refused_at_its_start(shoald: Engine) -> None:
    """The guest's kernel would take a sixty-fourth of it for its own books before anything runs."""
    body = {"Image": "busybox", "HostConfig": {"Isolation": "vm", "Memory": 1 << 50}}
    assert shoald.request("POST", "/containers/create?name=huge", body).status == 201
    refused = shoald.request("POST", "/containers/huge/start")
    assert refused.status == 400
    assert refused.json["message"].startswith("a virtual machine of 1073741824 MiB is larger than this host")
    assert shoald.inspect("huge")["State"]["Status"] == "created"  # type: ignore[index]
