"""The body of every answer that is an error. Docker API v1.50 `ErrorResponse`, and shoal's two hints."""

from __future__ import annotations

import msgspec


class ErrorBody(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`message` is the sentence that a Docker client prints; `why` and `fix` are shoal's own."""

    message: str
    why: str = ""
    fix: str = ""
