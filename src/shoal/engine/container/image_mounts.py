"""`--mount type=image`: an image's content in a container, read-only.

For each such mount the container holds a snapshot of the image, so that its layers stay while somebody sees them, even
if the image is removed. Nothing is ever written into it. Its key is the container's id with a number behind it:
`owner_of` finds the container again.

Source: Docker API v1.48 Mount.ImageOptions.
"""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from shoal.api.host_config import HostConfig
from shoal.engine.container.record import ContainerRecord
from shoal.engine.image_names import ImageNames
from shoal.engine.specgen.mount_flags import requested_mount
from shoal.errors import InvalidArgument, NotFound
from shoal.image.snapshot.protocol import Snapshotter
from shoal.oci.rootfs import OverlayRootfs, Rootfs

_SEPARATOR = "-"


class ImageMounts:
    """Gives containers the images that they mount."""

    def __init__(self, images: ImageNames, snapshotter: Snapshotter) -> None:
        self._images = images
        self._snapshotter = snapshotter

    async def made_for(self, record: ContainerRecord) -> None:
        """Puts the images that the container's request mounts into `record.mounts`.

        Raises: InvalidArgument for an image that there is not: a 404 would make clients pull the container's own.
        """
        wanted = [requested_mount(mount) for mount in record.host_config.mounts if mount.type == "image"]
        for number, mount in enumerate(wanted):
            try:
                image = self._images.find(mount.source, None)
            except NotFound as problem:
                raise InvalidArgument(problem.what, why=problem.why, fix=f"docker pull {mount.source}") from None
            key = f"{record.id}{_SEPARATOR}{number}"
            rootfs = await asyncio.to_thread(self._snapshotter.prepare, key, image.chain_ids)
            layers = _layers(rootfs)
            record.mounts.append(replace(mount, volume=mount.source, source=layers[0], layers=layers, propagation=""))


def remove_image_mounts(id: str, host: HostConfig, snapshotter: Snapshotter) -> None:
    """Gives up the images of a container that goes; quick."""
    for number in range(sum(mount.type == "image" for mount in host.mounts)):
        try:
            snapshotter.remove(f"{id}{_SEPARATOR}{number}")
        except NotFound:
            pass  # a removal that was cut short had come so far


def owner_of(key: str) -> str:
    """The id of the container that a snapshot is for."""
    return key.partition(_SEPARATOR)[0]


def _layers(rootfs: Rootfs) -> tuple[str, ...]:
    """The image's own directories, the top one first."""
    if not isinstance(rootfs, OverlayRootfs):
        return (rootfs.path,)
    # The last one has the mount points that lie under every root: no part of the image. An image without layers is as
    # empty as the directory that nobody writes to.
    return rootfs.lower[:-1] or (rootfs.upper,)
