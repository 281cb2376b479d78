"""Checks of FROM: names of stages, and constant or superfluous platforms."""

from __future__ import annotations

from collections.abc import Iterator

from shoal.build.dockerfile.checks.finding import Finding, finding
from shoal.build.dockerfile.instructions import Dockerfile, From

_RESERVED = ("context", "scratch")
_SYSTEMS_AND_ARCHITECTURES = ("linux", "windows", "darwin", "freebsd", "amd64", "arm64", "arm", "386", "riscv64")
_OF_TARGET = ("$TARGETPLATFORM", "${TARGETPLATFORM}")


def stage_findings(file: Dockerfile) -> Iterator[Finding]:
    """DuplicateStageName, ReservedStageName, RedundantTargetPlatform and FromPlatformFlagConstDisallowed."""
    seen: dict[str, From] = {}
    for stage in file.stages:
        origin = stage.origin
        if stage.name in _RESERVED:
            text = f"{stage.name} has a meaning of its own, so the stage can't be named so"
            yield finding(file, "ReservedStageName", origin, text)
        if stage.name in seen:
            line = seen[stage.name].span.first
            text = f"there is a stage {stage.name} on line {line} already; the later one counts"
            yield finding(file, "DuplicateStageName", origin, text)
        if stage.name:
            seen.setdefault(stage.name, origin)
        flag = f"--platform={origin.platform}"
        if origin.platform in _OF_TARGET:
            text = f"{origin.platform} is the platform without the flag, too"
            yield finding(file, "RedundantTargetPlatform", origin, text, at=flag)
        elif origin.platform and "$" not in origin.platform and not _names_platform(stage.name, origin.platform):
            text = f"the platform {origin.platform} is constant, so the stage can't be built for another one"
            yield finding(file, "FromPlatformFlagConstDisallowed", origin, text, at=flag)


def _names_platform(name: str, platform: str) -> bool:
    """Whether a stage tells by its name that it is for one platform."""
    return any(part in name for part in platform.split("/") if part in _SYSTEMS_AND_ARCHITECTURES)
