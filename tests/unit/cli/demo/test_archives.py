"""The images that the demo composes."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from shoal.cli.demo import archives, webserver
from shoal.cli.demo.debian import RootTar


@pytest.fixture
def root(tmp_path: Path) -> RootTar:
    """A stand-in for Debian's root file system, of a size that is no multiple of anything."""
    content = b"not really a tar" * 1000 + b"!"
    path = tmp_path / "debian.tar"
    path.write_bytes(content)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return RootTar(str(path), len(content), digest, "2026-01-01T00:00:00Z", None)


def test_saved_archive_has_the_size_that_it_tells(root: RootTar) -> None:
    """The length goes into the request's head before the first byte is read."""
    archive = archives.saved_archive(root)
    assert sum(len(chunk) for chunk in archive.chunks()) == archive.size_bytes


def test_saved_archive_is_a_docker_archive_with_both_images(root: RootTar) -> None:
    """Every digest in it is that of the content it names, and the base layer is there once."""
    data = b"".join(archives.saved_archive(root).chunks())
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}  # type: ignore[union-attr]
    manifest = json.loads(members["manifest.json"])
    assert [entry["RepoTags"] for entry in manifest] == [["debian:bookworm"], ["web:latest"]]
    assert manifest[1]["Layers"][0] == manifest[0]["Layers"][0]
    for entry in manifest:
        config = members[entry["Config"]]
        assert entry["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
        diff_ids = [f"sha256:{hashlib.sha256(members[layer]).hexdigest()}" for layer in entry["Layers"]]
        assert json.loads(config)["rootfs"]["diff_ids"] == diff_ids
        assert len(json.loads(config)["history"]) == len(diff_ids)


def test_web_layer_has_the_program_and_nothing_else() -> None:
    """One directory, one file."""
    with tarfile.open(fileobj=io.BytesIO(archives.web_layer())) as tar:
        assert tar.getnames() == ["srv", "srv/web.pl"]
        program = tar.extractfile("srv/web.pl")
        assert program is not None
        assert f"my $port = {webserver.PORT};" in program.read().decode()
