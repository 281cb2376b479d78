"""Decoding what real clients send: nulls, unknown fields, other cases, older shapes, and nonsense."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.api.container import ContainerCreateRequest, ContainerInspect, HealthConfig, WaitResponse
from shoal.api.event import EventActor, EventMessage
from shoal.api.exec import ExecConfig, ExecStartConfig
from shoal.api.host_config import HostConfig, Mount, PortBinding, TmpfsOptions
from shoal.api.network import EndpointSettings, NetworkSettings
from shoal.api.progress import JSONMessage
from shoal.api.wire import decode, encode
from shoal.errors import InvalidArgument

# What `docker run alpine true` of version 28 sends, shortened to what is special about it.
DOCKER_28 = b"""{
  "Hostname":"","User":"","AttachStdin":false,"AttachStdout":true,"AttachStderr":true,"Tty":false,"Env":null,
  "Cmd":["true"],"Image":"alpine","Volumes":{},"WorkingDir":"","Entrypoint":null,"Labels":{},
  "HostConfig":{"Binds":null,"ContainerIDFile":"","LogConfig":{"Type":"","Config":{}},"NetworkMode":"default",
    "PortBindings":{},"RestartPolicy":{"Name":"no","MaximumRetryCount":0},"AutoRemove":false,"VolumesFrom":null,
    "ConsoleSize":[24,80],"CapAdd":null,"CgroupnsMode":"","Dns":[],"Memory":0,"BlkioWeightDevice":[],
    "Devices":[],"MemorySwappiness":-1,"OomKillDisable":false,"PidsLimit":0,"Ulimits":[],"MaskedPaths":null},
  "NetworkingConfig":{"EndpointsConfig":{"default":{"IPAMConfig":null,"Links":null,"Aliases":null,"GwPriority":0}}}}
"""
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.sampled_from(
    [field.encode_name for field in msgspec.structs.fields(ContainerCreateRequest)]
    + [field.encode_name for field in msgspec.structs.fields(HostConfig)]
)


def test_decode_the_docker_commands_create_gives_defaults_for_nulls() -> None:
    """Every null of the stock client is the default of its field."""
    request = decode(DOCKER_28, ContainerCreateRequest)
    assert request.cmd == ["true"]
    assert request.entrypoint is None
    assert request.env == []
    host = request.host_config
    assert (host.binds, host.cap_add, host.masked_paths) == ([], [], None)
    assert (host.memory_swappiness, host.oom_kill_disable, host.pids_limit) == (-1, False, 0)
    assert host.console_size == [24, 80]
    assert request.networking_config.endpoints_config == {"default": EndpointSettings()}


def test_decode_null_inside_maps_and_lists_is_the_empty_value() -> None:
    """docker-py sends null for a network's settings, old clients for a port's bindings: the keys must stay."""
    request = decode(
        b'{"ExposedPorts":{"80/tcp":null},"Volumes":{"/data":null},"Env":[null],'
        b'"HostConfig":{"PortBindings":{"80/tcp":null,"81/tcp":[null]},"Sysctls":{"a":null}},'
        b'"NetworkingConfig":{"EndpointsConfig":{"n":null}}}',
        ContainerCreateRequest,
    )
    assert request.exposed_ports == {"80/tcp": {}}
    assert request.volumes == {"/data": {}}
    assert request.env == [""]
    assert request.host_config.port_bindings == {"80/tcp": [], "81/tcp": [PortBinding()]}
    assert request.host_config.sysctls == {"a": ""}
    assert request.networking_config.endpoints_config == {"n": EndpointSettings()}


def test_decode_null_objects_are_defaults() -> None:
    """A client may send null for a whole part of the request."""
    request = decode(b'{"HostConfig":null,"NetworkingConfig":null,"Healthcheck":null}', ContainerCreateRequest)
    assert request == ContainerCreateRequest()


def test_decode_names_match_in_any_case_and_unknown_ones_are_skipped() -> None:
    """Go does not look at the case of a name, and people's scripts rely on it."""
    request = decode(b'{"image":"a","hostconfig":{"MEMORY":5},"Nonsense":[1]}', ContainerCreateRequest)
    assert (request.image, request.host_config.memory) == ("a", 5)


def test_decode_command_may_be_one_string() -> None:
    """Older clients send a command or a capability as a plain string."""
    body = b'{"Cmd":"ls","Entrypoint":"sh","Shell":"x","HostConfig":{"CapAdd":"ALL"}}'
    request = decode(body, ContainerCreateRequest)
    assert (request.cmd, request.entrypoint, request.shell) == (["ls"], ["sh"], ["x"])
    assert request.host_config.cap_add == ["ALL"]
    assert decode(b'{"Cmd":"ls"}', ExecConfig).cmd == ["ls"]


def test_decode_empty_list_and_null_differ_where_it_matters() -> None:
    """An empty entrypoint resets the image's, empty masked paths mask nothing; null leaves the default."""
    request = decode(b'{"Entrypoint":[],"HostConfig":{"MaskedPaths":[]}}', ContainerCreateRequest)
    assert request.entrypoint == []
    assert request.host_config.masked_paths == []


def test_decode_nested_options_are_typed() -> None:
    """Mounts arrive with their options, and go out without what was not given."""
    mount = decode(b'{"Type":"tmpfs","Target":"/t","TmpfsOptions":{"SizeBytes":5,"Mode":511}}', Mount)
    assert mount == Mount(type="tmpfs", target="/t", tmpfs_options=TmpfsOptions(size_bytes=5, mode=0o777))
    assert b"BindOptions" not in encode(mount)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "invalid JSON: Input data was truncated"),
        (b"{", "invalid JSON: Input data was truncated"),
        (b"[]", "invalid JSON: expected `object`, got `array`"),
        (b'{"Hostname":1}', "invalid JSON: Hostname: expected `str`, got `int`"),
        (b'{"Env":[1]}', "invalid JSON: Env[0]: expected `str`, got `int`"),
        (b'{"Env":{"a":"b"}}', "invalid JSON: Env: expected `array`, got `object`"),
        (b'{"HostConfig":{"Memory":"1g"}}', "invalid JSON: HostConfig.Memory: expected `int`, got `str`"),
        (b'{"HostConfig":{"Memory":1.5}}', "invalid JSON: HostConfig.Memory: expected `int`, got `float`"),
        (b'{"HostConfig":{"Memory":9223372036854775808}}', "invalid JSON: HostConfig.Memory: expected `int` <= 92233"),
        (b'{"HostConfig":{"Mounts":["/a"]}}', "invalid JSON: HostConfig.Mounts[0]: expected `object`, got `str`"),
        (b"[" * 100_000, "invalid JSON: nested too deeply"),
        (b'{"Hostname":"\xff"}', "invalid JSON: "),
        (b'{"Hostname":"a"} x', "invalid JSON: "),
    ],
)
def test_decode_nonsense_says_where_it_is(body: bytes, sentence: str) -> None:
    """A body that can't be is refused in words that name the field."""
    with pytest.raises(InvalidArgument) as caught:
        decode(body, ContainerCreateRequest)
    assert str(caught.value).startswith(sentence)


@given(st.dictionaries(FIELDS, JSON_VALUES, max_size=5), st.dictionaries(FIELDS, JSON_VALUES, max_size=5))
def test_decode_any_json_is_a_request_or_an_invalid_argument(top: dict[str, Any], host: dict[str, Any]) -> None:
    """Whatever is sent, the answer is a request that can be written down and read again, or a refusal."""
    try:
        request = decode(msgspec.json.encode({**top, "HostConfig": host}), ContainerCreateRequest)
    except InvalidArgument:
        return
    assert decode(encode(request), ContainerCreateRequest) == request


def test_encode_names_are_dockers() -> None:
    """Names that are no plain PascalCase come out as Docker writes them."""
    text = encode(HostConfig())
    for name in (
        b'"ContainerIDFile"',
        b'"UTSMode"',
        b'"IOMaximumIOps"',
        b'"BlkioDeviceReadIOps"',
        b'"KernelMemoryTCP"',
    ):
        assert name in text
    settings = encode(NetworkSettings(ports={"80/tcp": None, "81/tcp": [PortBinding(host_port="1")]}))
    assert b'"Ports":{"80/tcp":null,"81/tcp":[{"HostIp":"","HostPort":"1"}]}' in settings


def test_encode_absent_fields_are_left_out() -> None:
    """Messages carry only what they say."""
    assert encode(JSONMessage(stream="x")) == b'{"stream":"x"}'
    assert encode(JSONMessage.failure("no")) == b'{"errorDetail":{"message":"no"},"error":"no"}'
    assert encode(WaitResponse(status_code=0)) == b'{"StatusCode":0}'
    assert encode(HealthConfig(retries=2)) == b'{"Retries":2}'
    event = EventMessage(
        type="image", action="tag", actor=EventActor(id="x", attributes={}), scope="local", time=1, time_ns=2
    )
    assert encode(event) == (
        b'{"Type":"image","Action":"tag","Actor":{"ID":"x","Attributes":{}},"scope":"local","time":1,"timeNano":2}'
    )


def test_defaults_are_not_shared_between_requests() -> None:
    """Two requests never have a list in common."""
    first, second = ContainerCreateRequest(), ContainerCreateRequest()
    first.env.append("a=b")
    first.host_config.binds.append("/a:/b")
    assert (second.env, second.host_config.binds) == ([], [])


def test_decode_exec_start_accepts_what_clients_send() -> None:
    """The console's size may be null or absent."""
    assert decode(b'{"Detach":false,"Tty":true,"ConsoleSize":null}', ExecStartConfig) == ExecStartConfig(tty=True)
    assert decode(b'{"ConsoleSize":[24,80]}', ExecStartConfig).console_size == [24, 80]


def test_inspect_requires_what_an_engine_must_know() -> None:
    """An inspection with parts missing is no inspection."""
    with pytest.raises(InvalidArgument, match="missing required field"):
        decode(b'{"Id":"x"}', ContainerInspect)


def test_encode_name_that_is_no_utf8() -> None:
    """A byte of a file's name that is no UTF-8 becomes a question mark; all else is as ever."""
    message = JSONMessage(error="a\udcffé", aux={"Names": ["\udce9"]})
    assert encode(message) == encode(JSONMessage(error="a?é", aux={"Names": ["?"]}))
    assert encode({"\udcff": b"x"}) == b'{"?":"eA=="}'
