"""`--platform` of verbs on images that are here: an image has one platform, and another one is not found."""

from __future__ import annotations

from shoal.client.client import Client
from shoal.errors import InvalidArgument, NotFound

_SPELLINGS = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "i386": "386"}


def check_platform(client: Client, ref: str, platform: str) -> None:
    """Nothing, where the image has that platform (OS[/ARCH[/VARIANT]], "" for any).

    Raises: NotFound in Docker's words, InvalidArgument for what is no platform.
    """
    if not platform:
        return
    parts = platform.lower().split("/")
    if len(parts) > 3 or not all(parts):
        raise InvalidArgument(f"invalid platform: {platform}", fix="write OS[/ARCH[/VARIANT]], like linux/arm64")
    image = client.images.inspect(ref)
    wanted = [parts[0], *(_SPELLINGS.get(part, part) for part in parts[1:2]), *parts[2:]]
    here = [image.text("Os"), image.text("Architecture"), image.text("Variant")]
    if wanted != here[: len(wanted)]:
        raise NotFound(
            f"image with reference {ref} was found but its platform ({'/'.join(part for part in here if part)}) "
            f"does not match the specified platform ({'/'.join(wanted)})"
        )
