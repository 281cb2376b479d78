"""`RUN --mount=`: its words read into mounts. Docker's Dockerfile reference §RUN --mount.

Pure. A word is `type=cache,target=/root/.cache,sharing=locked`, with commas and quotes as in a line of CSV. All values
but `from` may hold variables, so a mount is read twice: by the parser, for what it can tell without them, and by
`mounts_of` with an environment.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from shoal.api.booleans import read_boolean
from shoal.build.dockerfile.instructions import Run
from shoal.build.dockerfile.problems import did_you_mean
from shoal.errors import InvalidArgument

MountType = Literal["bind", "cache", "tmpfs", "secret", "ssh"]
Sharing = Literal["shared", "private", "locked"]

_TYPES = get_args(MountType)
_SHARINGS = get_args(Sharing)
_KEYS = (
    *("type", "from", "source", "src", "target", "dst", "destination", "readonly", "ro", "readwrite", "rw"),
    *("required", "size", "id", "sharing", "mode", "uid", "gid", "env"),
)
_SHORT = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite"}
# Which types a key is for, where not for all.
_FOR_TYPES = {
    "size": ("tmpfs",),
    "sharing": ("cache",),
    "from": ("bind", "cache"),
    "env": ("secret",),
    "required": ("secret", "ssh"),
    "mode": ("cache", "secret", "ssh"),
    "uid": ("cache", "secret", "ssh"),
    "gid": ("cache", "secret", "ssh"),
}
_SECRETS_DIRECTORY = "/run/secrets/"
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?) ?([kmgtp]?)(?:i?b)?\Z", re.IGNORECASE | re.ASCII)

Expand = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount of a RUN, with everything that has a default filled in, but for who owns it (None: root, or no matter).

    `target` is "" for a secret that is an environment variable only; `mode` is None where the type has no say in it.
    """

    type: MountType = "bind"
    target: str = ""
    source: str = ""
    from_name: str = ""
    readonly: bool = False
    required: bool = False
    sharing: Sharing = "shared"
    id: str = ""
    size_bytes: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str = ""


def mounts_of(run: Run, expand: Expand) -> tuple[Mount, ...]:
    """The mounts of a RUN in an environment, in their order.

    Raises: InvalidArgument, in Docker's sentences.
    """
    return tuple(parse_mount(word, expand) for word in run.mounts)


def mount_from(word: str) -> str:
    """The stage or image that the mount reads, as far as its word tells without variables; "" for none.

    Raises: InvalidArgument, for keys that there are not, and a `from` with a variable.
    """
    return parse_mount(word, None).from_name


def parse_mount(word: str, expand: Expand | None) -> Mount:
    """The mount that `word` asks for. Without `expand`, values with variables are passed over.

    Raises: InvalidArgument.
    """
    draft = _Draft()
    for part in _parts(word):
        key, equals, value = part.partition("=")
        key = _SHORT.get(key.lower(), key.lower())
        if key not in _KEYS:
            raise InvalidArgument(f"unexpected key '{key}' in '{part}'", fix=did_you_mean(key, _KEYS))
        if not equals and key not in ("readonly", "readwrite", "required"):
            raise InvalidArgument(f"invalid field '{part}' must be a key=value pair")
        if key == "from" and re.search(r"\$.", value):
            raise InvalidArgument(f"'{value}' doesn't support variable expansion, define alias stage instead")
        draft.given.append(key)
        if expand is not None:
            draft.set(key, expand(value) if equals else "true", part)
        elif "$" in value:
            draft.is_whole = False
        else:
            draft.set(key, value if equals else "true", part)
    return draft.finished()


def _parts(word: str) -> list[str]:
    try:
        (parts,) = csv.reader([word], strict=True)
    except (csv.Error, ValueError) as problem:
        raise InvalidArgument("failed to parse csv mounts", why=str(problem)) from None
    return parts


@dataclass
class _Draft:
    """A mount in the making; `is_whole` is false where a value could not be read yet."""

    mount: Mount = field(default_factory=Mount)
    given: list[str] = field(default_factory=list)
    is_whole: bool = True

    def set(self, key: str, value: str, part: str) -> None:
        changes: dict[str, object]
        if key == "type":
            changes = {"type": _choice(value, _TYPES, f'unsupported mount type "{value}"')}
        elif key in ("readonly", "readwrite"):
            changes = {"readonly": _boolean(key, value) == (key == "readonly")}
        elif key == "required":
            changes = {"required": _boolean(key, value)}
        elif key == "size":
            changes = {"size_bytes": _size(value)}
        elif key == "sharing":
            changes = {"sharing": _choice(value.lower(), _SHARINGS, f'unsupported sharing value "{value}"')}
        elif key in ("uid", "gid"):
            changes = {key: _number(key, value, 10)}
        elif key == "mode":
            changes = {"mode": _number(key, value, 8)}
        elif key == "from":
            changes = {"from_name": value}
        elif key == "target" and not value:
            raise InvalidArgument(f"invalid field '{part}'", why="a target can't be empty")
        else:
            changes = {key: value}
        self.mount = replace(self.mount, **changes)  # type: ignore[arg-type]  # each value is read for its key above

    def finished(self) -> Mount:
        mount = self.mount
        if not self.is_whole:
            return mount
        for key in self.given:
            if mount.type not in _FOR_TYPES.get(key, _TYPES):
                raise InvalidArgument(f"{key} is not allowed for {mount.type} mounts")
        if mount.type == "secret":
            return _secret(mount)
        if mount.type == "ssh":
            return replace(mount, id=mount.id or "default", mode=0o600 if mount.mode is None else mount.mode)
        if not mount.target:
            raise InvalidArgument(f"{mount.type} mount requires a target", fix="add `target=/path`")
        if mount.type == "cache":
            return _cache(mount)
        if mount.type == "bind":
            is_told = "readonly" in self.given or "readwrite" in self.given
            return replace(mount, source=mount.source or "/", readonly=mount.readonly or not is_told)
        return mount


def _secret(mount: Mount) -> Mount:
    if not mount.id and not mount.source and not mount.target:
        raise InvalidArgument("invalid secret mount. one of source, target required", fix="add `id=NAME`")
    name = mount.id or mount.source or mount.target.rpartition("/")[2]
    target = mount.target or ("" if mount.env else _SECRETS_DIRECTORY + name.rpartition("/")[2])
    return replace(mount, id=name, source="", target=target, mode=0o400 if mount.mode is None else mount.mode)


def _cache(mount: Mount) -> Mount:
    return replace(mount, id=mount.id or mount.target, mode=0o755 if mount.mode is None else mount.mode)


def _choice(value: str, known: tuple[str, ...], sentence: str) -> str:
    if value not in known:
        raise InvalidArgument(sentence, fix=did_you_mean(value, known) or f"one of {', '.join(known)}")
    return value


def _boolean(key: str, value: str) -> bool:
    truth = read_boolean(value)
    if truth is None:
        raise InvalidArgument(f"invalid value for {key}: {value}", fix="one of true, false")
    return truth


def _number(key: str, value: str, base: int) -> int:
    try:
        number = int(value, base) if value.isascii() and value.isalnum() else -1
    except ValueError:
        number = -1
    if not 0 <= number < 2**32 - 1:
        raise InvalidArgument(f"invalid value {value} for {key}")
    return number


def _size(value: str) -> int:
    match = _SIZE.match(value)
    if match is None:
        raise InvalidArgument(f"invalid value for size: {value}", why=f"invalid size: '{value}'")
    return int(float(match[1]) * 1024 ** _UNITS[match[2].lower()])
