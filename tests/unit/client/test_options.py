"""The keywords of the Python API as requests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shoal.client.options import (
    ContainerOptions,
    create_request,
    exec_request,
    filters_of,
    moment_text,
    size_bytes,
    split_reference,
)
from shoal.errors import InvalidArgument


def host_config(**options: Any) -> Any:
    """What the keywords make of HostConfig."""
    return create_request("img", None, ContainerOptions(**options))["HostConfig"]


def test_create_request_without_options_is_the_image_alone() -> None:
    """What is left out stays as the image or the engine has it: it is not in the request."""
    assert create_request("img", None, {}) == {"Image": "img", "HostConfig": {}}


@pytest.mark.parametrize(
    ("command", "words"),
    [("a 'b c' d", ["a", "b c", "d"]), (["a", "b c"], ["a", "b c"]), ("", []), ((), []), ("$HOME;x", ["$HOME;x"])],
)
def test_create_request_command_is_split_and_no_shell_runs(command: Any, words: list[str]) -> None:
    """A string is split as a shell would, a list is taken as it is; an empty one is sent as such."""
    assert create_request("img", command, {})["Cmd"] == words


def test_create_request_command_with_an_open_quotation_is_refused() -> None:
    """The mistake is told before anything is sent."""
    with pytest.raises(InvalidArgument, match="can't be split: No closing quotation"):
        create_request("img", "echo 'a", {})


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        ({"volumes": ["/a:/b:ro", "v:/c"]}, "Binds", ["/a:/b:ro", "v:/c"]),
        ({"memory": "1.5g"}, "Memory", 3 << 29),
        ({"cpus": 0.5}, "NanoCpus", 500_000_000),
        ({"ulimits": {"nofile": 5}}, "Ulimits", [{"Name": "nofile", "Soft": 5, "Hard": 5}]),
        ({"ulimits": {"core": (1, 2)}}, "Ulimits", [{"Name": "core", "Soft": 1, "Hard": 2}]),
        ({"extra_hosts": {"a": "1.2.3.4"}}, "ExtraHosts", ["a:1.2.3.4"]),
        ({"restart": "on-failure:3"}, "RestartPolicy", {"Name": "on-failure", "MaximumRetryCount": 3}),
        ({"restart": "always"}, "RestartPolicy", {"Name": "always", "MaximumRetryCount": 0}),
        ({"tmpfs": {"/t": ""}}, "Tmpfs", {"/t": ""}),
        ({"read_only": False}, "ReadonlyRootfs", False),
        ({"config": {"HostConfig": {"OomScoreAdj": 5}}}, "OomScoreAdj", 5),
    ],
)
def test_create_request_host_options(options: dict[str, Any], field: str, value: object) -> None:
    """Each keyword has its field."""
    assert host_config(**options)[field] == value


def test_create_request_devices_have_defaults() -> None:
    """The path in the container and the rights may be left out."""
    assert host_config(devices=["/dev/a", "/dev/a:/dev/b:r"])["Devices"] == [
        {"PathOnHost": "/dev/a", "PathInContainer": "/dev/a", "CgroupPermissions": "rwm"},
        {"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"},
    ]


def test_create_request_ports_are_exposed_and_bound() -> None:
    """A number is TCP; the host's side is a port, an address and a port, or the engine's choice."""
    request: Any = create_request("img", None, {"ports": {80: 8080, "53/udp": ("127.0.0.1", 5353), "90": None}})
    assert set(request["ExposedPorts"]) == {"80/tcp", "53/udp", "90/tcp"}
    assert request["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}],
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5353"}],
        "90/tcp": [{"HostIp": "", "HostPort": ""}],
    }


def test_create_request_unknown_keyword_is_a_type_error() -> None:
    """As with every function of Python."""
    with pytest.raises(TypeError, match="'memry'"):
        create_request("img", None, {"memry": 1})  # type: ignore[typeddict-unknown-key]
    with pytest.raises(TypeError, match="'name'"):
        exec_request("true", {"name": "x"}, stdin=False)  # type: ignore[typeddict-unknown-key]


@pytest.mark.parametrize(("size", "number"), [(5, 5), ("5", 5), ("1k", 1024), ("1 KiB", 1024), ("2m", 2 << 20)])
def test_size_bytes_takes_units(size: int | str, number: int) -> None:
    """Powers of 1024, as docker's flags."""
    assert size_bytes(size) == number


@pytest.mark.parametrize("size", ["", "m", "-1", "1x", "1mm"])
def test_size_bytes_of_what_is_none_is_refused(size: str) -> None:
    """With an example of how it is written."""
    with pytest.raises(InvalidArgument, match="invalid size"):
        size_bytes(size)


def test_filters_of_takes_one_value_several_and_flags() -> None:
    """A text is one value, not its letters."""
    assert filters_of({"status": "running", "label": ["a", "b"], "dangling": True}) == {
        "status": ["running"],
        "label": ["a", "b"],
        "dangling": ["true"],
    }


def test_moment_text_and_split_reference() -> None:
    """Times as seconds, references with the registry's port left alone."""
    assert moment_text(datetime(2020, 1, 1, tzinfo=UTC)) == "1577836800.000000000"
    assert (moment_text(1.5), moment_text(None), moment_text(0)) == ("1.500000000", "", "0.000000000")
    assert [split_reference(text) for text in ("a", "a:b", "host:5000/a", "host:5000/a:b")] == [
        ("a", ""),
        ("a", "b"),
        ("host:5000/a", ""),
        ("host:5000/a", "b"),
    ]
