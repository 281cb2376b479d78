"""Flags that name devices, as the API's lists: `--device`, `--gpus`, weights and rates of disks. Pure."""

from __future__ import annotations

from shoal.cli.container.values import comma_separated
from shoal.cli.quantities import size_bytes
from shoal.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.client.document import Json

_WEIGHTS = range(10, 1001)
_ALL = -1


def device(text: str) -> Json:
    """The API's DeviceMapping for `/dev/x[:/dev/y][:rwm]`. Raises: InvalidArgument."""
    parts = text.split(":")
    if len(parts) > 3 or not parts[0]:
        raise InvalidArgument(f"invalid device specification: {text}")
    source, inside, permissions = parts[0], parts[0], "rwm"
    if len(parts) > 1 and _is_mode(parts[1]):
        permissions = parts[1]
    elif len(parts) > 1 and parts[1]:
        inside = parts[1]
    if len(parts) == 3:
        permissions = parts[2]
    if not _is_mode(permissions):
        raise InvalidArgument(f"bad mode specified: {permissions}", fix="use letters of rwm")
    return {"PathOnHost": source, "PathInContainer": inside, "CgroupPermissions": permissions}


def _is_mode(text: str) -> bool:
    """Whether it is letters of rwm, none twice."""
    return bool(text) and set(text) <= set("rwm") and len(set(text)) == len(text)


def weight_device(text: str) -> Json:
    """The API's WeightDevice for `/dev/sda:200`. Raises: InvalidArgument in Docker's words."""
    path, weight = _of_disk(text)
    if not weight.isdecimal() or (int(weight) and int(weight) not in _WEIGHTS):
        raise InvalidArgument(f"invalid weight for device: {text}", fix="give a weight from 10 to 1000")
    return {"Path": path, "Weight": int(weight)}


def byte_rate(text: str) -> Json:
    """The API's ThrottleDevice for `/dev/sda:1mb`. Raises: InvalidArgument in Docker's words."""
    path, rate = _of_disk(text)
    try:
        return {"Path": path, "Rate": size_bytes(rate)}
    except InvalidArgument:
        raise InvalidArgument(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. "
            "Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        ) from None


def operation_rate(text: str) -> Json:
    """The API's ThrottleDevice for `/dev/sda:100`. Raises: InvalidArgument in Docker's words."""
    path, rate = _of_disk(text)
    if not rate.isdecimal():
        raise InvalidArgument(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>. "
            "Number must be a positive integer"
        )
    return {"Path": path, "Rate": int(rate)}


def _of_disk(text: str) -> tuple[str, str]:
    path, _, value = text.partition(":")
    if not path or not value:
        raise InvalidArgument(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise InvalidArgument(f"bad format for device path: {text}")
    return path, value


def gpus(text: str) -> Json:
    """The API's list of DeviceRequests for `--gpus all`, `2`, `"device=0,1"`, `count=1,driver=…,capabilities=…`.

    Raises: InvalidArgument in Docker's words.
    """
    request: dict[str, Json] = {}
    for field in comma_separated(text):
        key, equals, value = field.partition("=")
        if not equals:
            key, value = "count", field
        name = _GPU_KEYS.get(key)
        if name is None:
            raise InvalidArgument(f"unexpected key '{key}' in '{field}'")
        if name in request:
            raise InvalidArgument(f"gpu request key '{key}' can be specified only once")
        request[name] = _gpu_value(key, value)
    if "Count" not in request and "DeviceIDs" not in request:
        request["Count"] = 1
    request.setdefault("Capabilities", [["gpu"]])
    return [request]


_GPU_KEYS = {
    "driver": "Driver",
    "count": "Count",
    "device": "DeviceIDs",
    "capabilities": "Capabilities",
    "options": "Options",
}


def _gpu_value(key: str, value: str) -> Json:
    if key == "count":
        if value != "all" and not value.lstrip("+-").isdecimal():
            raise InvalidArgument(f'invalid count ({value}): value must be either "all" or an integer: invalid syntax')
        return _ALL if value == "all" else int(value)
    if key == "device":
        return list(value.split(","))
    if key == "capabilities":
        return [[*value.split(","), "gpu"]]
    if key == "options":
        return {name: text for name, _, text in (item.partition("=") for item in value.split(","))}
    return value
