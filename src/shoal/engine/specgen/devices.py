"""The device nodes of a container and what its cgroup allows of devices. Pure but for the `DeviceSource`.

Source: Docker API v1.50 HostConfig.Devices, DeviceCgroupRules; OCI runtime-spec §Default Devices.
"""

from __future__ import annotations

import os
import re

from shoal.api.host_config import DeviceMapping, HostConfig
from shoal.engine.specgen.facts import DeviceSource, HostDevice
from shoal.errors import InvalidArgument
from shoal.oci.runtime_spec import Device, DeviceCgroup

_RULE = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})")

# Any node may be made (mknod); used are only the harmless ones and the terminals.
DEFAULT_RULES = (
    DeviceCgroup(allow=False, access="rwm"),
    DeviceCgroup(allow=True, type="c", access="m"),
    DeviceCgroup(allow=True, type="b", access="m"),
    *(
        DeviceCgroup(allow=True, type="c", major=major, minor=minor, access="rwm")
        # null, zero, full, random, urandom, tty, console, ptmx, and every pts
        for major, minor in ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, None))
    ),
)
_EVERYTHING = (DeviceCgroup(allow=True, access="rwm"),)


def container_devices(host: HostConfig, source: DeviceSource) -> tuple[tuple[Device, ...], tuple[DeviceCgroup, ...]]:
    """The additional nodes, and the device rules in order.

    A privileged container gets every device of the host under its own name, and no rule but "all".

    Raises: InvalidArgument in Docker's words for a device that is not there, a bad rule, or bad permissions.
    """
    mapped = [pair for mapping in host.devices for pair in _mapped(mapping, source)]
    if host.privileged:
        nodes = {device.path: _node(device, device.path) for device in source.all()}
        nodes.update((node.path, node) for node, _ in mapped)
        return tuple(nodes.values()), _EVERYTHING
    rules = (*DEFAULT_RULES, *(rule for _, rule in mapped), *(parse_rule(text) for text in host.device_cgroup_rules))
    return tuple(node for node, _ in mapped), rules


def parse_rule(text: str) -> DeviceCgroup:
    """The rule that `--device-cgroup-rule 'c 1:3 rwm'` means. Raises: InvalidArgument."""
    match = _RULE.fullmatch(text)
    if match is None:
        raise InvalidArgument(f"invalid device cgroup rule format: '{text}'")
    kind, major, minor, access = match.groups()
    return DeviceCgroup(
        allow=True,
        type=kind,
        major=None if major == "*" else int(major),
        minor=None if minor == "*" else int(minor),
        access=access,
    )


def _mapped(mapping: DeviceMapping, source: DeviceSource) -> list[tuple[Device, DeviceCgroup]]:
    path = mapping.path_on_host
    inside = mapping.path_in_container or path
    access = mapping.cgroup_permissions or "rwm"
    if set(access) - set("rwm") or len(set(access)) != len(access):
        raise InvalidArgument(f"invalid device mode: {access}", fix="use letters of rwm")
    message = f'error gathering device information while adding custom device "{path}"'
    try:
        found = source.lookup(path)
    except OSError as error:
        raise InvalidArgument(message, why=os.strerror(error.errno or 0).lower()) from None
    if not found:
        raise InvalidArgument(message, why="not a device node")
    pairs = []
    for device in found:
        # Of a directory, what lies below keeps its place below the name inside.
        target = inside + device.path.removeprefix(path) if device.path.startswith(path) else inside
        rule = DeviceCgroup(allow=True, type=device.kind, major=device.major, minor=device.minor, access=access)
        pairs.append((_node(device, target), rule))
    return pairs


def _node(device: HostDevice, path: str) -> Device:
    return Device(
        type=device.kind,
        path=path,
        major=device.major,
        minor=device.minor,
        file_mode=device.mode & 0o777,
        uid=device.uid,
        gid=device.gid,
    )
