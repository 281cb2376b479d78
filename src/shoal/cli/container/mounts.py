"""`--mount type=bind,source=…,target=…` as the API's Mount. Pure."""

from __future__ import annotations

import os

from shoal.cli.container.values import comma_separated
from shoal.cli.quantities import size_bytes
from shoal.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.client.document import Json

_NAMES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_SWITCHES = ("readonly", "bind-nonrecursive", "volume-nocopy")
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
_OPTIONS = {"volume": "VolumeOptions", "image": "ImageOptions", "bind": "BindOptions", "tmpfs": "TmpfsOptions"}


def parse_mount(text: str) -> Json:
    """The API's Mount. Raises: InvalidArgument in Docker's words."""
    mount: dict[str, Json] = {"Type": "volume"}
    for field in comma_separated(text):
        key, equals, value = field.partition("=")
        name = _NAMES.get(key.lower(), key.lower())
        if not equals and name not in _SWITCHES:
            raise InvalidArgument(f"invalid field '{field}' must be a key=value pair")
        _set(mount, name, value if equals else "true", field)
    _check(mount)
    return mount


def _set(mount: dict[str, Json], name: str, value: str, field: str) -> None:
    if name == "type":
        mount["Type"] = value.lower()
    elif name == "source":
        mount["Source"] = os.path.abspath(value) if value == "." or value.startswith("./") else value
    elif name in ("target", "consistency"):
        mount[name.capitalize()] = value
    elif name == "readonly":
        mount["ReadOnly"] = _boolean(name, value)
    elif name.startswith("bind-"):
        _set_bind(_options(mount, "BindOptions"), name, value, field)
    elif name.startswith("volume-"):
        _set_volume(_options(mount, "VolumeOptions"), name, value, field)
    elif name == "image-subpath":
        _options(mount, "ImageOptions")["Subpath"] = value
    elif name == "tmpfs-size":
        try:
            _options(mount, "TmpfsOptions")["SizeBytes"] = size_bytes(value)
        except InvalidArgument:
            raise InvalidArgument(f"invalid value for {name}: {value}") from None
    elif name == "tmpfs-mode":
        try:
            _options(mount, "TmpfsOptions")["Mode"] = int(value, 8)
        except ValueError:
            raise InvalidArgument(f"invalid value for {name}: {value}") from None
    else:
        raise InvalidArgument(f"unexpected key '{name}' in '{field}'")


def _set_bind(options: dict[str, Json], name: str, value: str, field: str) -> None:
    if name == "bind-propagation":
        options["Propagation"] = value.lower()
    elif name == "bind-nonrecursive":
        options["NonRecursive"] = _boolean(name, value)
    elif name == "bind-create-src":
        options["CreateMountpoint"] = _boolean(name, value)
    elif name == "bind-recursive":
        meaning = {"disabled": "NonRecursive", "writable": "ReadOnlyNonRecursive", "readonly": "ReadOnlyForceRecursive"}
        if value in meaning:
            options[meaning[value]] = True
        elif value != "enabled":
            raise InvalidArgument(
                f'invalid value for {name}: {value} (must be "enabled", "disabled", "writable", or "readonly")'
            )
    else:
        raise InvalidArgument(f"unexpected key '{name}' in '{field}'")


def _set_volume(options: dict[str, Json], name: str, value: str, field: str) -> None:
    key, _, text = value.partition("=")
    if name == "volume-nocopy":
        options["NoCopy"] = _boolean(name, value)
    elif name == "volume-subpath":
        options["Subpath"] = value
    elif name == "volume-label":
        _options(options, "Labels")[key] = text
    elif name == "volume-driver":
        _options(options, "DriverConfig")["Name"] = value
    elif name == "volume-opt":
        _options(_options(options, "DriverConfig"), "Options")[key] = text
    else:
        raise InvalidArgument(f"unexpected key '{name}' in '{field}'")


def _check(mount: dict[str, Json]) -> None:
    """Raises: InvalidArgument for options of another type, and for those that need each other."""
    kind = mount["Type"]
    if not kind:
        raise InvalidArgument("type is required")
    for other, name in _OPTIONS.items():
        if name in mount and kind != other:
            raise InvalidArgument(f"cannot mix '{other}-*' options with mount type '{kind}'")
    bind = mount.get("BindOptions")
    if isinstance(bind, dict):
        for option, word in (("ReadOnlyNonRecursive", "writable"), ("ReadOnlyForceRecursive", "readonly")):
            if option in bind and not mount.get("ReadOnly"):
                raise InvalidArgument(
                    f"option 'bind-recursive={word}' requires 'readonly' to be specified in conjunction"
                )
        if "ReadOnlyForceRecursive" in bind and bind.get("Propagation") != "rprivate":
            raise InvalidArgument(
                "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
            )
    if not mount.get("Target"):
        raise InvalidArgument("target is required")


def _options(mount: dict[str, Json], name: str) -> dict[str, Json]:
    options = mount.setdefault(name, {})
    assert isinstance(options, dict)
    return options


def _boolean(name: str, value: str) -> bool:
    if value not in (*_TRUE, *_FALSE):
        raise InvalidArgument(f"invalid value for {name}: {value}")
    return value in _TRUE
