"""Whose every byte of the engine's disk is: what `shoal system df` prints below Docker's tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shoal.cli.context import Context
from shoal.cli.quantities import decimal_size
from shoal.cli.table import aligned, ellipsis
from shoal.client.document import Document
from shoal.errors import NotFound

# Each row, and the kinds of users that it sums up.
_OWNERS = {
    "Images": ("image", "image-layer", "layer-blob"),
    "Artifacts": ("artifact",),
    "Containers": ("container",),
    "Local Volumes": ("volume",),
    "Build Cache": ("build-cache",),
    "Partial Pulls": ("partial-pull",),
    "Engine": ("engine",),
}
_NAMES_WIDTH = 60


def print_disk_users(context: Context, *, each: bool) -> None:
    """A row for each kind of owner and the sum, which is what `du` counts; with `each` one for every owner.

    Nothing, where the engine is not shoal.
    """
    try:
        ledger = context.client.system.disk_users()
    except NotFound:
        return
    users = ledger.children("Users")
    context.print("")
    files, size = str(ledger.number("Inodes")), decimal_size(ledger.number("Size"), 4)
    total = ["Total", "", files, size, "", ""] if each else ["Total", files, size, ""]
    rows = [*(_each(users) if each else _by_owner(users)), total]
    for line in aligned(rows):
        context.print(line.rstrip())


def disk_size(context: Context) -> int | None:
    """The bytes of all of it, as `du` counts them; None where the engine is not shoal."""
    try:
        return context.client.system.disk_users().number("Size")
    except NotFound:
        return None


def _by_owner(users: Sequence[Document]) -> list[list[str]]:
    rows = [["OWNER", "FILES", "ON DISK", "RECLAIMABLE"]]
    for owner, kinds in _OWNERS.items():
        own = [user for user in users if user.text("Kind") in kinds]
        files = sum(user.number("Inodes") for user in own)
        rows.append([owner, str(files), _sum(own), _sum(user for user in own if not user.flag("InUse"))])
    return rows


def _sum(users: Iterable[Document]) -> str:
    return decimal_size(sum(user.number("Size") for user in users), 4)


def _each(users: Sequence[Document]) -> list[list[str]]:
    rows = [["OWNER", "ID", "FILES", "ON DISK", "IN USE", "NAMES"]]
    for owner, kinds in _OWNERS.items():
        own = [user for user in users if user.text("Kind") in kinds]
        for user in sorted(own, key=lambda one: (-one.number("Size"), one.text("Id"))):
            size, in_use = decimal_size(user.number("Size"), 4), "yes" if user.flag("InUse") else "no"
            names = ellipsis(", ".join(user.texts("Names")), _NAMES_WIDTH)
            rows.append([owner, _short(user.text("Id")), str(user.number("Inodes")), size, in_use, names])
    return rows


def _short(id: str) -> str:
    return ellipsis(id.removeprefix("sha256:"), 12)
