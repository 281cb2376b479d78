"""`--chown`: names looked up in the /etc/passwd and /etc/group of the image that is built. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from shoal.build.files import Files, resolve
from shoal.errors import InvalidArgument

_READ_MAX = 1 << 20
_ID_MAX = 2**31 - 1


def owner_of(text: str, image: Files) -> tuple[int, int]:
    """The uid and gid that `user[:group]` means in `image`; without a group it is the number of the user.

    Raises: InvalidArgument where a name is not there.
    """
    user, _, group = text.partition(":")
    uid, own_gid = _number(user), None
    if uid is None:
        uid, own_gid = _named(image, b"etc/passwd", user, "user", (2, 3))
    gid = _number(group) if group else own_gid if own_gid is not None else uid
    if gid is None:
        gid, _ = _named(image, b"etc/group", group, "group", (2, 2))
    return uid, gid


def _number(text: str) -> int | None:
    """The id that `text` spells in digits."""
    if not (text.isascii() and text.isdigit()):
        return None
    if int(text) > _ID_MAX:
        raise InvalidArgument(f"invalid owner: {text}", why=f"ids go up to {_ID_MAX}")
    return int(text)


def _named(image: Files, path: bytes, name: str, kind: str, fields: tuple[int, int]) -> tuple[int, int]:
    for parts in _records(image, path):
        if parts[0] == name and len(parts) > max(fields) and all(parts[field].isdigit() for field in fields):
            return int(parts[fields[0]]), int(parts[fields[1]])
    raise InvalidArgument(
        f"unable to convert uid/gid chown string to host mapping: can't find {'uid' if kind == 'user' else 'gid'} "
        f"for {kind} {name}: no such {kind}: {name}",
        fix=f"make the {kind} in a RUN before, or give a number",
    )


def _records(image: Files, path: bytes) -> Iterator[list[str]]:
    resolved = resolve(image, path)
    entry = image.find(resolved)
    if entry is None or not entry.is_file:
        return
    for line in image.head(resolved, _READ_MAX).decode(errors="replace").splitlines():
        yield line.strip().split(":")
