"""The cache that travels in an image: a label that names the step behind each of the image's layers. Pure.

`--build-arg BUILDKIT_INLINE_CACHE=1` puts it into the image, `--cache-from` reads it. What it says counts for the build
that asked for it alone: whoever made the image is believed by nobody else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from shoal.build.ports import BaseImage
from shoal.oci.digest import Digest

LABEL = "shoal.build.cache"
ARGUMENT = "BUILDKIT_INLINE_CACHE"
_STEP = re.compile(r"([0-9a-f]{64}):([0-9]{1,5})\Z", re.ASCII)


def is_wanted(arguments: Mapping[str, str]) -> bool:
    """Whether the build is to put its cache into the image."""
    return arguments.get(ARGUMENT, "") in ("1", "true")


def written(steps: Iterable[tuple[str, int]]) -> str:
    """The label's text: each step's key, and how many layers there are behind it."""
    return " ".join(f"{key}:{count}" for key, count in steps)


def chains_of(image: BaseImage) -> dict[str, Sequence[Digest]]:
    """What the image says that steps come to: layers of its own by the steps' keys; nothing where it says nothing."""
    config = image.document.config
    text = (config.labels or {}).get(LABEL, "") if config else ""
    steps = [match for word in text.split() if (match := _STEP.match(word))]
    return {match[1]: image.chain_ids[: int(match[2])] for match in steps if int(match[2]) <= len(image.chain_ids)}
