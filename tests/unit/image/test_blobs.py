"""The content store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoal.errors import Internal, NotFound
from shoal.image.blobs import BlobStore
from shoal.oci.digest import hex_of, sha256_of


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    """An empty store."""
    (tmp_path / "tmp").mkdir()
    return BlobStore(str(tmp_path / "blobs"), str(tmp_path / "tmp"))


def test_put_content_is_read_back_under_its_digest(blobs: BlobStore, tmp_path: Path) -> None:
    """What is put is found under its sha256, once, and no temporary file stays."""
    digest = blobs.put(b"content")
    assert blobs.put(b"content") == digest == sha256_of(b"content")
    assert blobs.read(digest) == b"content"
    assert list(blobs.digests()) == [digest]
    assert os.listdir(tmp_path / "tmp") == []


def test_read_missing_content_is_not_found(blobs: BlobStore) -> None:
    """An unknown digest is not found; deleting it is no error."""
    digest = sha256_of(b"other")
    blobs.delete(digest)
    with pytest.raises(NotFound):
        blobs.read(digest)


def test_read_changed_content_is_told(blobs: BlobStore, tmp_path: Path) -> None:
    """A file that no longer has its digest is never given out."""
    digest = blobs.put(b"content")
    (tmp_path / "blobs" / "sha256" / hex_of(digest)).write_bytes(b"c0ntent")
    with pytest.raises(Internal, match="damaged blob"):
        blobs.read(digest)
