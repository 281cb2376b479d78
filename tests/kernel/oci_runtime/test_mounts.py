"""Mounts of a bundle: every option that the specification names, seen from inside."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.kernel.oci_runtime.runtime import Bundle, Runtime, output_of

pytestmark = pytest.mark.root


def options_of(listing: str, place: str) -> set[str]:
    """The options of the mount at `place` in a /proc/self/mountinfo."""
    line = next(line for line in listing.splitlines() if line.split()[4] == place)
    return set(line.split()[5].split(","))


def test_bind_takes_all_attributes(runtime: Runtime, box: Bundle, tmp_path: Path) -> None:
    """A bind has the attributes that its words set, and not those that they clear."""
    (tmp_path / "source").mkdir()
    words = ("bind", "ro", "nosuid", "nodev", "noexec", "noatime", "nosymfollow")
    box.mount("/mnt", "bind", str(tmp_path / "source"), *words)
    box.process["args"] = ["cat", "/proc/self/mountinfo"]
    found = options_of(output_of(runtime.run(box)), "/mnt")
    assert found >= {"ro", "nosuid", "nodev", "noexec", "noatime", "nosymfollow"}


@pytest.mark.parametrize(("word", "below"), [("ro", "rw"), ("rro", "ro")])
def test_readonly_is_of_the_mount_or_of_the_whole_tree(
    runtime: Runtime, box: Bundle, tmp_path: Path, word: str, below: str
) -> None:
    """`ro` leaves what is mounted below it writable, `rro` does not."""
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    # In a mount namespace of its own, so that the host's table stays as it is.
    box.mount("/mnt", "bind", str(tmp_path / "outer"), "rbind", word)
    box.process["args"] = ["cat", "/proc/self/mountinfo"]
    box.write()
    script = f'mount -t tmpfs inner {tmp_path}/outer/inner && exec "$@"'
    command = runtime.command("run", "--bundle", str(box.directory), "one")
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", *command],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    listing = output_of(done)
    assert "ro" in options_of(listing, "/mnt")
    assert below in options_of(listing, "/mnt/inner")


def test_tmpcopyup_starts_with_the_images_content(runtime: Runtime, box: Bundle) -> None:
    """The tmpfs holds what was there, with owners, modes and links, and the image is not changed through it."""
    place = box.rootfs / "data"
    (place / "sub").mkdir(parents=True)
    (place / "file").write_text("content")
    (place / "file").chmod(0o604)
    os.chown(place / "file", 1000, 1000)
    (place / "link").symlink_to("file")
    (place / "sub" / "deep").write_text("deep")
    box.mount("/data", "tmpfs", "tmpfs", "tmpcopyup", "size=1m")
    box.shell(
        "stat -c '%u %a' /data/file; cat /data/link; cat /data/sub/deep; echo new > /data/file; mount | grep /data"
    )
    lines = output_of(runtime.run(box)).splitlines()
    assert lines[0] == "1000 604"
    assert lines[1].startswith("contentdeep")
    assert "tmpfs" in lines[-1]
    assert (place / "file").read_text() == "content"


def test_idmapped_bind_shows_other_owners(runtime: Runtime, box: Bundle, tmp_path: Path) -> None:
    """What belongs to user 5000 outside belongs to user 0 inside, and what root makes inside to 5000 outside."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").touch()
    for path in (source, source / "file"):
        os.chown(path, 5000, 5000)
    maps = [{"containerID": 5000, "hostID": 0, "size": 1}]
    box.mount("/mnt", "bind", str(source), "bind", "idmap", uidMappings=maps, gidMappings=maps)
    box.shell("stat -c %u:%g /mnt/file; touch /mnt/made")
    done = runtime.run(box)
    if "Invalid argument" in done.stderr:
        pytest.fail(f"the file system of {tmp_path} cannot be id-mapped: {done.stderr}")
    assert output_of(done) == "0:0\n"
    assert (source / "made").stat().st_uid == 5000


@pytest.mark.parametrize(("word", "field"), [("shared", "shared:"), ("private", ""), ("slave", "")])
def test_rootfs_propagation_is_that_of_the_root(runtime: Runtime, box: Bundle, word: str, field: str) -> None:
    """The root mount has the propagation that was asked for."""
    box.linux["rootfsPropagation"] = word
    box.process["args"] = ["cat", "/proc/self/mountinfo"]
    listing = output_of(runtime.run(box))
    line = next(line for line in listing.splitlines() if line.split()[4] == "/")
    assert ("shared:" in line) == bool(field)


def test_relative_source_is_of_the_bundle(runtime: Runtime, box: Bundle) -> None:
    """A source that is no absolute path is looked up in the bundle's directory."""
    (box.directory / "own").mkdir()
    (box.directory / "own" / "file").write_text("mine")
    box.mount("/mnt", "bind", "own", "bind")
    box.process["args"] = ["cat", "/mnt/file"]
    assert output_of(runtime.run(box)) == "mine"


def test_without_mounts_there_are_default_devices(runtime: Runtime, box: Bundle) -> None:
    """A bundle without a /dev of its own gets the devices that every container has."""
    box.spec["mounts"] = []
    box.linux["maskedPaths"] = box.linux["readonlyPaths"] = []
    box.shell("echo gone > /dev/null; head -c 4 /dev/zero | wc -c; ls -l /dev/full")
    assert output_of(runtime.run(box)).startswith("4\n")


def test_devices_are_what_the_list_allows(runtime: Runtime, box: Bundle) -> None:
    """A device of the specification is there, and its use is for the list of the cgroup to allow."""
    box.linux["devices"] = [{"path": "/dev/kmsg2", "type": "c", "major": 1, "minor": 11, "fileMode": 0o600}]
    box.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    box.shell("ls -l /dev/kmsg2 | cut -c1-10; head -c 1 /dev/kmsg2")
    done = runtime.run(box)
    assert done.stdout.startswith("crw-------")
    assert "Operation not permitted" in done.stderr


def test_readonly_root_and_hidden_paths(runtime: Runtime, box: Bundle) -> None:
    """The root is read-only, masked paths are empty and read-only paths refuse writes."""
    box.spec["root"]["readonly"] = True
    box.shell("touch /x; cat /proc/keys; echo 1 > /proc/sys/kernel/panic; ls /proc/scsi | wc -l")
    done = runtime.run(box)
    assert done.stderr.count("Read-only file system") == 2
    assert done.stdout.strip() == "0"


def test_no_pivot_moves_the_root(runtime: Runtime, box: Bundle) -> None:
    """`--no-pivot` gives the same root by the old way."""
    box.process["args"] = ["ls", "/"]
    assert output_of(runtime.run(box, "--no-pivot")).split() == sorted(os.listdir(box.rootfs))
