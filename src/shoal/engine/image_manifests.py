"""The manifests of an image, as clients ask for them: what it came by, or what `docker save` would write."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.api.image import ManifestImage, ManifestSize, ManifestSummary, OCIDescriptor, OCIPlatform, UnpackedSize
from shoal.image.image import Image
from shoal.image.store import ImageStore


def manifest_summaries(store: ImageStore, image: Image, containers: Sequence[str]) -> list[ManifestSummary]:
    """Each manifest of `image`, which `containers` use; an image here is for one platform.

    Raises: NotFound if it is gone. Blocks: for an executor.
    """
    platform = OCIPlatform(
        architecture=image.document.architecture,
        os=image.document.os,
        os_version=image.document.os_version,
        variant=image.document.variant,
    )
    beside, unpacked = store.content_bytes(image), image.size_bytes
    summaries = []
    for kept in store.manifests(image):
        content = len(kept.raw) + beside
        descriptor = OCIDescriptor(
            media_type=kept.media_type, digest=kept.digest, size=len(kept.raw), platform=platform
        )
        data = ManifestImage(platform=platform, containers=list(containers), size=UnpackedSize(unpacked=unpacked))
        size = ManifestSize(content=content, total=content + unpacked)
        summaries.append(ManifestSummary(id=kept.digest, descriptor=descriptor, size=size, image_data=data))
    return summaries
