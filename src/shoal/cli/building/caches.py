"""`--cache-from` and `--cache-to`: caches that are directories here are sent to the engine, and brought from it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from shoal.api.build_caches import CachePlace, parse_cache_place
from shoal.cli.context import Context
from shoal.client.copies.packing import pack_tree
from shoal.client.copies.places import Arrival
from shoal.client.copies.unpacking import unpack
from shoal.errors import InvalidArgument


def caches_to(texts: Sequence[str]) -> list[CachePlace]:
    """Where a build's cache is wanted. Raises: InvalidArgument, Unsupported."""
    places = [parse_cache_place(text) for text in texts]
    for place in places:
        if place.type == "local" and not place.path:
            raise InvalidArgument("local cache requires dest", fix="write --cache-to type=local,dest=DIRECTORY")
    return places


def sent_caches(texts: Sequence[str], context: Context) -> list[str]:
    """The caches as the engine is asked for them; those that are directories have been sent.

    Raises: InvalidArgument, Unsupported; what the engine refuses.
    """
    return [_sent(text, parse_cache_place(text), context) for text in texts]


def _sent(text: str, place: CachePlace, context: Context) -> str:
    if place.type != "local":
        return text
    if not place.path:
        raise InvalidArgument("local cache requires src", fix="write --cache-from type=local,src=DIRECTORY")
    if not os.path.isfile(os.path.join(place.path, "index.json")):
        context.warn(f"there is no build cache in {place.path} yet")
        return ""
    return f"type=local,token={context.client.images.send_cache(pack_tree(place.path, _nothing))}"


def bring_caches(places: Sequence[CachePlace], image_id: str, context: Context) -> None:
    """Writes the cache of the build of this image into the directories that want it. Raises: OSError."""
    for place in places:
        if place.type == "local":
            os.makedirs(place.path, exist_ok=True)
            archive = context.client.images.build_cache(image_id, is_whole=place.is_whole)
            unpack(archive.chunks(), Arrival(place.path, "", ""))


def _nothing(_name: str, _is_directory: bool) -> bool:
    """Nothing is left out."""
    return False
