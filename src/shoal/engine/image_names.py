"""What containers need to know of images: quick, in memory, never waiting."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shoal.api.image import ImageConfig
from shoal.errors import InvalidArgument, NotFound
from shoal.image.image import Image, ImageId
from shoal.image.store import ImageStore
from shoal.oci.platform import Platform, other_platform

# What a processor runs besides its own, with the kernels that machines get.
_ALSO_RUN = {"amd64": ("386",), "arm64": ("arm",)}


class ImageNames:
    """Images by what a client calls them."""

    def __init__(self, store: ImageStore, platform: Platform) -> None:
        """`platform` is the machine's own."""
        self._store = store
        self._platform = platform
        self._configs: dict[ImageId, ImageConfig] = {}

    def find(self, ref: str, platform: str | None) -> Image:
        """The image for a new container; `platform` is `os/arch[/variant]` or None for any.

        Raises: NotFound, also when the image is for another platform; InvalidArgument.
        """
        if not ref:
            raise InvalidArgument("no image specified", fix="name an image, as in `docker run busybox`")
        image = self._store.get(ref)
        if platform:
            made_for = Platform(image.document.os, image.document.architecture, image.document.variant)
            wanted = Platform.parse(platform, host=self._platform)
            if not wanted.runs(made_for):
                raise other_platform(ref, made_for, wanted)
        return image

    def check_native(self, image: Image) -> None:
        """Raises: InvalidArgument for an image of a processor that this machine has not.

        The host's kernel may have an emulator for it (binfmt_misc), that of a virtual machine has none.
        """
        own, other = self._platform.architecture, image.platform.architecture
        if other not in ("", own, *_ALSO_RUN.get(own, ())):
            raise InvalidArgument(
                f"an image for {image.platform} cannot run with --isolation vm",
                why=f"the virtual machine has this host's processor, {own}",
                fix=f"use an image for {self._platform}, or --isolation process",
            )

    def config(self, image: Image) -> ImageConfig:
        """The image's configuration as the API has it; made once for each image."""
        known = self._configs.get(image.id)
        if known is None:
            known = self._configs[image.id] = api_config(image)
        return known

    def descendants(self, ref: str) -> Sequence[str]:
        """The ids of the images that have all layers of the one that `ref` names, itself included; none if unknown."""
        try:
            base = self._store.get(ref).chain_ids
        except (NotFound, InvalidArgument):
            return ()
        return [image.id for image in self._store.images() if image.chain_ids[: len(base)] == base]

    def show(self, ref: str, id: str) -> str:
        """How a list shows a container's image: as it was asked for, or by id when the name now means another."""
        try:
            return ref if self._store.get(ref).id == id else id
        except (NotFound, InvalidArgument):
            return id

    def size_bytes(self, id: str) -> int:
        """The size of an image; 0 when it is gone."""
        image = self._store.find(id)
        return image.size_bytes if image else 0


def api_config(image: Image) -> ImageConfig:
    """The image's configuration as the API has it."""
    document = {name: value for name, value in msgspec.to_builtins(image.config).items() if value is not None}
    return msgspec.convert(document, ImageConfig)
