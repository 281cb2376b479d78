"""Platforms: which system and processor an image is for.

Pure. OCI image-spec config.md (os, architecture, variant); Go's names (`amd64`, `arm64`), as everywhere in this field.
"""

from __future__ import annotations

from dataclasses import dataclass

from shoal.errors import InvalidArgument, NotFound

# What uname(2) says, and what users write -> (architecture, variant).
_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "amd64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "arm64": ("arm64", ""),
    "armv8l": ("arm", "v7"),
    "armv7l": ("arm", "v7"),
    "armhf": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armel": ("arm", "v6"),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "386": ("386", ""),
    "ppc64le": ("ppc64le", ""),
    "s390x": ("s390x", ""),
    "riscv64": ("riscv64", ""),
    "loongarch64": ("loong64", ""),
}
_SYSTEMS = frozenset({"linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "aix", "wasip1"})


@dataclass(frozen=True, slots=True)
class Platform:
    """A system, an architecture and, for some, its variant."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str, *, host: Platform) -> Platform:
        """The platform that `linux/arm64/v8`, `linux` or `arm64` means; parts left out are the host's.

        Raises: InvalidArgument with the sentence of containerd's platform parser.
        """
        parts = text.lower().split("/")
        if not all(part and part.replace("_", "").replace("-", "").replace(".", "").isalnum() for part in parts):
            raise InvalidArgument(
                f'"{text}" is an invalid component of "{text}"', why="platform specifier is OS[/ARCH[/VARIANT]]"
            )
        if len(parts) == 1:
            if parts[0] in _SYSTEMS:
                return cls(parts[0], host.architecture, host.variant)
            if parts[0] in _ARCHITECTURES:
                return cls(host.os, *_ARCHITECTURES[parts[0]])
            raise InvalidArgument(f'"{text}": unknown operating system or architecture', why="invalid argument")
        if len(parts) > 3:
            raise InvalidArgument(f'"{text}": cannot parse platform specifier', why="invalid argument")
        architecture, variant = _ARCHITECTURES.get(parts[1], (parts[1], ""))
        return cls(parts[0], architecture, parts[2] if len(parts) == 3 else variant)

    @classmethod
    def of_machine(cls, machine: str) -> Platform:
        """The Linux platform of a machine that uname(2) calls `machine`."""
        return cls("linux", *_ARCHITECTURES.get(machine, (machine, "")))

    def runs(self, other: Platform) -> bool:
        """Whether this machine's platform runs what was made for `other` (a missing variant counts as equal)."""
        if (self.os, self.architecture) != (other.os, other.architecture):
            return False
        if self.architecture == "arm" and self.variant and other.variant:
            return other.variant <= self.variant
        return True

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def other_platform(ref: str, platform: Platform, wanted: Platform) -> NotFound:
    """The refusal, in Docker's words, of an image that is here for another platform than the wanted one."""
    return NotFound(
        f"image with reference {ref} was found but its platform ({platform}) "
        f"does not match the specified platform ({wanted})"
    )
