"""Which images `docker save` writes, and under which names: a name, a whole repository, or an id. Pure look-ups."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.errors import NotFound
from shoal.image.catalog import Catalog
from shoal.image.image import Image, ImageId
from shoal.oci.reference import Reference

Chosen = tuple[Image, Sequence[Reference]]


def choose(catalog: Catalog, names: Sequence[str]) -> Sequence[Chosen]:
    """The images that `names` mean, each once, with the names to save them under (none, if chosen by id).

    A repository without a tag means all its tags.
    Raises: NotFound, InvalidArgument.
    """
    chosen: dict[ImageId, tuple[Image, dict[str, Reference]]] = {}
    for text in names:
        for image, reference in _meant(catalog, text):
            kept = chosen.setdefault(image.id, (image, {}))[1]
            if reference is not None:
                kept[str(reference)] = reference
    return [(image, list(references.values())) for image, references in chosen.values()]


def _meant(catalog: Catalog, text: str) -> Sequence[tuple[Image, Reference | None]]:
    try:
        image = catalog.resolve(text)
    except NotFound:
        tagged = _all_tags(catalog, text)  # a repository that has no `latest` may have other tags
        if not tagged:
            raise
        return tagged
    if image.id.startswith(text) or image.id.partition(":")[2].startswith(text):
        return [(image, None)]
    reference = Reference.parse(text)
    if reference.digest is not None:
        return [(image, None)]
    return [(image, reference)] if reference.tag is not None else _all_tags(catalog, text)


def _all_tags(catalog: Catalog, text: str) -> Sequence[tuple[Image, Reference]]:
    reference = Reference.parse(text)
    if reference.tag is not None or reference.digest is not None:
        return []
    pairs = ((catalog.named(tagged), tagged) for tagged in catalog.in_repository(reference.name))
    return [(image, tagged) for image, tagged in pairs if image is not None]
