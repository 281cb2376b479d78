"""What `shoal system df -v` prints: each image, container, volume and build cache with its size on disk."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from shoal.cli.context import Context
from shoal.cli.quantities import decimal_size
from shoal.cli.table import aligned
from shoal.cli.verbs.images import image_rows
from shoal.cli.verbs.listing import Row, field_rows
from shoal.cli.verbs.ps import container_row
from shoal.client.document import Document, Json

_IMAGES = {
    "REPOSITORY": "Repository",
    "TAG": "Tag",
    "IMAGE ID": "ID",
    "CREATED": "CreatedSince",
    "SIZE": "Size",
    "SHARED SIZE": "SharedSize",
    "UNIQUE SIZE": "UniqueSize",
    "CONTAINERS": "Containers",
}
_CONTAINERS = {
    "CONTAINER ID": "ID",
    "IMAGE": "Image",
    "COMMAND": "Command",
    "LOCAL VOLUMES": "LocalVolumes",
    "SIZE": "Size",
    "CREATED": "RunningFor",
    "STATUS": "Status",
    "NAMES": "Names",
}
_VOLUMES = {"VOLUME NAME": "Name", "LINKS": "Links", "SIZE": "Size"}
_CACHES = {
    "CACHE ID": "ID",
    "CACHE TYPE": "Type",
    "SIZE": "Size",
    "CREATED": "CreatedSince",
    "LAST USED": "LastUsedSince",
    "USAGE": "UsageCount",
    "SHARED": "Shared",
}


def print_each(usage: Document, form: str, context: Context) -> None:
    """Four tables; or, with a template, what it makes of all rows."""
    now = time.time()
    images = [row for image in usage.children("Images") for row in image_rows(image, now, whole=False)]
    containers = [container_row(_with_own_size(one), now, whole=False) for one in usage.children("Containers")]
    volumes = [_volume(volume) for volume in usage.children("Volumes")]
    caches = [_cache(record) for record in usage.children("BuildCache")]
    if form:
        named = {"Images": images, "Containers": containers, "Volumes": volumes, "BuildCache": caches}
        whole: dict[str, Json] = {name: [dict(row) for row in rows] for name, rows in named.items()}
        field_rows([whole], form, context)
        return
    used = sum(record.number("Size") for record in usage.children("BuildCache") if not record.flag("Shared"))
    for title, columns, rows in (
        ("Images space usage:", _IMAGES, images),
        ("Containers space usage:", _CONTAINERS, containers),
        ("Local Volumes space usage:", _VOLUMES, volumes),
        (f"Build cache usage: {decimal_size(used)}", _CACHES, caches),
    ):
        _print_table(title, columns, rows, context)
        if columns is not _CACHES:
            context.print("")


def _print_table(title: str, columns: Mapping[str, str], rows: Sequence[Row], context: Context) -> None:
    context.print(f"{title}\n")
    for line in aligned([list(columns), *([str(row[name]) for name in columns.values()] for row in rows)]):
        context.print(line)


def _with_own_size(container: Document) -> Document:
    """The container without the size of its image: what it takes itself is what counts here."""
    return Document({name: value for name, value in container.raw.items() if name != "SizeRootFs"})


def _volume(volume: Document) -> Row:
    size, links = volume.number("UsageData", "Size"), volume.number("UsageData", "RefCount")
    return {"Name": volume.text("Name"), "Links": str(links), "Size": decimal_size(size) if size >= 0 else "N/A"}


def _cache(record: Document) -> Row:
    return {
        "ID": record.text("ID")[:12],
        "Type": record.text("Type"),
        "Size": decimal_size(record.number("Size")),
        "CreatedSince": record.text("CreatedAt"),
        "LastUsedSince": record.text("LastUsedAt"),
        "UsageCount": str(record.number("UsageCount")),
        "Shared": str(record.flag("Shared")).lower(),
    }
