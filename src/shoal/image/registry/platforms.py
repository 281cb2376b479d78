"""Which manifest of an index is for a platform: variants in the order of preference. Pure.

OCI image-spec image-index.md; the order is that of containerd's platforms package, which Docker uses.
"""

from __future__ import annotations

from collections.abc import Sequence

from shoal.oci.descriptor import Descriptor
from shoal.oci.platform import Platform

_DEFAULT_VARIANTS = {"arm64": "v8", "arm": "v7", "amd64": "v1"}


def best_match(wanted: Platform, manifests: Sequence[Descriptor]) -> Descriptor | None:
    """The manifest that suits `wanted` best, the first one of equals; None if none does."""
    ranked = [(rank, descriptor) for descriptor in manifests if (rank := _rank(wanted, descriptor)) is not None]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _rank(wanted: Platform, descriptor: Descriptor) -> int | None:
    """0 for exactly what is wanted, more for older variants that run as well; None for what doesn't run."""
    made_for = descriptor.platform
    if made_for is None or made_for.os != wanted.os:
        return None
    here = (wanted.architecture, wanted.variant or _DEFAULT_VARIANTS.get(wanted.architecture, ""))
    there = (made_for.architecture, made_for.variant or _DEFAULT_VARIANTS.get(made_for.architecture, ""))
    accepted = _accepted(*here)
    return accepted.index(there) if there in accepted else None


def _accepted(architecture: str, variant: str) -> list[tuple[str, str]]:
    """What a processor runs, the best first."""
    level = int(variant[1:]) if variant[:1] == "v" and variant[1:].isdigit() and len(variant) < 4 else 0
    match architecture:
        case "amd64":
            return [("amd64", f"v{number}") for number in range(level, 0, -1)]
        case "arm":
            return [("arm", f"v{number}") for number in range(level, 4, -1)]
        case "arm64":
            return [("arm64", f"v{number}") for number in range(level, 7, -1)]
    return [(architecture, variant)]
