"""Volumes in a container, and parts of volumes that others change while it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from shoal.engine.specgen.requested import RequestedMount
from tests.kernel.steps.container import Box

pytestmark = pytest.mark.root


def volume(path: Path, subpath: str = "", *, read_only: bool = False) -> tuple[RequestedMount, ...]:
    """The directory `path` as a resolved volume at /v."""
    access = "recursive" if read_only else "no"
    mount = RequestedMount(kind="volume", volume="data", source=str(path), target="/v", propagation="")
    return (msgspec.structs.replace(mount, subpath=subpath, read_only=access),)


SWAP = """
import os, sys
os.chdir(sys.argv[1])
while True:
    os.rename("part", "aside")
    os.rename("link", "part")
    os.rename("part", "link")
    os.rename("aside", "part")
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A volume's directory with a part and a file in it."""
    (tmp_path / "data" / "part").mkdir(parents=True)
    (tmp_path / "data" / "part" / "inside").touch()
    (tmp_path / "data" / "file").write_text("content")
    return tmp_path / "data"


def test_volume_is_mounted_writable_or_not(box: Box, data: Path) -> None:
    """Its directory is what the container sees."""
    assert box.run(["sh", "-c", "ls /v && touch /v/new"], mounts=volume(data)).output == "file\npart\n"
    assert (data / "new").exists()
    refused = box.run(["touch", "/v/other"], mounts=volume(data, read_only=True))
    assert "Read-only" in refused.output


@pytest.mark.parametrize(
    ("subpath", "expected"), [("part", "inside\n"), ("./part/../part", "inside\n"), ("file", "/v\n")]
)
def test_part_of_a_volume_is_all_that_is_seen(box: Box, data: Path, subpath: str, expected: str) -> None:
    """A directory or a file of the volume, read-only where asked."""
    assert box.run(["ls", "/v"], mounts=volume(data, subpath)).output == expected
    refused = box.run(["touch", "/v"], mounts=volume(data, subpath, read_only=True))
    assert "Read-only" in refused.output


@pytest.mark.parametrize("target", ["/etc", "../../../../../../../../etc", "/proc/self/root/etc"])
def test_part_that_is_a_link_to_the_host_is_not_followed(box: Box, data: Path, target: str) -> None:
    """What another container put into the volume is looked up inside the volume, where there is no such place."""
    os.symlink(target, data / "evil")
    outcome = box.run(["ls", "/v"], mounts=volume(data, "evil"))
    assert (outcome.step, outcome.kind) == ("bind-subpath", "InvalidArgument")
    assert f"cannot access path {data}/evil: no such file or directory" in outcome.error


def test_part_that_becomes_a_link_meanwhile_is_not_followed(box: Box, data: Path) -> None:
    """A container that swaps the part for a link to the host's root, over and over, gets nothing mounted of it."""
    os.symlink("/", data / "link")
    # A process of its own: the box clones children, which must not find a lock held by a thread of ours.
    attacker = subprocess.Popen([sys.executable, "-c", SWAP, str(data)])
    try:
        # The volume's own root, through the link, or the part, or nothing for a moment: never the host's.
        seen = {box.run(["ls", "/v"], mounts=volume(data, "part")).output for _ in range(30)}
    finally:
        attacker.kill()
        attacker.wait()
    assert not any("proc" in output or "usr" in output for output in seen), seen
    assert "inside\n" in seen
