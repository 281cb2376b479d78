"""Whole specifications, against golden files and against the OCI's own schema."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import msgspec
import pytest
from referencing import Registry
from referencing.jsonschema import DRAFT4

from shoal.api.container import ContainerConfig, ContainerCreateRequest
from shoal.api.exec import ExecConfig
from shoal.api.host_config import DeviceMapping, HostConfig, Mount, TmpfsOptions, Ulimit
from shoal.api.image import ImageConfig
from shoal.engine.specgen import DaemonDefaults, HostDevice, SpecGenerator, merge_process
from shoal.errors import InvalidArgument, ShoalError
from shoal.oci.runtime_spec import RuntimeSpec, decode, encode
from tests.golden import assert_golden
from tests.unit.engine.specgen.facts import CONTAINER, MACHINE, FakeDevices

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[4]
REFERENCE = Path(os.environ.get("SHOAL_REFERENCE", ROOT.parent / "shared" / "reference"))
FUSE = HostDevice(path="/dev/fuse", kind="c", major=10, minor=229, mode=0o20666, uid=0, gid=0)

REQUESTS = {
    "plain": ContainerCreateRequest(image="busybox", cmd=["true"]),
    "interactive": ContainerCreateRequest(
        image="busybox", tty=True, open_stdin=True, host_config=HostConfig(console_size=[24, 80], init=True)
    ),
    "limits": ContainerCreateRequest(
        image="busybox",
        host_config=HostConfig(
            memory=64 << 20,
            nano_cpus=500_000_000,
            pids_limit=50,
            cpuset_cpus="0",
            ulimits=[Ulimit(name="nofile", soft=100, hard=200)],
            oom_score_adj=300,
        ),
    ),
    "mounts": ContainerCreateRequest(
        image="busybox",
        working_dir="/project",
        host_config=HostConfig(
            binds=["/srv/data:/data:ro", "/srv/shared:/shared:rshared"],
            mounts=[Mount(type="tmpfs", target="/scratch", tmpfs_options=TmpfsOptions(size_bytes=1 << 20))],
            tmpfs={"/run": "size=8m,exec"},
            readonly_rootfs=True,
        ),
    ),
    "user": ContainerCreateRequest(
        image="busybox",
        user="app:staff",
        env=["A=1"],
        host_config=HostConfig(group_add=["100", "audio"], security_opt=["no-new-privileges"], cap_drop=["ALL"]),
    ),
    "privileged": ContainerCreateRequest(image="busybox", host_config=HostConfig(privileged=True)),
    "host": ContainerCreateRequest(
        image="busybox",
        host_config=HostConfig(network_mode="host", pid_mode="host", ipc_mode="host", uts_mode="host"),
    ),
    "devices": ContainerCreateRequest(
        image="busybox",
        domainname="example.org",
        host_config=HostConfig(
            devices=[DeviceMapping(path_on_host="/dev/fuse")],
            device_cgroup_rules=["c 42:* rwm"],
            sysctls={"net.core.somaxconn": "512"},
            security_opt=["seccomp=unconfined"],
        ),
    ),
}


def generator() -> SpecGenerator:
    return SpecGenerator(MACHINE, DaemonDefaults(), FakeDevices({"/dev/fuse": [FUSE]}))


def generated(name: str) -> RuntimeSpec:
    request = REQUESTS[name]
    made = generator()
    assert made.validate(request) == []
    return made.generate(merge_process(request, ImageConfig(cmd=["sh"])), request.host_config, CONTAINER)


def readable(spec: RuntimeSpec) -> str:
    """The specification as a person reads it; the system calls of the filter have tests of their own."""
    document = json.loads(encode(spec))
    for rule in document["linux"].get("seccomp", {}).get("syscalls", []):
        rule["names"] = [f"{len(rule['names'])} names", rule["names"][0]]
    return json.dumps(document, indent=1) + "\n"


@pytest.mark.parametrize("name", REQUESTS)
def test_generate_specification_is_the_golden_one(name: str) -> None:
    """What a request comes to changes only on purpose."""
    assert_golden(GOLDEN / f"{name}.json", readable(generated(name)))


@pytest.mark.parametrize("name", REQUESTS)
def test_generate_specification_survives_its_json_form(name: str) -> None:
    """config.json holds everything: read back it is the same value."""
    spec = generated(name)
    assert decode(encode(spec)) == spec


@pytest.mark.parametrize("name", REQUESTS)
def test_generate_specification_obeys_the_oci_schema(name: str) -> None:
    """Another runtime can read our config.json: by the schema where it is at hand, by its demands everywhere."""
    document = json.loads(encode(generated(name)))
    assert document["ociVersion"] == "1.2.0"
    assert document["process"]["cwd"].startswith("/")
    assert all(mount["destination"].startswith("/") for mount in document["mounts"])
    schemas = {path.name: json.loads(path.read_text()) for path in (REFERENCE / "oci-runtime-schema").glob("*.json")}
    if schemas:
        resources = [(name, DRAFT4.create_resource(schema)) for name, schema in schemas.items()]
        registry: Registry[dict[str, object]] = Registry().with_resources(resources)
        jsonschema.Draft4Validator(schemas["config-schema.json"], registry=registry).validate(document)


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        (HostConfig(oom_score_adj=1001), "Invalid value 1001, range for oom score adj is [-1000, 1000]"),
        (HostConfig(shm_size=-1), "SHM size can not be less than 0"),
        (HostConfig(cap_add=["nope"]), 'invalid CapAdd: unknown capability: "CAP_NOPE"'),
    ],
)
def test_validate_bad_host_config_is_refused_at_create(host: HostConfig, sentence: str) -> None:
    """Everything that can be known at create is said there, not at start."""
    with pytest.raises(InvalidArgument) as caught:
        generator().validate(ContainerCreateRequest(cmd=["x"], host_config=host))
    assert caught.value.what == sentence


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (
            ContainerCreateRequest(working_dir="relative"),
            "the working directory 'relative' is invalid, it needs to be an absolute path",
        ),
        (ContainerCreateRequest(env=["=x"]), "invalid environment variable: =x"),
    ],
)
def test_validate_bad_process_is_refused_at_create(request_: ContainerCreateRequest, sentence: str) -> None:
    """The sentences of the process's own fields."""
    with pytest.raises(ShoalError) as caught:
        generator().validate(request_)
    assert caught.value.what == sentence


def test_exec_process_is_the_containers_with_changes() -> None:
    """An exec has the container's environment, user and rights unless it asks for others."""
    request = REQUESTS["user"]
    config = merge_process(request, ImageConfig(cmd=["sh"]))
    spec = generated("user")
    process = generator().exec_process(ExecConfig(cmd=["id"], env=["B=2"], tty=True), config, spec)
    assert process.args == ("id",)
    assert [entry.partition("=")[0] for entry in process.env] == ["PATH", "HOSTNAME", "TERM", "A", "B"]
    assert process.user.username == "app:staff"
    assert process.no_new_privileges
    assert process.capabilities is not None
    assert process.capabilities.bounding == ()


def test_exec_process_privileged_has_every_capability() -> None:
    """`docker exec --privileged` in a plain container."""
    config = merge_process(REQUESTS["plain"], ImageConfig(cmd=["sh"]))
    process = generator().exec_process(ExecConfig(cmd=["id"], privileged=True, user="0"), config, generated("plain"))
    assert process.capabilities is not None
    assert process.capabilities.effective == MACHINE.capabilities
    assert process.user.username == "0"


def test_exec_process_without_a_command_is_refused() -> None:
    """Docker's sentence for an empty exec."""
    config = merge_process(REQUESTS["plain"], ImageConfig(cmd=["sh"]))
    with pytest.raises(InvalidArgument, match=r"^No exec command specified$"):
        generator().exec_process(ExecConfig(), config, generated("plain"))


def test_generate_confines_by_a_profile_where_the_kernel_can() -> None:
    """A named profile on a kernel with AppArmor; not `unconfined`, and nothing on other kernels."""
    for apparmor, option, expected in ((True, "mine", "mine"), (True, "unconfined", ""), (False, "mine", "")):
        machine = msgspec.structs.replace(MACHINE, apparmor=apparmor)
        generator = SpecGenerator(machine, DaemonDefaults(), FakeDevices())
        host = HostConfig(security_opt=[f"apparmor={option}"])
        spec = generator.generate(ContainerConfig(cmd=["true"]), host, CONTAINER)
        assert spec.process is not None
        assert spec.process.apparmor_profile == expected
