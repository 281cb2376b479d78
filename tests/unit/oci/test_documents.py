"""JSON documents that are traps."""

from __future__ import annotations

import pytest

from shoal.errors import InvalidArgument
from shoal.oci.documents import decode_document


@pytest.mark.parametrize("raw", [b"[" * 200_000, b'{"a":' * 200_000, b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"])
def test_decode_document_nested_too_deep_is_refused(raw: bytes) -> None:
    """A document of nothing but brackets is the archive's fault, and no error of shoal's."""
    with pytest.raises(InvalidArgument, match="invalid image configuration"):
        decode_document(raw, dict[str, object], "image configuration")
