"""The image configuration: what an image is made of and how its containers start.

Pure wire types for the JSON whose sha256 is the image's id. OCI image-spec config.md, with the fields that Docker adds
(Healthcheck, OnBuild, Shell). Absent and null mean the same.
"""

from __future__ import annotations

import datetime
import re

import msgspec

from shoal.oci.documents import decode_document, encode_document


class Healthcheck(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal", kw_only=True):
    """How to test that a container works; times in nanoseconds, 0 = inherit. Docker API v1.50 HealthConfig."""

    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class ImageConfig(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal", kw_only=True):
    """What containers of an image start with unless told otherwise. OCI image-spec config.md §config."""

    user: str = ""
    exposed_ports: dict[str, dict[str, str]] | None = None
    env: list[str] | None = None
    cmd: list[str] | None = None
    healthcheck: Healthcheck | None = None
    args_escaped: bool = False
    volumes: dict[str, dict[str, str]] | None = None
    working_dir: str = ""
    entrypoint: list[str] | None = None
    on_build: list[str] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    shell: list[str] | None = None


class RootFS(msgspec.Struct, frozen=True):
    """The layers' diffIDs, bottom first."""

    type: str = "layers"
    diff_ids: list[str] | None = None


class History(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How one layer, or one change of the configuration (`empty_layer`), came about."""

    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageDocument(msgspec.Struct, frozen=True, omit_defaults=True, rename={"os_version": "os.version"}, kw_only=True):
    """The whole image configuration document. OCI image-spec config.md."""

    architecture: str = ""
    variant: str = ""
    os: str = ""
    os_version: str = ""
    created: str | None = None
    author: str = ""
    docker_version: str = ""
    comment: str = ""
    config: ImageConfig | None = None
    rootfs: RootFS | None = None
    history: list[History] | None = None


def decode_image(raw: bytes) -> ImageDocument:
    """The image configuration in `raw`.

    Raises: InvalidArgument, with the path of the offending field.
    """
    return decode_document(raw, ImageDocument, "image configuration")


def encode_image(document: ImageDocument) -> bytes:
    """The JSON of `document`, always the same bytes for the same document: its sha256 is the image's id."""
    return encode_document(document)


def unix_ns(timestamp: str | None) -> int:
    """Nanoseconds since 1970 of an RFC 3339 `timestamp`; 0 for none, or one that can't be read."""
    match = _RFC3339.match(timestamp or "")
    if match is None:
        return 0
    seconds, fraction, offset = match.groups()
    try:
        moment = datetime.datetime.fromisoformat(seconds.replace(" ", "T") + offset.upper().replace("Z", "+00:00"))
        return (moment - _EPOCH) // _SECOND * 10**9 + int((fraction or "").ljust(9, "0")[:9] or 0)
    except (ValueError, OverflowError):
        return 0


def rfc3339(time_ns: int) -> str:
    """The UTC RFC 3339 text of nanoseconds since 1970, trailing zeros cut as Go does: `2026-11-24T07:34:50.5Z`."""
    seconds, fraction = divmod(time_ns, 10**9)
    moment = _EPOCH + datetime.timedelta(seconds=seconds)
    digits = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{digits}Z"


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_SECOND = datetime.timedelta(seconds=1)
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)
