"""From flags to the body of a create call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from shoal.api.container import ContainerCreateRequest
from shoal.cli.arguments import Parser, UsageError, parse
from shoal.cli.container.flags import ContainerOptions, add_container_flags
from shoal.cli.container.request import create_request
from shoal.errors import InvalidArgument


def body_of(*words: str, detached: bool = False, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """The request that `shoal create WORDS` makes; each one must be what the server's type accepts."""
    parser = Parser("create", "", "")
    add_container_flags(parser)
    options = parse(parser, words, ContainerOptions(), interspersed=False)
    body = create_request(options, environment or {}, detached=detached)
    msgspec.convert(body, ContainerCreateRequest)
    return body


def host_of(*words: str) -> dict[str, Any]:
    """Its HostConfig."""
    host = body_of(*words)["HostConfig"]
    assert isinstance(host, dict)
    return host


def test_create_request_of_an_image_alone_has_defaults() -> None:
    """Output is attached, input is not, and nothing else is asked for."""
    assert body_of("busybox") == {
        "Image": "busybox",
        "HostConfig": {"NetworkMode": "default"},
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "AttachStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
    }


def test_create_request_interactive_terminal_in_one_word() -> None:
    """`-it`: stdin is attached, kept open once, and there is a terminal."""
    body = body_of("-it", "busybox", "sh")
    assert body["Cmd"] == ["sh"]
    assert all(body[name] for name in ("Tty", "OpenStdin", "StdinOnce", "AttachStdin"))


def test_create_request_detached_attaches_nothing() -> None:
    """`-d -i`: stdin stays open after the first client, so StdinOnce is off."""
    body = body_of("-i", "busybox", detached=True)
    assert body["OpenStdin"]
    assert not any(body[name] for name in ("StdinOnce", "AttachStdin", "AttachStdout", "AttachStderr"))


def test_create_request_attach_names_streams() -> None:
    """`-a stdin -a STDOUT` attaches these and no other."""
    body = body_of("-i", "-a", "stdin", "-a", "STDOUT", "busybox")
    assert (body["AttachStdin"], body["AttachStdout"], body["AttachStderr"]) == (True, True, False)
    with pytest.raises(UsageError, match="stdfoo"):
        body_of("-a", "stdfoo", "busybox")


def test_create_request_command_keeps_its_own_flags() -> None:
    """Everything after the image is the command's, even what looks like ours."""
    body = body_of("--rm", "busybox", "ls", "--rm=false", "-l", "--", "x")
    assert body["Cmd"] == ["ls", "--rm=false", "-l", "--", "x"]
    assert body["HostConfig"]["AutoRemove"] is True


def test_create_request_process_flags() -> None:
    """Flags about the process go to the container's configuration."""
    body = body_of(
        *("-h", "box", "-w", "/x", "-u", "1:2", "--stop-signal", "INT", "--stop-timeout", "0"),
        *("--entrypoint", "/bin/sh", "-l", "a=b", "-l", "c", "img"),
    )
    assert body["Hostname"] == "box"
    assert body["WorkingDir"] == "/x"
    assert body["User"] == "1:2"
    assert (body["StopSignal"], body["StopTimeout"]) == ("INT", 0)
    assert body["Entrypoint"] == ["/bin/sh"]
    assert body["Labels"] == {"a": "b", "c": ""}


def test_create_request_empty_entrypoint_resets_it() -> None:
    """`--entrypoint ""` is not the same as none."""
    assert body_of("--entrypoint", "", "img")["Entrypoint"] == [""]
    assert "Entrypoint" not in body_of("img")


def test_create_request_environment_from_flags_files_and_the_client(tmp_path: Path) -> None:
    """Files come first; a bare name takes the client's value and is left out where there is none."""
    file = tmp_path / "env"
    file.write_text("# comment\n\n  A=1 \nB\nC\n")
    body = body_of("--env-file", str(file), "-e", "D=x=y", "-e", "E", "img", environment={"B": "b", "E": "e"})
    assert body["Env"] == ["A=1 ", "B=b", "D=x=y", "E=e"]


@pytest.mark.parametrize(("text", "words"), [("=x", "invalid environment variable"), ("", "invalid environment")])
def test_create_request_environment_malformed_is_refused(text: str, words: str) -> None:
    """A variable needs a name."""
    with pytest.raises(InvalidArgument, match=words):
        body_of("-e", text, "img")


def test_create_request_environment_file_missing_is_told() -> None:
    """Docker's words, with the path."""
    with pytest.raises(InvalidArgument, match="open /nowhere/env: no such file or directory"):
        body_of("--env-file", "/nowhere/env", "img")


def test_create_request_limits() -> None:
    """Sizes and CPUs are numbers in the API's units."""
    host = host_of(
        *("-m", "64m", "--memory-swap", "-1", "--cpus", "1.5", "--pids-limit", "-1", "--shm-size", "1g"),
        *("--ulimit", "nofile=1024:2048", "--ulimit", "core=0", "--oom-score-adj", "100", "img"),
    )
    assert host["Memory"] == 64 << 20
    assert host["MemorySwap"] == -1
    assert host["NanoCpus"] == 1_500_000_000
    assert host["PidsLimit"] == -1
    assert host["ShmSize"] == 1 << 30
    assert host["Ulimits"] == [
        {"Name": "nofile", "Soft": 1024, "Hard": 2048},
        {"Name": "core", "Soft": 0, "Hard": 0},
    ]
    assert host["OomScoreAdj"] == 100


def test_create_request_security() -> None:
    """Options that the client itself understands do not reach the engine as they are."""
    host = host_of(
        *("--privileged", "--cap-add", "ALL", "--cap-drop", "NET_RAW", "--read-only"),
        *("--security-opt", "no-new-privileges", "--security-opt", "systempaths=unconfined", "img"),
    )
    assert host["Privileged"] is host["ReadonlyRootfs"] is True
    assert (host["CapAdd"], host["CapDrop"]) == (["ALL"], ["CAP_NET_RAW"])
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["MaskedPaths"] == host["ReadonlyPaths"] == []


def test_create_request_seccomp_profile_travels_as_json(tmp_path: Path) -> None:
    """The file is the client's, so its content is sent."""
    file = tmp_path / "profile.json"
    file.write_text('{ "defaultAction": "SCMP_ACT_ALLOW" }')
    host = host_of("--security-opt", f"seccomp={file}", "img")
    assert host["SecurityOpt"] == ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']
    assert host_of("--security-opt", "seccomp=unconfined", "img")["SecurityOpt"] == ["seccomp=unconfined"]


def test_create_request_storage() -> None:
    """Binds, anonymous volumes, tmpfs and mounts each go to their field."""
    body = body_of(
        *("-v", "/a:/b:ro", "-v", "/anonymous", "-v", "name:/c", "--tmpfs", "/t:size=1m", "--tmpfs", "/u"),
        *("--mount", "type=bind,src=/x,dst=/y,readonly", "img"),
    )
    assert body["HostConfig"]["Binds"] == ["/a:/b:ro", "name:/c"]
    assert body["Volumes"] == {"/anonymous": {}}
    assert body["HostConfig"]["Tmpfs"] == {"/t": "size=1m", "/u": ""}
    assert body["HostConfig"]["Mounts"] == [{"Type": "bind", "Source": "/x", "Target": "/y", "ReadOnly": True}]


def test_create_request_relative_bind_source_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine does not know where the client stands."""
    monkeypatch.chdir(tmp_path)
    assert host_of("-v", "./x:/y", "img")["Binds"] == [f"{tmp_path}/x:/y"]


def test_create_request_network() -> None:
    """Ports are exposed and bound, and the network's name is the mode."""
    body = body_of("-p", "8080:80", "--expose", "90", "--network", "host", "--dns", "1.1.1.1", "img")
    assert body["ExposedPorts"] == {"90/tcp": {}, "80/tcp": {}}
    assert body["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    assert body["HostConfig"]["NetworkMode"] == "host"
    assert body["HostConfig"]["Dns"] == ["1.1.1.1"]


def test_create_request_endpoint_settings() -> None:
    """An alias or address is a matter of the endpoint."""
    body = body_of("--network", "n", "--network-alias", "db", "--ip", "10.0.0.2", "img")
    assert body["NetworkingConfig"]["EndpointsConfig"] == {
        "n": {"Aliases": ["db"], "IPAMConfig": {"IPv4Address": "10.0.0.2"}}
    }


def test_create_request_isolation_restart_and_devices() -> None:
    """Trivial flags arrive where the API has them."""
    host = host_of(
        *("--isolation", "vm", "--restart", "on-failure:3", "--device", "/dev/a:/dev/b:r", "--init"),
        *("--add-host", "x=1.2.3.4", "--sysctl", "net.core.somaxconn=5", "--log-driver", "none"),
        *(
            "--log-opt",
            "max-size=1m",
            "--ipc",
            "host",
            "--pid",
            "host",
            "--uts",
            "host",
            "--cgroupns",
            "private",
            "img",
        ),
    )
    assert host["Isolation"] == "vm"
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert host["Devices"] == [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"}]
    assert host["Init"] is True
    assert host["ExtraHosts"] == ["x:1.2.3.4"]
    assert host["Sysctls"] == {"net.core.somaxconn": "5"}
    assert host["LogConfig"] == {"Type": "none", "Config": {"max-size": "1m"}}
    assert (host["IpcMode"], host["PidMode"], host["UTSMode"], host["CgroupnsMode"]) == (
        "host",
        "host",
        "host",
        "private",
    )


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("-m", "lots"), "invalid size: 'lots'"),
        (("--cpus", "two"), "failed to parse two as a rational number"),
        (("--ulimit", "nofile"), "invalid ulimit argument: nofile"),
        (("--ulimit", "nofile=2:1"), "soft limit must be less than or equal to hard limit"),
        (("--restart", "on-failure:x"), "maximum retry count must be an integer"),
        (("--device", "/a:/b:/c:/d"), "invalid device specification"),
        (("--add-host", "x"), "bad format for add-host"),
        (("-v", "a:b:c:d"), "invalid volume specification"),
        (("-v", ":/x"), "empty section between colons"),
        (("--security-opt", "bogus"), "Invalid --security-opt"),
        (("--mount", "type=bind,src=/x"), "target is required"),
        (("--mount", "type=bind,bogus"), "must be a key=value pair"),
        (("--mount", "type=bind,bogus=1,target=/x"), "unexpected key 'bogus'"),
        (("--mount", "type=tmpfs,target=/y,bind-propagation=shared"), "cannot mix 'bind-\\*' options with mount type"),
        (("--mount", "type=bind,src=/x,target=/y,bind-recursive=readonly"), "requires 'readonly' to be specified"),
        (("--gpus", "count=1,count=2"), "gpu request key 'count' can be specified only once"),
        (("--device-read-bps", "sda:1"), "bad format for device path: sda:1"),
        (("--device-write-iops", "/dev/sda:1m"), "The correct format is <device-path>:<number>"),
        (("--blkio-weight-device", "/dev/sda:9"), "invalid weight for device: /dev/sda:9"),
        (("--device-cgroup-rule", "x"), "invalid device cgroup format 'x'"),
        (("--network", "a", "--network", "name=a"), 'network "a" is specified multiple times'),
        (("--network", "name=a,ip=1.2.3.4", "--ip", "1.2.3.5"), "cannot specify both --ip and per-network ip address"),
        (("--network-alias", "x"), "network-scoped aliases are only supported for user-defined networks"),
        (("--mac-address", "zz"), "zz is not a valid mac address"),
        (("--link", "a:b:c"), "bad format for links: a:b:c"),
        (("--rm", "--restart", "always"), "conflicting options: cannot specify both --restart and --rm"),
        (("--storage-opt", "bare"), "invalid storage option"),
    ],
)
def test_create_request_malformed_value_is_refused(flags: tuple[str, ...], words: str) -> None:
    """A wrong value never reaches the engine, and the sentence is Docker's."""
    with pytest.raises(InvalidArgument, match=words):
        body_of(*flags, "img")


def test_create_request_of_devices() -> None:
    """Disks by path, GPUs by count, by id, or all of them."""
    host = host_of(
        *(
            "--blkio-weight-device",
            "/dev/sda:200",
            "--device-read-bps",
            "/dev/sda:1mb",
            "--device-write-iops",
            "/dev/sda:9",
        ),
        *("--gpus", '"device=0,1",driver=nvidia', "img"),
    )
    assert host["BlkioWeightDevice"] == [{"Path": "/dev/sda", "Weight": 200}]
    assert host["BlkioDeviceReadBps"] == [{"Path": "/dev/sda", "Rate": 1 << 20}]
    assert host["BlkioDeviceWriteIOps"] == [{"Path": "/dev/sda", "Rate": 9}]
    assert host["DeviceRequests"] == [{"DeviceIDs": ["0", "1"], "Driver": "nvidia", "Capabilities": [["gpu"]]}]
    assert host_of("--gpus", "all", "img")["DeviceRequests"] == [{"Count": -1, "Capabilities": [["gpu"]]}]


def test_create_request_of_networks() -> None:
    """The long notation, and the flags for the first network."""
    body = body_of("--network", "name=a,alias=x,ip=1.2.3.4,driver-opt=k=v,gw-priority=3", "--network", "b", "img")
    assert body["HostConfig"]["NetworkMode"] == "a"
    assert body["NetworkingConfig"]["EndpointsConfig"] == {
        "a": {"Aliases": ["x"], "IPAMConfig": {"IPv4Address": "1.2.3.4"}, "DriverOpts": {"k": "v"}, "GwPriority": 3},
        "b": {},
    }
    body = body_of("--ip6", "fd00::1", "--link-local-ip", "169.254.1.1", "--mac-address", "02:42:ac:11:00:99", "img")
    assert body["NetworkingConfig"]["EndpointsConfig"]["default"] == {
        "IPAMConfig": {"IPv6Address": "fd00::1", "LinkLocalIPs": ["169.254.1.1"]},
        "MacAddress": "02:42:ac:11:00:99",
    }


def test_create_request_of_an_image_mount_and_quoted_fields() -> None:
    """Commas in quotes are part of a value."""
    (image, volume) = host_of(
        *("--mount", "type=image,src=alpine,dst=/d,image-subpath=etc", "--mount", '"src=a,b",dst=/e', "img")
    )["Mounts"]
    assert image == {"Type": "image", "Source": "alpine", "Target": "/d", "ImageOptions": {"Subpath": "etc"}}
    assert (volume["Source"], volume["Target"]) == ("a,b", "/e")


def test_create_request_keeps_what_goes_with_it() -> None:
    """Links, annotations, the volume driver; a variable that the client does not have."""
    body = body_of("--link", "db:one", "--annotation", "a=b", "--volume-driver", "local", "-e", "GONE", "img")
    assert (body["HostConfig"]["Links"], body["HostConfig"]["Annotations"]) == (["db:one"], {"a": "b"})
    assert (body["HostConfig"]["VolumeDriver"], body["Env"]) == ("local", ["GONE"])
