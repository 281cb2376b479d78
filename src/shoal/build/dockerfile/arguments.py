"""The arguments of a build: which there are, where they are known, and which value counts.

    predefined   proxies: in every RUN, if the build was given them; no part of history or cache
    platform     BUILDPLATFORM, TARGETARCH …: known globally, in a stage after `ARG TARGETARCH`
    global       ARG before the first FROM: for FROM, in a stage after `ARG name`
    of a stage   ARG behind FROM: from its line to the end of the stage

Pure. Docker's Dockerfile reference §ARG. What the build was given wins over a default; ENV wins over every argument of
the same name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shoal.build.dockerfile.expansion import expand
from shoal.build.dockerfile.instructions import Arg, Dockerfile
from shoal.oci.platform import Platform

PREDEFINED = frozenset(
    name
    for upper in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (upper, upper.lower())
)


def platform_arguments(build: Platform, target: Platform, target_stage: str = "default") -> dict[str, str]:
    """The arguments that tell a Dockerfile where it is built and for which platform."""
    values = {"TARGETSTAGE": target_stage}
    for prefix, platform in (("BUILD", build), ("TARGET", target)):
        values[f"{prefix}PLATFORM"] = str(platform)
        values[f"{prefix}OS"] = platform.os
        values[f"{prefix}ARCH"] = platform.architecture
        values[f"{prefix}VARIANT"] = platform.variant
    return values


def predefined_arguments(given: Mapping[str, str]) -> dict[str, str]:
    """Those of the given arguments that every RUN has in its environment though no ARG declares them."""
    return {name: value for name, value in given.items() if name in PREDEFINED}


def global_arguments(file: Dockerfile, given: Mapping[str, str], platform: Mapping[str, str]) -> dict[str, str]:
    """The values that FROM sees, and that an `ARG name` of a stage takes: those of the platform and of the file's head.

    Raises: InvalidArgument, for a default that is no word.
    """
    values = dict(platform)
    for arg in file.arguments:
        values.update(declared_arguments(arg, given, {}, values, file.escape))
    return values


def declared_arguments(
    arg: Arg,
    given: Mapping[str, str],
    inherited: Mapping[str, str],
    environment: Mapping[str, str],
    escape: str = "\\",
) -> dict[str, str]:
    """What one ARG adds to its scope. Arguments without any value add nothing.

    `given` is what the build was given, `inherited` the global arguments, `environment` what is known at that line.

    Raises: InvalidArgument, for a default that is no word.
    """
    added: dict[str, str] = {}
    for argument in arg.arguments:
        known = {**environment, **added}
        key = expand(argument.key, known, escape)
        if key in given:
            added[key] = given[key]
        elif argument.default is not None:
            added[key] = expand(argument.default, known, escape)
        elif key in inherited:
            added[key] = inherited[key]
    return added


def declared_names(args: Iterable[Arg]) -> set[str]:
    """The names that these instructions declare."""
    return {argument.key for arg in args for argument in arg.arguments}


def unconsumed(file: Dockerfile, given: Iterable[str]) -> list[str]:
    """Those of the given names that no ARG of the file declares, sorted: Docker warns of them."""
    in_stages = [entry for stage in file.stages for entry in stage.instructions if isinstance(entry, Arg)]
    return sorted(set(given) - declared_names([*file.arguments, *in_stages]) - PREDEFINED)
