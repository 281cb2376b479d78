"""Blobs on their way to a registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from shoal.errors import NotFound
from shoal.image.registry.progress import Teller
from shoal.image.registry.uploads import FileContent
from shoal.oci.descriptor import Descriptor
from shoal.oci.digest import sha256_of


def test_begin_file_that_is_gone(tmp_path: Path) -> None:
    """What is removed while it is pushed is not there, which is no fault of the connection."""
    descriptor = Descriptor("text/plain", sha256_of(b"x"), 1)
    content = FileContent(Teller(lambda _: None), cast(Any, None), "x", str(tmp_path / "gone"), descriptor)
    with pytest.raises(NotFound, match=descriptor.digest):
        next(content.begin())
