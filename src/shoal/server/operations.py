"""Every operation of the Docker API v1.50, and who answers it. A data table.

    SERVED    a handler in `handlers/`
    LATER     501: this version of shoal does not serve it yet; `words` say what it is to a user
    SWARM     503 in Docker's words: shoal is never part of a swarm; `words` are the sentence, where it is a special one
    PLUGIN    404 in Docker's words: shoal has no plugins, so none has that name

Source: Docker API v1.50, `paths`; a test holds the table against the published description.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from shoal.api.version import MINIMUM, ApiVersion


class Answer(Enum):
    """Who answers an operation."""

    SERVED = "served"
    LATER = "later"
    SWARM = "swarm"
    PLUGIN = "plugin"


SERVED, LATER, SWARM, PLUGIN = Answer.SERVED, Answer.LATER, Answer.SWARM, Answer.PLUGIN


class Operation(NamedTuple):
    """One operation: `words` continue "shoal does not serve … yet", or are the whole sentence of a 503."""

    method: str
    path: str
    id: str
    answer: Answer = SERVED
    words: str = ""
    since: ApiVersion = MINIMUM


_1_25, _1_30, _1_31, _1_42 = (ApiVersion(1, minor) for minor in (25, 30, 31, 42))

NO_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)
NO_MEMBER = "This node is not part of a swarm"
NO_CLUSTER_VOLUMES = "volume update only valid for cluster volumes, but swarm is unavailable"

OPERATIONS: tuple[Operation, ...] = (
    Operation("GET", "/containers/json", "ContainerList"),
    Operation("POST", "/containers/create", "ContainerCreate"),
    Operation("GET", "/containers/{id}/json", "ContainerInspect"),
    Operation("GET", "/containers/{id}/top", "ContainerTop"),
    Operation("GET", "/containers/{id}/logs", "ContainerLogs"),
    Operation("GET", "/containers/{id}/changes", "ContainerChanges"),
    Operation("GET", "/containers/{id}/export", "ContainerExport"),
    Operation("GET", "/containers/{id}/stats", "ContainerStats"),
    Operation("POST", "/containers/{id}/resize", "ContainerResize"),
    Operation("POST", "/containers/{id}/start", "ContainerStart"),
    Operation("POST", "/containers/{id}/stop", "ContainerStop"),
    Operation("POST", "/containers/{id}/restart", "ContainerRestart"),
    Operation("POST", "/containers/{id}/kill", "ContainerKill"),
    Operation("POST", "/containers/{id}/update", "ContainerUpdate"),
    Operation("POST", "/containers/{id}/rename", "ContainerRename"),
    Operation("POST", "/containers/{id}/pause", "ContainerPause"),
    Operation("POST", "/containers/{id}/unpause", "ContainerUnpause"),
    Operation("POST", "/containers/{id}/attach", "ContainerAttach"),
    Operation("GET", "/containers/{id}/attach/ws", "ContainerAttachWebsocket"),
    Operation("POST", "/containers/{id}/wait", "ContainerWait"),
    Operation("DELETE", "/containers/{id}", "ContainerDelete"),
    Operation("HEAD", "/containers/{id}/archive", "ContainerArchiveInfo"),
    Operation("GET", "/containers/{id}/archive", "ContainerArchive"),
    Operation("PUT", "/containers/{id}/archive", "PutContainerArchive"),
    Operation("POST", "/containers/prune", "ContainerPrune", since=_1_25),
    Operation("GET", "/images/json", "ImageList"),
    Operation("POST", "/build", "ImageBuild"),
    Operation("POST", "/build/prune", "BuildPrune", since=_1_31),
    Operation("POST", "/images/create", "ImageCreate"),
    Operation("GET", "/images/{name}/json", "ImageInspect"),
    Operation("GET", "/images/{name}/history", "ImageHistory"),
    Operation("POST", "/images/{name}/push", "ImagePush"),
    Operation("POST", "/images/{name}/tag", "ImageTag"),
    Operation("DELETE", "/images/{name}", "ImageDelete"),
    Operation("GET", "/images/search", "ImageSearch", LATER, "the search of a registry"),
    Operation("POST", "/images/prune", "ImagePrune", since=_1_25),
    Operation("POST", "/auth", "SystemAuth"),
    Operation("GET", "/info", "SystemInfo"),
    Operation("GET", "/version", "SystemVersion"),
    Operation("GET", "/_ping", "SystemPing"),
    Operation("HEAD", "/_ping", "SystemPingHead"),
    Operation("POST", "/commit", "ImageCommit"),
    Operation("GET", "/events", "SystemEvents"),
    Operation("GET", "/system/df", "SystemDataUsage", since=_1_25),
    Operation("GET", "/images/{name}/get", "ImageGet"),
    Operation("GET", "/images/get", "ImageGetAll"),
    Operation("POST", "/images/load", "ImageLoad"),
    Operation("POST", "/containers/{id}/exec", "ContainerExec"),
    Operation("POST", "/exec/{id}/start", "ExecStart"),
    Operation("POST", "/exec/{id}/resize", "ExecResize"),
    Operation("GET", "/exec/{id}/json", "ExecInspect"),
    Operation("GET", "/volumes", "VolumeList"),
    Operation("POST", "/volumes/create", "VolumeCreate"),
    Operation("GET", "/volumes/{name}", "VolumeInspect"),
    Operation("PUT", "/volumes/{name}", "VolumeUpdate", SWARM, NO_CLUSTER_VOLUMES, _1_42),
    Operation("DELETE", "/volumes/{name}", "VolumeDelete"),
    Operation("POST", "/volumes/prune", "VolumePrune", since=_1_25),
    Operation("GET", "/networks", "NetworkList"),
    Operation("GET", "/networks/{id}", "NetworkInspect"),
    Operation("DELETE", "/networks/{id}", "NetworkDelete"),
    Operation("POST", "/networks/create", "NetworkCreate"),
    Operation("POST", "/networks/{id}/connect", "NetworkConnect"),
    Operation("POST", "/networks/{id}/disconnect", "NetworkDisconnect"),
    Operation("POST", "/networks/prune", "NetworkPrune", since=_1_25),
    Operation("GET", "/plugins", "PluginList"),
    Operation("GET", "/plugins/privileges", "GetPluginPrivileges", LATER, "plugins"),
    Operation("POST", "/plugins/pull", "PluginPull", LATER, "plugins"),
    Operation("GET", "/plugins/{name}/json", "PluginInspect", PLUGIN),
    Operation("DELETE", "/plugins/{name}", "PluginDelete", PLUGIN),
    Operation("POST", "/plugins/{name}/enable", "PluginEnable", PLUGIN),
    Operation("POST", "/plugins/{name}/disable", "PluginDisable", PLUGIN),
    Operation("POST", "/plugins/{name}/upgrade", "PluginUpgrade", PLUGIN),
    Operation("POST", "/plugins/create", "PluginCreate", LATER, "plugins"),
    Operation("POST", "/plugins/{name}/push", "PluginPush", PLUGIN),
    Operation("POST", "/plugins/{name}/set", "PluginSet", PLUGIN),
    Operation("GET", "/nodes", "NodeList", SWARM),
    Operation("GET", "/nodes/{id}", "NodeInspect", SWARM),
    Operation("DELETE", "/nodes/{id}", "NodeDelete", SWARM),
    Operation("POST", "/nodes/{id}/update", "NodeUpdate", SWARM),
    Operation("GET", "/swarm", "SwarmInspect", SWARM),
    Operation("POST", "/swarm/init", "SwarmInit", LATER, "swarms"),
    Operation("POST", "/swarm/join", "SwarmJoin", LATER, "swarms"),
    Operation("POST", "/swarm/leave", "SwarmLeave", SWARM, NO_MEMBER),
    Operation("POST", "/swarm/update", "SwarmUpdate", SWARM),
    Operation("GET", "/swarm/unlockkey", "SwarmUnlockkey", SWARM),
    Operation("POST", "/swarm/unlock", "SwarmUnlock", SWARM),
    Operation("GET", "/services", "ServiceList", SWARM),
    Operation("POST", "/services/create", "ServiceCreate", SWARM),
    Operation("GET", "/services/{id}", "ServiceInspect", SWARM),
    Operation("DELETE", "/services/{id}", "ServiceDelete", SWARM),
    Operation("POST", "/services/{id}/update", "ServiceUpdate", SWARM),
    Operation("GET", "/services/{id}/logs", "ServiceLogs", SWARM),
    Operation("GET", "/tasks", "TaskList", SWARM),
    Operation("GET", "/tasks/{id}", "TaskInspect", SWARM),
    Operation("GET", "/tasks/{id}/logs", "TaskLogs", SWARM),
    Operation("GET", "/secrets", "SecretList", SWARM, since=_1_25),
    Operation("POST", "/secrets/create", "SecretCreate", SWARM, since=_1_25),
    Operation("GET", "/secrets/{id}", "SecretInspect", SWARM, since=_1_25),
    Operation("DELETE", "/secrets/{id}", "SecretDelete", SWARM, since=_1_25),
    Operation("POST", "/secrets/{id}/update", "SecretUpdate", SWARM, since=_1_25),
    Operation("GET", "/configs", "ConfigList", SWARM, since=_1_30),
    Operation("POST", "/configs/create", "ConfigCreate", SWARM, since=_1_30),
    Operation("GET", "/configs/{id}", "ConfigInspect", SWARM, since=_1_30),
    Operation("DELETE", "/configs/{id}", "ConfigDelete", SWARM, since=_1_30),
    Operation("POST", "/configs/{id}/update", "ConfigUpdate", SWARM, since=_1_30),
    Operation("GET", "/distribution/{name}/json", "DistributionInspect"),
    Operation("POST", "/session", "Session", LATER, "BuildKit sessions", _1_31),
)

# Not in the published description: what clients call all the same, and what shoal adds.
UNPUBLISHED: tuple[Operation, ...] = (
    Operation("POST", "/build/cancel", "BuildCancel", since=_1_31),
    Operation("POST", "/build/cache", "ShoalBuildCacheSend"),
    Operation("GET", "/build/cache", "ShoalBuildCache"),
    Operation("POST", "/build/state", "ShoalBuildState"),
    Operation("POST", "/grpc", "Grpc", LATER, "BuildKit sessions", _1_31),
    Operation("GET", "/build/context", "ShoalBuildContext"),
    Operation("GET", "/vm", "ShoalVmStatus"),
    Operation("POST", "/containers/{id}/move", "ShoalContainerMove"),
    Operation("POST", "/vm/setup", "ShoalVmSetup"),
    Operation("GET", "/containers/{id}/exits", "ShoalContainerExits"),
    Operation("GET", "/containers/{id}/why/dns", "ShoalContainerWhyDns"),
    Operation("POST", "/containers/{id}/ports", "ShoalContainerPorts"),
    Operation("GET", "/containers/{id}/why/port", "ShoalContainerWhyPort"),
    Operation("GET", "/system/df/users", "ShoalDiskUsers"),
    Operation("GET", "/images/{name}/tree", "ShoalImageTree"),
    Operation("GET", "/images/{name}/files", "ShoalImageFiles"),
    Operation("GET", "/images/{name}/diff", "ShoalImageDiff"),
    Operation("POST", "/system/fsck", "ShoalFsck"),
    Operation("GET", "/distribution/{name}/referrers", "ShoalReferrers"),
    Operation("GET", "/artifacts/json", "ShoalArtifactList"),
    Operation("GET", "/artifacts/{name}/get", "ShoalArtifactGet"),
    Operation("DELETE", "/artifacts/{name}", "ShoalArtifactDelete"),
)
