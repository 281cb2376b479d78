"""`--output`: the result of a build as files, or as an archive, beside the image in the engine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from shoal.cli.archives import deliver_archive
from shoal.cli.context import Context
from shoal.client.copies.places import Arrival
from shoal.client.copies.unpacking import unpack
from shoal.errors import InvalidArgument

_TYPES = ("local", "tar", "oci", "docker", "image")


@dataclass(frozen=True, slots=True)
class Output:
    """One destination; `path` is a directory for `local`, else a file, "" for standard output."""

    type: str
    path: str


def parse_outputs(text: str) -> Output | None:
    """The output that `type=local,dest=PATH` means; a path alone is a directory, `-` a tar. Raises: InvalidArgument."""
    if not text:
        return None
    if "=" not in text:
        return Output("tar", "") if text == "-" else Output("local", text)
    parts = {name: value for name, _, value in (part.partition("=") for part in text.split(","))}
    type, path = parts.pop("type", ""), parts.pop("dest", "")
    if type not in _TYPES:
        raise InvalidArgument(f"invalid output type: {type!r}", fix=f"use one of {', '.join(_TYPES)}")
    if parts.keys() - {"name", "push"}:
        raise InvalidArgument(f"invalid output option: {', '.join(parts)}", fix="write type=TYPE,dest=PATH")
    if type == "local" and not path:
        raise InvalidArgument("dest is required for local output", fix="write type=local,dest=DIRECTORY")
    return None if type == "image" else Output(type, "" if path == "-" else path)


def deliver(output: Output, image_id: str, tags: Sequence[str], context: Context) -> None:
    """Brings the image where it is wanted. Raises: InvalidArgument for what can't be written."""
    images = context.client.images
    if output.type in ("oci", "docker"):
        # One archive is both: an OCI layout, and what `docker load` reads.
        deliver_archive(images.save(list(tags) or [image_id]), output.path, context)
    elif output.type == "tar":
        deliver_archive(images.files(image_id), output.path, context)
    else:
        os.makedirs(output.path, exist_ok=True)
        unpack(images.files(image_id).chunks(), Arrival(output.path, "", ""))
