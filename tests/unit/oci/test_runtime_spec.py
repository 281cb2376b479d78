"""The runtime specification's types: JSON names, defaults, and refusal of what is none."""

from __future__ import annotations

import json

import msgspec
import pytest

from shoal.oci import runtime_spec as oci


def test_encode_uses_the_specifications_names_and_leaves_defaults_out() -> None:
    """A reader of config.json finds exactly the OCI's spelling, odd capitals included."""
    linux = oci.Linux(
        resources=oci.Resources(
            memory=oci.Memory(disable_oom_killer=True, kernel_tcp=1),
            block_io=oci.BlockIO(throttle_read_iops_device=(oci.ThrottleDevice(major=8, minor=0, rate=1),)),
        )
    )
    assert json.loads(oci.encode(oci.RuntimeSpec(linux=linux))) == {
        "ociVersion": "1.2.0",
        "linux": {
            "resources": {
                "memory": {"disableOOMKiller": True, "kernelTCP": 1},
                "blockIO": {"throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 1}]},
            }
        },
    }


def test_decode_reads_what_other_tools_write() -> None:
    """Unknown fields are passed over, missing ones have their defaults."""
    spec = oci.decode(b'{"ociVersion": "1.0.2", "hooks": {}, "process": {"cwd": "/", "args": ["sh"]}}')
    assert spec.oci_version == "1.0.2"
    assert spec.process == oci.Process(cwd="/", args=("sh",))


def test_decode_of_a_wrong_type_names_the_place() -> None:
    """The error leads to the field."""
    with pytest.raises(msgspec.ValidationError, match=r"process\.cwd"):
        oci.decode(b'{"process": {"cwd": 5}}')


def test_resources_data_is_plain_and_empty_without_resources() -> None:
    """The cgroup library and marshal take dictionaries, lists and numbers only."""
    assert oci.resources_data(None) == {}
    assert oci.resources_data(oci.Resources(pids=oci.Pids(limit=5))) == {"pids": {"limit": 5}}
