"""Names of volumes. Pure."""

from __future__ import annotations

import re
import secrets

from shoal.errors import InvalidArgument

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")
# A directory's name has at most 255 bytes.
_LENGTH_MAX = 255


def is_name(name: str) -> bool:
    """Whether a volume can have this name."""
    return _NAME.match(name) is not None


def check_name(name: str) -> None:
    """Nothing, for a name that a local volume may have. Raises: InvalidArgument in Docker's words."""
    if len(name) == 1:
        raise InvalidArgument(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    if not is_name(name):
        raise InvalidArgument(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
    if len(name) > _LENGTH_MAX:
        raise InvalidArgument(f"create {name}: volume name is too long", why=f"at most {_LENGTH_MAX} characters")


def anonymous_name() -> str:
    """A new name for a volume that was given none: 64 hexadecimal digits."""
    return secrets.token_hex(32)
