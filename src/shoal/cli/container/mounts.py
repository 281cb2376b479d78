"""`--mount type=bind,source=…,target=…` as the API's Mount. Pure."""

from __future__ import annotations

import os

from shoal.cli.quantities import size_bytes
from shoal.client.document import Json
from shoal.errors import InvalidArgument

_TYPES = ("bind", "volume", "tmpfs", "npipe", "cluster", "image")
_NAMES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_SWITCHES = ("readonly", "bind-nonrecursive", "volume-nocopy")


def parse_mount(text: str) -> Json:
    """The API's Mount. Raises: InvalidArgument in Docker's words."""
    mount: dict[str, Json] = {"Type": "volume"}
    for field in text.split(","):
        name, equals, value = field.partition("=")
        name = _NAMES.get(name.strip().lower(), name.strip().lower())
        if not equals and name not in _SWITCHES:
            raise InvalidArgument(f"invalid field '{field}' must be a key=value pair")
        _set(mount, name, value, given=bool(equals))
    if mount["Type"] not in _TYPES:
        raise InvalidArgument(f"invalid mount type '{mount['Type']}'", fix=f"write one of {', '.join(_TYPES)}")
    if not mount.get("Target"):
        raise InvalidArgument("target is required")
    if mount["Type"] == "bind" and isinstance(mount.get("Source"), str):
        mount["Source"] = os.path.abspath(str(mount["Source"]))
    if mount["Type"] == "tmpfs" and mount.get("Source"):
        raise InvalidArgument('invalid mount config for type "tmpfs": field Source must not be specified')
    return mount


def _set(mount: dict[str, Json], name: str, value: str, *, given: bool) -> None:
    if name in ("type", "source", "target", "consistency"):
        mount[name.capitalize()] = value.lower() if name == "type" else value
    elif name == "readonly":
        mount["ReadOnly"] = _boolean(name, value, given=given)
    elif name == "bind-propagation":
        _options(mount, "BindOptions")["Propagation"] = value.lower()
    elif name == "bind-nonrecursive":
        _options(mount, "BindOptions")["NonRecursive"] = _boolean(name, value, given=given)
    elif name == "bind-create-src":
        _options(mount, "BindOptions")["CreateMountpoint"] = _boolean(name, value, given=given)
    elif name == "bind-recursive":
        _set_recursive(mount, value)
    elif name == "tmpfs-size":
        _options(mount, "TmpfsOptions")["SizeBytes"] = size_bytes(value)
    elif name == "tmpfs-mode":
        try:
            _options(mount, "TmpfsOptions")["Mode"] = int(value, 8)
        except ValueError:
            raise InvalidArgument(f"invalid value for {name}: {value}") from None
    elif name == "volume-nocopy":
        _options(mount, "VolumeOptions")["NoCopy"] = _boolean(name, value, given=given)
    elif name == "volume-driver":
        _options(_options(mount, "VolumeOptions"), "DriverConfig")["Name"] = value
    elif name in ("volume-opt", "volume-label"):
        _set_volume_pair(_options(mount, "VolumeOptions"), name, value)
    elif name == "volume-subpath":
        _options(mount, "VolumeOptions")["Subpath"] = value
    else:
        raise InvalidArgument(f"unexpected key '{name}' in '{name}={value}'")


def _set_volume_pair(volume: dict[str, Json], name: str, value: str) -> None:
    """`volume-opt=NAME=VALUE` for the driver, `volume-label=NAME=VALUE` for the volume."""
    key, _, text = value.partition("=")
    if name == "volume-label":
        _options(volume, "Labels")[key] = text
    else:
        _options(_options(volume, "DriverConfig"), "Options")[key] = text


def _set_recursive(mount: dict[str, Json], value: str) -> None:
    options = _options(mount, "BindOptions")
    if value == "disabled":
        options["NonRecursive"] = True
    elif value == "writable":
        options["ReadOnlyNonRecursive"] = True
    elif value == "readonly":
        options["ReadOnlyForceRecursive"] = True
    elif value != "enabled":
        raise InvalidArgument(f"invalid value for bind-recursive: {value}")


def _options(mount: dict[str, Json], name: str) -> dict[str, Json]:
    options = mount.setdefault(name, {})
    assert isinstance(options, dict)
    return options


def _boolean(name: str, value: str, *, given: bool) -> bool:
    if not given or value.lower() in ("true", "1"):
        return True
    if value.lower() in ("false", "0"):
        return False
    raise InvalidArgument(f"invalid value for {name}: {value}")
