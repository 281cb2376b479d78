"""Images: what containers are made of."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, Sequence

from shoal.aio.streams import Stream
from shoal.client.aio.client import Client
from shoal.client.aio.driver import file_pieces
from shoal.client.document import Document
from shoal.client.options import Selection, filters_of, split_reference
from shoal.client.results import Pruned

# An archive: its bytes, its path, or its pieces.
Archive = bytes | str | os.PathLike[str] | AsyncIterable[bytes]


class Images:
    """The images of an engine."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def get(self, ref: str) -> Image:
        """The image of this name, digest or id. Raises: NotFound.

        >>> (await engine.images.get("busybox")).tags
        ['busybox:latest']
        """
        return _from_details(self._client, await self._client.images.inspect(ref))

    async def list(self, *, all: bool = False, filters: Selection | None = None) -> list[Image]:
        """The images, newest first. `filters`: `{"reference": "debian:*", "dangling": True}`."""
        found = await self._client.images.list(all=all, filters=filters_of(filters))
        return [_from_summary(self._client, document) for document in found]

    async def load(self, archive: Archive) -> Sequence[Image]:
        """The images in an archive (of `docker save`, or an OCI layout): its path, its bytes, or its pieces.

        Raises: InvalidArgument, Internal for what is no such archive; OSError for a path that can't be read.
        """
        names = []
        async for message in await self._client.images.load(_pieces(archive)):
            for prefix in ("Loaded image: ", "Loaded image ID: "):
                if (said := message.text("stream")).startswith(prefix):
                    names.append(said.removeprefix(prefix).strip())
        return [await self.get(name) for name in names]

    def save(self, *refs: str) -> Stream[bytes]:
        """An archive of these images, piece by piece."""
        return Stream(self._saved(refs))

    async def _saved(self, refs: Sequence[str]) -> AsyncGenerator[bytes]:
        response = await self._client.images.save(refs)
        try:
            async for piece in response.chunks():
                yield piece
        finally:
            response.close()

    async def import_archive(
        self, archive: Archive, reference: str = "", *, changes: Sequence[str] = (), message: str = ""
    ) -> Image:
        """A new image with the tar of a root file system as its only layer; `changes` are lines of a Dockerfile."""
        image_id = ""
        progress = await self._client.images.import_archive(
            "-", _pieces(archive), repo=reference, changes=changes, message=message
        )
        async for document in progress:
            image_id = document.text("status") or image_id
        return await self.get(image_id)

    async def pull(self, reference: str, *, platform: str = "") -> Image:
        """The image, fetched from its registry. Raises: NotFound; Unsupported where the engine has no registries."""
        repo, tag = (reference, "") if "@" in reference else split_reference(reference)
        async for _ in await self._client.images.pull(repo, tag=tag or "latest", platform=platform):
            pass
        return await self.get(reference)

    async def prune(self, *, all: bool = False, filters: Selection | None = None) -> Pruned:
        """Removes the images without a name, or with `all` every one that no container has; says which."""
        selection = {**(filters or {}), "dangling": not all}
        answer = await self._client.system.prune("images", filters_of(selection))
        removed = [item.text("Deleted") or item.text("Untagged") for item in answer.children("ImagesDeleted")]
        return Pruned(tuple(removed), answer.number("SpaceReclaimed"))


class Image:
    """One image. `id`, `tags`, `size_bytes` and `labels` are what it had when it was found."""

    def __init__(self, client: Client, id: str, *, tags: Sequence[str], size_bytes: int, labels: Document) -> None:
        self._client = client
        self.id = id
        self.tags = [tag for tag in tags if tag != "<none>:<none>"]
        self.size_bytes = size_bytes
        self.labels = {name: str(value) for name, value in labels.raw.items()}

    def __repr__(self) -> str:
        return f"<Image {next(iter(self.tags), self.id)}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    async def inspect(self) -> Document:
        """All that the engine knows of it. Docker API v1.50 ImageInspect."""
        return await self._client.images.inspect(self.id)

    async def history(self) -> Sequence[Document]:
        """Its layers and empty steps, newest first. Docker API v1.50 ImageHistory."""
        return await self._client.images.history(self.id)

    async def tag(self, reference: str) -> None:
        """Gives it one more name."""
        repo, tag = split_reference(reference)
        await self._client.images.tag(self.id, repo=repo, tag=tag or "latest")

    async def remove(self, *, force: bool = False, prune: bool = True) -> None:
        """Removes it with all its names; `force` even if it has several, or a stopped container has it.

        Raises: Conflict.
        """
        await self._client.images.remove(self.id, force=force, prune=prune)


def _from_details(client: Client, details: Document) -> Image:
    return Image(
        client,
        details.text("Id"),
        tags=details.texts("RepoTags"),
        size_bytes=details.number("Size"),
        labels=details.child("Config", "Labels"),
    )


def _from_summary(client: Client, summary: Document) -> Image:
    return Image(
        client,
        summary.text("Id"),
        tags=summary.texts("RepoTags"),
        size_bytes=summary.number("Size"),
        labels=summary.child("Labels"),
    )


def _pieces(archive: Archive) -> bytes | AsyncIterable[bytes]:
    return file_pieces(os.fspath(archive)) if isinstance(archive, str | os.PathLike) else archive
