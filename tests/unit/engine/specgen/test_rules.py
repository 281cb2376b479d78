"""The smaller rules: modes, security options, sysctls, devices, and the mounts of a container."""

from __future__ import annotations

import errno

import msgspec
import pytest

from shoal.api.container import ContainerCreateRequest
from shoal.api.host_config import DeviceMapping, HostConfig
from shoal.engine.specgen.devices import container_devices, parse_rule
from shoal.engine.specgen.facts import DaemonDefaults, HostDevice
from shoal.engine.specgen.mounts import container_mounts
from shoal.engine.specgen.namespaces import Modes, check_conflicts, namespaces, read_modes, referenced_container
from shoal.engine.specgen.security import masked_and_readonly, read_security_options
from shoal.engine.specgen.sysctls import container_sysctls
from shoal.errors import InvalidArgument
from shoal.oci.runtime_spec import DeviceCgroup, Mount, Namespace
from tests.unit.engine.specgen.facts import CONTAINER, MACHINE, FakeDevices

DEFAULTS = DaemonDefaults()
FUSE = HostDevice(path="/dev/fuse", kind="c", major=10, minor=229, mode=0o20666, uid=0, gid=0)


def modes(**fields: str) -> Modes:
    return read_modes(HostConfig(**fields), DEFAULTS, MACHINE)


def test_modes_of_a_plain_container_are_its_own_but_the_cgroup_on_v1() -> None:
    """Docker shares the cgroup namespace on v1 and not on v2."""
    kinds = [namespace.type for namespace in namespaces(modes(), CONTAINER)]
    assert kinds == ["mount", "network", "uts", "pid", "ipc"]
    v2 = msgspec.structs.replace(MACHINE, cgroup_version="v2")
    assert "cgroup" in [n.type for n in namespaces(read_modes(HostConfig(), DEFAULTS, v2), CONTAINER)]


def test_modes_host_leaves_the_namespace_out_and_container_names_its_path() -> None:
    """A shared namespace is not in the list, a joined one has the path of its process."""
    facts = msgspec.structs.replace(CONTAINER, network_pid=42)
    listed = namespaces(modes(network_mode="container:x", pid_mode="host", uts_mode="host"), facts)
    assert listed == (
        Namespace(type="mount"),
        Namespace(type="network", path="/proc/42/ns/net"),
        Namespace(type="ipc"),
    )


@pytest.mark.parametrize(
    ("field", "mode", "sentence"),
    [
        ("ipc_mode", "odd", "invalid IPC mode: odd"),
        ("pid_mode", "container:", "invalid PID mode: container:"),
        ("uts_mode", "private2", "invalid UTS mode: private2"),
        ("cgroupns_mode", "odd", "invalid cgroup namespace mode: odd"),
    ],
)
def test_modes_unknown_are_refused(field: str, mode: str, sentence: str) -> None:
    """The sentence names the kind of mode and the word."""
    with pytest.raises(InvalidArgument) as caught:
        modes(**{field: mode})
    assert caught.value.what == sentence


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (
            ContainerCreateRequest(hostname="x", host_config=HostConfig(uts_mode="host")),
            "conflicting options: hostname and the UTS mode",
        ),
        (
            ContainerCreateRequest(hostname="x", host_config=HostConfig(network_mode="container:y")),
            "conflicting options: hostname and the network mode",
        ),
        (
            ContainerCreateRequest(host_config=HostConfig(network_mode="container:y", publish_all_ports=True)),
            "conflicting options: port publishing and the container type network mode",
        ),
    ],
)
def test_conflicts_of_options_with_modes_are_refused(request_: ContainerCreateRequest, sentence: str) -> None:
    """What another container decides cannot be asked for here."""
    with pytest.raises(InvalidArgument) as caught:
        check_conflicts(request_, read_modes(request_.host_config, DEFAULTS, MACHINE))
    assert caught.value.what == sentence


def test_referenced_container_is_what_follows_the_colon() -> None:
    """Only `container:` modes name one."""
    assert referenced_container("container:web") == "web"
    assert referenced_container("host") is None


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("bogus", 'invalid --security-opt 1: "bogus"'),
        ("odd=1", 'invalid --security-opt 2: "odd=1"'),
        ("no-new-privileges=maybe", 'invalid --security-opt 2: "no-new-privileges=maybe"'),
    ],
)
def test_security_option_that_is_none_is_refused(option: str, sentence: str) -> None:
    """Docker numbers its two kinds of refusal."""
    with pytest.raises(InvalidArgument) as caught:
        read_security_options([option])
    assert caught.value.what == sentence


@pytest.mark.parametrize(
    ("option", "expected"),
    [("no-new-privileges", True), ("no-new-privileges:true", True), ("no-new-privileges=false", False)],
)
def test_security_option_no_new_privileges_in_all_forms(option: str, expected: bool) -> None:
    """Bare, with a colon, with an equals sign."""
    assert read_security_options([option]).no_new_privileges is expected


def test_masked_paths_are_none_for_privileged_and_as_asked_else() -> None:
    """An empty list in the request means: hide nothing. None means Docker's list."""
    plain = read_security_options([])
    assert "/proc/kcore" in masked_and_readonly(HostConfig(), plain)[0]
    assert "/proc/sys" in masked_and_readonly(HostConfig(), plain)[1]
    assert masked_and_readonly(HostConfig(masked_paths=[], readonly_paths=["/x"]), plain) == ((), ("/x",))
    assert masked_and_readonly(HostConfig(privileged=True), plain) == ((), ())
    assert masked_and_readonly(HostConfig(), read_security_options(["systempaths=unconfined"])) == ((), ())


def test_sysctls_default_belong_to_a_network_of_its_own() -> None:
    """Sharing the host's network, a container changes nothing of it."""
    assert container_sysctls({}, modes())["net.ipv4.ip_unprivileged_port_start"] == "0"
    assert container_sysctls({}, modes(network_mode="host")) == {}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("net.ipv4.ip_forward", {"network_mode": "host"}),
        ("kernel.msgmax", {"ipc_mode": "host"}),
        ("kernel.panic", {}),
        ("kernel.hostname", {}),
        ("vm.swappiness", {}),
    ],
)
def test_sysctls_that_are_not_the_containers_own_are_refused(name: str, fields: dict[str, str]) -> None:
    """A parameter outside the container's namespaces would change the host."""
    with pytest.raises(InvalidArgument, match=f"sysctl ['\"]{name}['\"]"):
        container_sysctls({name: "1"}, modes(**fields))


@pytest.mark.parametrize("name", ["net.core.somaxconn", "kernel.shmmax", "fs.mqueue.msg_max"])
def test_sysctls_of_own_namespaces_are_set(name: str) -> None:
    """Network, IPC and message queue parameters are per namespace."""
    assert container_sysctls({name: "9"}, modes())[name] == "9"


def test_devices_mapped_get_a_node_and_a_rule() -> None:
    """`--device /dev/fuse:/dev/x:rw` is visible under its new name and usable as said."""
    mapping = DeviceMapping(path_on_host="/dev/fuse", path_in_container="/dev/x", cgroup_permissions="rw")
    nodes, rules = container_devices(HostConfig(devices=[mapping]), FakeDevices({"/dev/fuse": [FUSE]}))
    assert [(node.path, node.major, node.minor, node.file_mode) for node in nodes] == [("/dev/x", 10, 229, 0o666)]
    assert rules[0] == DeviceCgroup(allow=False, access="rwm")
    assert rules[-1] == DeviceCgroup(allow=True, type="c", major=10, minor=229, access="rw")


def test_devices_of_a_directory_keep_their_names_below_it() -> None:
    """`--device /dev/dri` brings everything in it."""
    card = msgspec.structs.replace(FUSE, path="/dev/dri/card0")
    mapping = DeviceMapping(path_on_host="/dev/dri", path_in_container="/dev/gpu")
    nodes, _ = container_devices(HostConfig(devices=[mapping]), FakeDevices({"/dev/dri": [card]}))
    assert [node.path for node in nodes] == ["/dev/gpu/card0"]


def test_devices_of_privileged_are_all_and_unrestricted() -> None:
    """A privileged container has the host's devices and one rule that allows everything."""
    nodes, rules = container_devices(HostConfig(privileged=True), FakeDevices({"/dev/fuse": [FUSE]}))
    assert [node.path for node in nodes] == ["/dev/fuse"]
    assert rules == (DeviceCgroup(allow=True, access="rwm"),)


@pytest.mark.parametrize(
    ("known", "why"),
    [({"/dev/x": OSError(errno.ENOENT, "")}, "no such file or directory"), ({}, "not a device node")],
)
def test_devices_that_are_not_there_are_refused(known: dict[str, list[HostDevice] | OSError], why: str) -> None:
    """The sentence names the device; the reason is the system's."""
    host = HostConfig(devices=[DeviceMapping(path_on_host="/dev/x")])
    with pytest.raises(InvalidArgument) as caught:
        container_devices(host, FakeDevices(known))
    assert str(caught.value) == f'error gathering device information while adding custom device "/dev/x": {why}'


def test_device_rule_notation_is_read_and_checked() -> None:
    """Stars are "all", and anything else than the notation is refused whole."""
    assert parse_rule("c 10:* rw") == DeviceCgroup(allow=True, type="c", major=10, minor=None, access="rw")
    for text in ("c 10:* rwx", "d 1:1 r", "c 1 r", "c 1:1 r\n"):
        with pytest.raises(InvalidArgument, match="invalid device cgroup rule format"):
            parse_rule(text)


def mounts(host: HostConfig, *, init: bool = False) -> dict[str, Mount]:
    read = read_modes(host, DEFAULTS, MACHINE)
    return {mount.destination: mount for mount in container_mounts(host, CONTAINER, DEFAULTS, read, init=init)}


def test_mounts_of_the_request_take_the_place_of_default_ones() -> None:
    """`-v /mine:/etc/hosts` wins over the engine's file."""
    assert mounts(HostConfig(binds=["/mine:/etc/hosts"]))["/etc/hosts"].source == "/mine"


def test_mounts_of_the_request_come_before_our_files_in_them() -> None:
    """`-v /mine:/etc` must not hide the hosts file, as it does not with Docker."""
    order = list(mounts(HostConfig(binds=["/mine:/etc", "/deep:/etc/a/b"])))
    assert order.index("/etc") < order.index("/etc/hosts") < order.index("/etc/a/b")


def test_mounts_with_a_dev_of_the_request_have_none_of_ours_in_it() -> None:
    """`-v /dev:/dev` means the host's devices, terminals and all."""
    found = mounts(HostConfig(binds=["/dev:/dev"]))
    assert [target for target in found if target.startswith("/dev")] == ["/dev"]


def test_mounts_of_a_read_only_container_are_read_only_but_for_its_workings() -> None:
    """The files that the engine binds in follow the root, /dev and /proc cannot."""
    found = mounts(HostConfig(readonly_rootfs=True, privileged=True))
    assert "ro" in found["/etc/hosts"].options
    assert "ro" in found["/sys"].options
    assert "ro" not in found["/dev"].options


def test_mounts_of_privileged_have_a_writable_sys() -> None:
    """Privileged means that /sys and the cgroups can be written."""
    assert "ro" not in mounts(HostConfig(privileged=True))["/sys/fs/cgroup"].options


@pytest.mark.parametrize(
    ("mode", "kind"), [("private", "tmpfs"), ("shareable", "tmpfs"), ("none", None), ("host", "bind")]
)
def test_mounts_of_shared_memory_follow_the_ipc_mode(mode: str, kind: str | None) -> None:
    """/dev/shm is the container's own, the host's, or not there."""
    found = mounts(HostConfig(ipc_mode=mode)).get("/dev/shm")
    assert (found.type if found else None) == kind


def test_mounts_of_shared_memory_of_another_container_come_from_its_process() -> None:
    """`--ipc container:X` shares X's /dev/shm, which exists in X's mount namespace only."""
    host = HostConfig(ipc_mode="container:x")
    facts = msgspec.structs.replace(CONTAINER, ipc_pid=7)
    read = read_modes(host, DEFAULTS, MACHINE)
    found = {mount.destination: mount for mount in container_mounts(host, facts, DEFAULTS, read, init=False)}
    assert found["/dev/shm"].source == "/proc/7/root/dev/shm"


def test_mounts_of_init_bind_it_read_only() -> None:
    """The host's init must not be changed by a container."""
    assert mounts(HostConfig(), init=True)["/sbin/docker-init"].options == ("rbind", "ro", "rprivate")
