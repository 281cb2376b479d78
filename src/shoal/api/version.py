"""API versions: which ones are served, and how a client's is read. Pure.

A version is compared as a pair of numbers, so that 1.9 is older than 1.24. The minimum stays at 1.24: raising it
breaks tools that pin an old version.
"""

from __future__ import annotations

from shoal.errors import InvalidArgument


class ApiVersion(tuple[int, int]):
    """A version of the Docker API, as in `/v1.50/containers/json`.

    No NamedTuple: the command line needs this module, and `typing` would cost it 2 ms.
    """

    __slots__ = ()

    def __new__(cls, major: int, minor: int) -> ApiVersion:
        return super().__new__(cls, (major, minor))

    @property
    def major(self) -> int:
        """The number before the dot."""
        return self[0]

    @property
    def minor(self) -> int:
        """The number after the dot."""
        return self[1]

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


MINIMUM = ApiVersion(1, 24)
MAXIMUM = ApiVersion(1, 50)

V1_28 = ApiVersion(1, 28)  # `filter` gave way to `filters` in the list of images; binary frames
V1_30 = ApiVersion(1, 30)  # conditions of waiting
V1_41 = ApiVersion(1, 41)  # a sample of stats at once; the platform of a new container
V1_42 = ApiVersion(1, 42)  # streams say whether they are multiplexed; signals to stop with; sizes of consoles
V1_44 = ApiVersion(1, 44)  # VirtualSize is gone from images
V1_46 = ApiVersion(1, 46)  # the platform to push
V1_47 = ApiVersion(1, 47)  # manifests of images in lists
V1_48 = ApiVersion(1, 48)  # manifests of an image; the platform of its history, to save and to load
V1_49 = ApiVersion(1, 49)  # the platform to inspect
V1_50 = ApiVersion(1, 50)  # the platforms to remove


def parse_version(text: str) -> ApiVersion:
    """The served version that `text` ("1.45") names.

    Raises: InvalidArgument with Docker's sentences where the version is not one, too old or too new.
    Source: moby `server/middleware/version.go`.
    """
    major, dot, minor = text.partition(".")
    if not (dot and _is_number(major) and _is_number(minor)):
        raise InvalidArgument(f"invalid API version: {text!r}")
    version = ApiVersion(int(major), int(minor))
    if version < MINIMUM:
        raise InvalidArgument(
            f"client version {text} is too old. Minimum supported API version is {MINIMUM}, "
            "please upgrade your client to a newer version"
        )
    if version > MAXIMUM:
        raise InvalidArgument(f"client version {text} is too new. Maximum supported API version is {MAXIMUM}")
    return version


def _is_number(text: str) -> bool:
    return 0 < len(text) <= 4 and text.isascii() and text.isdigit()
