"""The life of a container: every verb with its parameters and statuses."""

from __future__ import annotations

import threading
from typing import Any

from wsproto.events import BytesMessage

from tests.conformance.operations.proofs import Api, proves
from tests.conformance.operations.test_container_lists import make, ready
from tests.engines.websocket import WebSocketClient

# One value for each field of the request; what inspect shows of it is the same, or as SHOWN says.
CONFIG: dict[str, Any] = {
    "Hostname": "host",
    "Domainname": "example.org",
    "User": "1000:1000",
    "AttachStdin": False,
    "AttachStdout": True,
    "AttachStderr": True,
    "ExposedPorts": {"80/tcp": {}},
    "Tty": False,
    "OpenStdin": True,
    "StdinOnce": True,
    "Env": ["A=b"],
    "Cmd": ["sleep", "1000"],
    "Healthcheck": {"Test": ["NONE"]},
    "Image": "busybox",
    "Volumes": {"/anonymous": {}},
    "WorkingDir": "/tmp",
    "Entrypoint": [],
    "Labels": {"a": "b"},
    "StopSignal": "SIGUSR1",
    "StopTimeout": 3,
}
HOST: dict[str, Any] = {
    "CpuShares": 512,
    "Memory": 64 << 20,
    "CgroupParent": "",
    "CpuPeriod": 100_000,
    "CpuQuota": 50_000,
    "CpusetCpus": "0",
    "CpusetMems": "0",
    "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/other", "CgroupPermissions": "rwm"}],
    "DeviceCgroupRules": ["c 1:3 rwm"],
    "MemoryReservation": 32 << 20,
    "MemorySwap": -1,
    "MemorySwappiness": 10,
    "KernelMemoryTCP": 0,
    "OomKillDisable": False,
    "Init": True,
    "PidsLimit": 50,
    "Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}],
    "Binds": ["named:/named", "/etc:/host:ro"],
    "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
    "NetworkMode": "bridge",
    "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "0"}]},
    "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2},
    "VolumeDriver": "local",
    "ConsoleSize": [10, 20],
    "Annotations": {"org.example": "1"},
    "CapAdd": ["NET_ADMIN"],
    "CapDrop": ["MKNOD"],
    "CgroupnsMode": "private",
    "Dns": ["192.0.2.1"],
    "DnsOptions": ["ndots:3"],
    "DnsSearch": ["example.org"],
    "ExtraHosts": ["elsewhere:192.0.2.2"],
    "GroupAdd": ["20"],
    "IpcMode": "private",
    "OomScoreAdj": 100,
    "Privileged": False,
    "PublishAllPorts": False,
    "ReadonlyRootfs": True,
    "SecurityOpt": ["no-new-privileges"],
    "Tmpfs": {"/scratch": "size=1m"},
    "UTSMode": "",
    "ShmSize": 1 << 20,
    "Sysctls": {"net.ipv4.ip_forward": "1"},
    "Isolation": "default",
    "MaskedPaths": ["/proc/kcore"],
    "ReadonlyPaths": ["/proc/sys"],
}
WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
SHOWN = {"Entrypoint": None, "Isolation": ""}


@proves(
    "ContainerCreate",
    " ".join(["name", *(f"body.{name}" for name in CONFIG), *(f"body.HostConfig.{name}" for name in HOST)]),
    statuses="201 400 404 409",
)
def test_create_keeps_what_it_is_given(api: Api) -> None:
    """Every field comes back in the inspection, and a container of all of them at once runs."""
    make(api, "whole", start=False, **CONFIG, HostConfig=HOST)
    shown = api.ok("GET", "/containers/{id}/json", "whole")
    wrong = {name: shown["Config"].get(name) for name in CONFIG if shown["Config"].get(name) != CONFIG[name]}
    wrong |= {name: shown["HostConfig"].get(name) for name in HOST if shown["HostConfig"].get(name) != HOST[name]}
    allowed = SHOWN | {"CapAdd": ["CAP_NET_ADMIN"], "CapDrop": ["CAP_MKNOD"]}
    assert {name: value for name, value in wrong.items() if allowed.get(name, "no") != value} == {}
    api.ok("POST", "/containers/{id}/start", "whole")
    create = ("POST", "/containers/create")
    assert api.refused(*create, name="whole", body={"Image": "busybox"})[0] == 409
    assert api.refused(*create, name="no/slash", body={"Image": "busybox"})[0] == 400
    assert api.refused(*create, name="none", body={"Image": "nothing"}) == (404, "No such image: nothing:latest")


@proves(
    "ContainerCreate", "platform body.NetworkingConfig body.MacAddress body.NetworkDisabled body.Shell body.OnBuild"
)
def test_create_for_a_platform_and_in_a_network(api: Api) -> None:
    """The platform must be the image's; the network is the one that is named, or none."""
    place = {"EndpointsConfig": {"bridge": {"MacAddress": "02:42:ac:11:00:99"}}}
    make(api, "placed", NetworkingConfig=place)
    network = api.ok("GET", "/containers/{id}/json", "placed")["NetworkSettings"]["Networks"]["bridge"]
    assert network["MacAddress"] == "02:42:ac:11:00:99"
    make(api, "older", MacAddress="02:42:ac:11:00:98", NetworkDisabled=False, Shell=["sh"], OnBuild=["RUN true"])
    assert api.ok("GET", "/containers/{id}/json", "older")["NetworkSettings"]["MacAddress"] == "02:42:ac:11:00:98"
    body = {"Image": "busybox"}
    assert api.ask("POST", "/containers/create", platform="linux/amd64", body=body).status == 201
    status, sentence = api.refused("POST", "/containers/create", platform="linux/s390x", body=body)
    assert (status, "(linux/amd64) does not match the specified platform (linux/s390x)" in sentence) == (404, True)


RATE = [{"Path": "/dev/disk", "Rate": 1 << 20}]
MORE: dict[str, Any] = {
    "AutoRemove": True,
    "BlkioWeightDevice": [],
    "BlkioDeviceReadBps": RATE,
    "BlkioDeviceWriteBps": RATE,
    "BlkioDeviceReadIOps": RATE,
    "BlkioDeviceWriteIOps": RATE,
    "Cgroup": "",
    "ContainerIDFile": "/tmp/id",
    "CpuCount": 0,
    "CpuPercent": 0,
    "Mounts": [{"Type": "tmpfs", "Target": "/memory"}, {"Type": "volume", "Source": "more", "Target": "/more"}],
    "UsernsMode": "host",
    "VolumesFrom": ["other:ro"],
    "PidMode": "host",
}


@proves(
    "ContainerCreate",
    " ".join(["body.ArgsEscaped body.HostConfig.Links", *(f"body.HostConfig.{name}" for name in MORE)]),
)
def test_create_keeps_what_goes_with_other_containers(api: Api) -> None:
    """Links and volumes of others, mounts, and what only shows: each comes back in the inspection."""
    make(api, "other", HostConfig={"Binds": ["shared:/shared"]})
    make(api, "it", start=False, ArgsEscaped=False, HostConfig={**MORE, "Links": ["other:alias"]})
    shown = api.ok("GET", "/containers/{id}/json", "it")
    assert {name: shown["HostConfig"][name] for name in MORE} == MORE
    assert shown["HostConfig"]["Links"] == ["/other:/it/alias"]
    assert {mount["Destination"] for mount in shown["Mounts"]} == {"/memory", "/more", "/shared"}


@proves("ContainerStart", "detachKeys", statuses="204 304 400 404")
def test_start_statuses(api: Api) -> None:
    """Started, started already, bad keys, not there."""
    make(api, "it", start=False)
    assert api.refused("POST", "/containers/{id}/start", "it", detachKeys="too-long")[0] == 400
    assert api.ask("POST", "/containers/{id}/start", "it", detachKeys="ctrl-a,b").status == 204
    assert api.ask("POST", "/containers/{id}/start", "it").status == 304
    assert api.refused("POST", "/containers/{id}/start", "none")[0] == 404


@proves("ContainerStop", "signal t", statuses="204 304 404")
@proves("ContainerRestart", "signal t", statuses="204 404")
@proves("ContainerKill", "signal", statuses="204 404 409")
def test_stop_restart_and_kill_statuses(api: Api) -> None:
    """The signal is the one that is asked for, which shows in the exit code; what does not run is left alone."""
    script = "trap 'exit 41' USR1; trap 'exit 42' USR2; echo ready; while :; do sleep 0.05; done"
    make(api, "it", "sh", "-c", script)

    def trapped(times: int) -> None:
        log = ("GET", "/containers/{id}/logs")
        ready(api, lambda: api.ask(*log, "it", stdout=True).body.count(b"ready") == times)

    def code() -> int:
        return int(api.ok("POST", "/containers/{id}/wait", "it")["StatusCode"])

    trapped(1)
    assert api.ask("POST", "/containers/{id}/stop", "it", signal="SIGUSR1", t=20).status == 204
    assert code() == 41
    assert api.ask("POST", "/containers/{id}/stop", "it").status == 304
    assert api.refused("POST", "/containers/{id}/kill", "it")[0] == 409
    for times in (2, 3):
        assert api.ask("POST", "/containers/{id}/restart", "it", signal="USR2", t=20).status == 204
        trapped(times)
    assert api.ok("GET", "/containers/{id}/json", "it")["State"]["Running"]
    assert api.ask("POST", "/containers/{id}/kill", "it", signal="12").status == 204
    assert code() == 42
    assert {api.refused("POST", f"/containers/{{id}}/{verb}", "none")[0] for verb in ("stop", "kill", "restart")} == {
        404
    }


@proves("ContainerPause", statuses="204 404")
@proves("ContainerUnpause", statuses="204 404")
@proves("ContainerRename", "name", statuses="204 404 409")
def test_pause_and_rename_statuses(api: Api) -> None:
    """Frozen and thawed; another name, or one that is taken."""
    make(api, "it")
    make(api, "other", start=False)
    assert api.ask("POST", "/containers/{id}/pause", "it").status == 204
    assert api.ok("GET", "/containers/{id}/json", "it")["State"]["Status"] == "paused"
    assert api.ask("POST", "/containers/{id}/unpause", "it").status == 204
    assert api.ask("POST", "/containers/{id}/rename", "it", name="renamed").status == 204
    assert api.refused("POST", "/containers/{id}/rename", "renamed", name="other")[0] == 409
    assert api.ok("GET", "/containers/{id}/json", "renamed")["Name"] == "/renamed"
    for verb in ("pause", "unpause"):
        assert api.refused("POST", f"/containers/{{id}}/{verb}", "none")[0] == 404
    assert api.refused("POST", "/containers/{id}/rename", "none", name="x")[0] == 404


@proves("ContainerWait", "condition", statuses="200 400 404")
def test_wait_conditions(api: Api) -> None:
    """At once for what does not run, at the next end, and at the removal."""
    make(api, "it", "sh", "-c", "exit 3")
    assert api.ok("POST", "/containers/{id}/wait", "it", condition="not-running") == {"StatusCode": 3}
    told: dict[str, Any] = {}

    def wait(condition: str) -> None:
        told[condition] = api.ok("POST", "/containers/{id}/wait", "it", condition=condition)

    waiting = [threading.Thread(target=wait, args=(condition,)) for condition in ("next-exit", "removed")]
    before = api.ok("GET", "/info")["NGoroutines"]
    for thread in waiting:
        thread.start()
    while api.ok("GET", "/info")["NGoroutines"] < before + len(waiting):
        pass  # both wait once the engine has a task more for each
    api.ok("POST", "/containers/{id}/start", "it")
    waiting[0].join(20)
    assert told == {"next-exit": {"StatusCode": 3}}
    api.ok("DELETE", "/containers/{id}", "it")
    waiting[1].join(20)
    assert told["removed"] == {"StatusCode": 3}
    assert api.refused("POST", "/containers/{id}/wait", "it", condition="removed")[0] == 404
    make(api, "it", start=False)
    assert api.refused("POST", "/containers/{id}/wait", "it", condition="x") == (400, 'invalid condition: "x"')


@proves("ContainerDelete", "v force link", statuses="204 400 404 409")
def test_delete_parameters(api: Api) -> None:
    """By force what runs, with `v` its anonymous volumes; no link that is none, and nothing by half an id of two."""
    make(api, "it", Volumes={"/anonymous": {}})
    (volume,) = [mount["Name"] for mount in api.ok("GET", "/containers/{id}/json", "it")["Mounts"]]
    assert api.refused("DELETE", "/containers/{id}", "it")[0] == 409
    assert api.refused("DELETE", "/containers/{id}", "it", link=True)[0] == 409
    first = [make(api, f"other{number}", start=False)[0] for number in range(17)]  # of 17 ids two begin alike
    twice = next(digit for digit in first if first.count(digit) > 1)
    assert api.refused("DELETE", "/containers/{id}", twice)[0] == 400
    assert api.ask("DELETE", "/containers/{id}", "it", force=True, v=True).status == 204
    assert api.refused("GET", "/volumes/{name}", volume)[0] == 404
    assert api.refused("DELETE", "/containers/{id}", "it") == (404, "No such container: it")


@proves("ContainerResize", "h w", statuses="200 404")
def test_resize_of_a_terminal(api: Api) -> None:
    """The program sees the size."""
    make(api, "it", "sh", "-c", "while :; do stty size; sleep 0.05; done", Tty=True)
    assert api.ask("POST", "/containers/{id}/resize", "it", h=33, w=77).status == 200
    while b"33 77" not in api.ask("GET", "/containers/{id}/logs", "it", stdout=True, tail=1).body:
        pass  # it prints its size for ever
    assert api.refused("POST", "/containers/{id}/resize", "none", h=1, w=1)[0] == 404


@proves("ContainerLogs", "follow stdout stderr since until timestamps tail", statuses="200 404")
def test_logs_parameters(api: Api) -> None:
    """Streams are chosen, lines are cut at both ends, times are shown; following ends with the container."""
    make(api, "it", "sh", "-c", "echo one; echo two >&2; echo three")
    followed = api.ask("GET", "/containers/{id}/logs", "it", follow=True, stdout=True, stderr=True).body
    assert {line[8:] for line in followed.splitlines()} >= {b"one", b"three"}

    def lines(**query: Any) -> list[bytes]:
        body = api.ask("GET", "/containers/{id}/logs", "it", **query).body
        return [line[8:] for line in body.splitlines()]

    assert lines(stdout=True) == [b"one", b"three"]
    assert lines(stderr=True) == [b"two"]
    assert lines(stdout=True, tail=1) == [b"three"]
    assert lines(stdout=True, since=4_000_000_000) == lines(stdout=True, until=1) == []
    assert lines(stdout=True, timestamps=True)[0].endswith(b"Z one")
    assert api.refused("GET", "/containers/{id}/logs", "none", stdout=True)[0] == 404


@proves("ContainerAttach", "detachKeys logs stream stdin stdout stderr", statuses="200 400 404")
@proves("ContainerAttachWebsocket", "detachKeys logs stream stdin stdout stderr", statuses="400 404")
def test_attach_parameters(api: Api) -> None:
    """The log replayed without a stream ends; keys that are none and containers that are not are refused."""
    make(api, "it", "echo", "said")
    api.ok("POST", "/containers/{id}/wait", "it")
    everything = {"logs": True, "stdin": True, "stdout": True, "stderr": True, "stream": False}
    told = api.ask("POST", "/containers/{id}/attach", "it", **everything, detachKeys="ctrl-a")
    assert (told.status, told.body[8:]) == (200, b"said\n")
    for method, template in (("POST", "/containers/{id}/attach"), ("GET", "/containers/{id}/attach/ws")):
        assert api.refused(method, template, "it", **everything, detachKeys="too-long")[0] == 400
        assert api.refused(method, template, "none", stream=True, headers=WEBSOCKET)[0] == 404


def test_attach_by_websocket(api: Api) -> None:
    """What is typed comes back."""
    make(api, "it", "cat", OpenStdin=True)
    client = WebSocketClient(api.engine.socket, "/containers/it/attach/ws?stream=1&stdin=1&stdout=1")
    client.send(BytesMessage(data=b"typed"))
    assert client.read(5)[0] == b"typed"
    client.close()


UPDATES: tuple[dict[str, Any], ...] = (
    {"Memory": 128 << 20, "MemorySwap": 256 << 20, "MemoryReservation": 64 << 20},
    {"CpuShares": 256, "CpuPeriod": 50_000, "CpuQuota": 25_000, "CpusetCpus": "0", "CpusetMems": "0"},
    {"PidsLimit": 40},
    {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}},
)


@proves(
    "ContainerUpdate",
    "body.Memory body.MemorySwap body.MemoryReservation body.CpuShares body.CpuPeriod body.CpuQuota body.CpusetCpus "
    "body.CpusetMems body.PidsLimit body.RestartPolicy body.NanoCpus",
    statuses="200 404",
)
def test_update_changes(api: Api) -> None:
    """Each limit holds in the record of what runs; the rest stays. CPUs are refused where a quota is set."""
    make(api, "it")
    held: dict[str, Any] = {}
    for limits in UPDATES:
        assert api.ok("POST", "/containers/{id}/update", "it", body=limits) == {"Warnings": []}
        held |= limits
        host = api.ok("GET", "/containers/{id}/json", "it")["HostConfig"]
        assert {name: host[name] for name in held} == held
    assert api.refused("POST", "/containers/{id}/update", "it", body={"NanoCpus": 500_000_000})[0] == 409
    make(api, "idle", start=False)
    api.ok("POST", "/containers/{id}/update", "idle", body={"NanoCpus": 500_000_000})
    assert api.ok("GET", "/containers/{id}/json", "idle")["HostConfig"]["NanoCpus"] == 500_000_000
    assert api.refused("POST", "/containers/{id}/update", "none", body={"PidsLimit": 1})[0] == 404


PASSED_OVER: dict[str, Any] = {
    "CgroupParent": "/elsewhere",
    "Devices": [],
    "DeviceCgroupRules": ["c 1:3 rwm"],
    "DeviceRequests": [],
    "Ulimits": [{"Name": "nofile", "Soft": 5, "Hard": 5}],
    "Init": True,
    "OomKillDisable": False,
    "MemorySwappiness": 5,
    "KernelMemoryTCP": 0,
    "BlkioWeightDevice": [],
    "BlkioDeviceReadBps": [],
    "BlkioDeviceWriteBps": [],
    "BlkioDeviceReadIOps": [],
    "BlkioDeviceWriteIOps": [],
    "CpuCount": 0,
    "CpuPercent": 0,
}


@proves("ContainerUpdate", " ".join(f"body.{name}" for name in PASSED_OVER))
def test_update_passes_over_what_stays(api: Api) -> None:
    """What the reference does not change in a container that exists is taken and changes nothing."""
    make(api, "it")
    before = api.ok("GET", "/containers/{id}/json", "it")["HostConfig"]
    api.ok("POST", "/containers/{id}/update", "it", body=PASSED_OVER)
    assert api.ok("GET", "/containers/{id}/json", "it")["HostConfig"] == before


@proves(
    "ContainerUpdate",
    "body.BlkioWeight body.CpuRealtimePeriod body.CpuRealtimeRuntime body.IOMaximumIOps body.IOMaximumBandwidth",
)
@proves(
    "ContainerCreate",
    "body.HostConfig.BlkioWeight body.HostConfig.CpuRealtimePeriod body.HostConfig.CpuRealtimeRuntime "
    "body.HostConfig.IOMaximumIOps body.HostConfig.IOMaximumBandwidth "
    "body.HostConfig.DeviceRequests body.HostConfig.StorageOpt body.HostConfig.NanoCpus body.HostConfig.Runtime",
)
def test_limits_out_of_range_or_of_other_systems_are_refused(api: Api) -> None:
    """With a bad request, never with a container that has them not."""
    make(api, "it")
    for limits in (
        {"BlkioWeight": 5},
        {"CpuRealtimePeriod": 1000, "CpuRealtimeRuntime": 2000},
        {"IOMaximumIOps": 1},
        {"IOMaximumBandwidth": 1},
    ):
        assert api.refused("POST", "/containers/{id}/update", "it", body=limits)[0] == 400, limits
        body = {"Image": "busybox", "HostConfig": limits}
        assert api.refused("POST", "/containers/create", body=body)[0] == 400, limits
    for host in (
        {"DeviceRequests": [{"Driver": "none", "Capabilities": [["gpu"]]}]},
        {"StorageOpt": {"size": "1G"}},
        {"NanoCpus": 10**15},
        {"Runtime": "none"},
    ):
        assert api.refused("POST", "/containers/create", body={"Image": "busybox", "HostConfig": host})[0] == 400, host
