"""The wire types against the published description of the API: the names of the fields, to the letter."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from shoal.api import container, event, exec, host_config, image, network, system, volume

# Fields that shoal has beyond the description: older clients read them.
BEYOND = {
    "Commit": {"Expected"},  # shown up to API 1.48
    "SystemInfo": {"KernelMemory", "BridgeNfIptables", "BridgeNfIp6tables"},  # shown to older clients
    "Resources": {"KernelMemory"},  # taken from older clients
    "HostConfig": {"KernelMemory"},
    "ContainerState": {"Ended"},  # shoal's own: what ended the container
    "EventMessage": {"status", "id", "from"},
    "ImageInspect": {"VirtualSize"},
    "ImageSummary": {"VirtualSize"},
}
# Fields of the description that shoal leaves out: Windows, swarm, CDI, containerd and what only other engines have.
WITHOUT = {
    "Network": {"Peers"},
    "OCIDescriptor": {"data"},
    "SwarmInfo": {"Nodes", "Managers", "Cluster"},
    "SystemInfo": {"ProductLicense", "DiscoveredDevices", "Containerd"},
    "Volume": {"Status", "ClusterVolume"},
}
TYPES: dict[str, type[msgspec.Struct]] = {
    "HostConfig": host_config.HostConfig,
    "Resources": host_config.Resources,
    "Mount": host_config.Mount,
    "MountPoint": container.MountPoint,
    "DeviceMapping": host_config.DeviceMapping,
    "DeviceRequest": host_config.DeviceRequest,
    "ThrottleDevice": host_config.ThrottleDevice,
    "RestartPolicy": host_config.RestartPolicy,
    "PortBinding": host_config.PortBinding,
    "ContainerConfig": container.ContainerConfig,
    "HealthConfig": container.HealthConfig,
    "Health": container.Health,
    "HealthcheckResult": container.HealthcheckResult,
    "ContainerState": container.ContainerState,
    "ContainerInspectResponse": container.ContainerInspect,
    "ContainerSummary": container.ContainerSummary,
    "ContainerCreateResponse": container.ContainerCreateResponse,
    "ContainerWaitResponse": container.WaitResponse,
    "Port": container.Port,
    "NetworkingConfig": network.NetworkingConfig,
    "NetworkSettings": network.NetworkSettings,
    "EndpointSettings": network.EndpointSettings,
    "EndpointIPAMConfig": network.EndpointIPAMConfig,
    "Network": network.NetworkResource,
    "IPAM": network.IPAM,
    "IPAMConfig": network.IPAMPool,
    "NetworkContainer": network.NetworkContainer,
    "ImageConfig": image.ImageConfig,
    "ImageInspect": image.ImageInspect,
    "ImageSummary": image.ImageSummary,
    "ImageHistoryResponseItem": image.HistoryItem,
    "ImageDeleteResponseItem": image.ImageDeleteItem,
    "DriverData": image.DriverData,
    "OCIDescriptor": image.OCIDescriptor,
    "OCIPlatform": image.OCIPlatform,
    "ProcessConfig": exec.ExecProcessConfig,
    "IDResponse": exec.IDResponse,
    "EventMessage": event.EventMessage,
    "EventActor": event.EventActor,
    "SystemInfo": system.SystemInfo,
    "SystemVersion": system.SystemVersion,
    "PluginsInfo": system.PluginsInfo,
    "RegistryServiceConfig": system.RegistryServiceConfig,
    "IndexInfo": system.IndexInfo,
    "Runtime": system.Runtime,
    "Commit": system.Commit,
    "SwarmInfo": system.SwarmInfo,
    "Volume": volume.Volume,
    "VolumeListResponse": volume.VolumeListResponse,
}
INLINE: dict[tuple[str, ...], type[msgspec.Struct]] = {
    ("/containers/{id}/exec", "post", "parameters", "execConfig"): exec.ExecConfig,
    ("/exec/{id}/start", "post", "parameters", "execStartConfig"): exec.ExecStartConfig,
    ("/exec/{id}/json", "get", "responses", "200"): exec.ExecInspect,
    ("/system/df", "get", "responses", "200"): system.DiskUsage,
}


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    """The Docker API's description, where this machine has it."""
    default = Path(__file__).parents[4] / "shared" / "reference"
    path = Path(os.environ.get("SHOAL_REFERENCE", default)) / "docker-api-v1.50.yaml"
    if not path.exists():
        pytest.skip(f"no description of the Docker API at {path}; set SHOAL_REFERENCE to the directory that has it")
    loaded = yaml.load(path.read_text(), yaml.CSafeLoader)
    assert isinstance(loaded, dict)
    return loaded


def published_fields(definitions: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    """The names of a schema's properties, those that it includes from others too."""
    names = set(schema.get("properties", {}))
    for part in schema.get("allOf", ()):
        names |= published_fields(definitions, part)
    if "$ref" in schema:
        names |= published_fields(definitions, definitions[schema["$ref"].rpartition("/")[2]])
    return names


def own_fields(kind: type[msgspec.Struct]) -> set[str]:
    """The names of a type's fields on the wire."""
    return {field.encode_name for field in msgspec.structs.fields(kind)}


@pytest.mark.parametrize("name", TYPES)
def test_wire_type_has_the_published_fields(name: str, description: dict[str, Any]) -> None:
    """No field is missing, none is misspelt, and every deviation is on the lists above."""
    definitions = description["definitions"]
    expected = published_fields(definitions, definitions[name]) - WITHOUT.get(name, set()) | BEYOND.get(name, set())
    assert own_fields(TYPES[name]) == expected


@pytest.mark.parametrize("place", INLINE, ids=lambda place: place[0])
def test_wire_type_of_an_operation_has_the_published_fields(
    place: tuple[str, ...], description: dict[str, Any]
) -> None:
    """The same for types that the description has only inside an operation."""
    path, method, side, name = place
    operation = description["paths"][path][method]
    if side == "parameters":
        schema = next(item["schema"] for item in operation["parameters"] if item["name"] == name)
    else:
        schema = next(value for key, value in operation["responses"].items() if str(key) == name)["schema"]
    beyond = {"Detach"} if path == "/containers/{id}/exec" else set()
    assert own_fields(INLINE[place]) - {"BuilderSize"} == published_fields(description["definitions"], schema) | beyond
