"""`shoal volume`, and the volumes of `run`: what is asked of the engine, and what is printed."""

from __future__ import annotations

import json

import pytest

from shoal.cli.container.mounts import parse_mount
from tests.unit.cli.invocation import shoal
from tests.unit.client.scripted import answer

VOLUME = {"Name": "data", "Driver": "local", "Labels": {"b": "2", "a": "1"}, "Mountpoint": "/v/data", "Scope": "local"}


def test_volume_create_sends_options_and_prints_the_name() -> None:
    """Labels and options of the driver are maps; the engine tells the name."""
    words = ("volume", "create", "--label", "a=1", "-o", "type=none", "-o", "device=/srv", "data")
    outcome = shoal(*words, scripts=[[answer(201, VOLUME)]])
    assert (outcome.code, outcome.stdout) == (0, "data\n")
    assert outcome.requests == ["POST /v1.50/volumes/create"]
    assert json.loads(outcome.received[0].body) == {
        "Name": "data",
        "Driver": "local",
        "DriverOpts": {"type": "none", "device": "/srv"},
        "Labels": {"a": "1"},
    }


def test_volume_create_with_two_names_is_a_mistake() -> None:
    """--name and a word exclude each other."""
    assert shoal("volume", "create", "--name", "a", "b").code == 125


def test_volume_ls_prints_a_table_sorted_by_name() -> None:
    """Two columns, as Docker's; -q prints names alone, and labels are there for templates."""
    answers = [answer(200, {"Volumes": [VOLUME, VOLUME | {"Name": "a0"}], "Warnings": None})]
    outcome = shoal("volume", "ls", "-f", "dangling=true", scripts=[answers])
    assert outcome.stdout == "DRIVER    VOLUME NAME\nlocal     a0\nlocal     data\n"
    assert outcome.requests == ["GET /v1.50/volumes?filters=%7B%22dangling%22%3A%7B%22true%22%3Atrue%7D%7D"]
    assert shoal("volume", "ls", "-q", scripts=[answers]).stdout == "a0\ndata\n"
    assert shoal("volume", "ls", "--format", "{{.Labels}}", scripts=[answers]).stdout == "a=1,b=2\na=1,b=2\n"
    assert shoal("volume", "ls", scripts=[[answer(200, {"Volumes": None})]]).stdout == "DRIVER    VOLUME NAME\n"


def test_volume_inspect_tells_what_there_is_and_what_not() -> None:
    """Found ones are printed, the others reported, and the code is 1."""
    missing = answer(404, {"message": "get x: no such volume"})
    outcome = shoal("volume", "inspect", "data", "x", scripts=[[answer(200, VOLUME), missing]])
    assert (outcome.code, json.loads(outcome.stdout)) == (1, [VOLUME])
    assert "get x: no such volume" in outcome.stderr
    assert shoal("volume", "inspect", "-f", "{{.Name}}", "data", scripts=[[answer(200, VOLUME)]]).stdout == "data\n"


def test_volume_rm_goes_on_after_a_failure() -> None:
    """Each is told; one that a container has is a failure."""
    busy = answer(409, {"message": "remove a: volume is in use - [c1]"})
    outcome = shoal("volume", "rm", "-f", "a", "b", scripts=[[busy, answer(204, None)]])
    assert (outcome.code, outcome.stdout) == (1, "b\n")
    assert "volume is in use - [c1]" in outcome.stderr
    assert outcome.requests == ["DELETE /v1.50/volumes/a?force=1", "DELETE /v1.50/volumes/b?force=1"]


def test_volume_prune_asks_first() -> None:
    """Without -f a plain Enter removes nothing; -a asks for named ones too."""
    assert shoal("volume", "prune", stdin=b"\n").requests == []
    report = answer(200, {"VolumesDeleted": ["v"], "SpaceReclaimed": 2000})
    outcome = shoal("volume", "prune", "-a", "--filter", "label=x", stdin=b"y\n", scripts=[[report]])
    assert outcome.stdout.endswith("[y/N] Deleted Volumes:\nv\n\nTotal reclaimed space: 2kB\n")
    assert "remove all local volumes" in outcome.stdout
    assert "all%22%3A%7B%22true%22%3Atrue" in outcome.requests[0]
    nothing = answer(200, {"VolumesDeleted": None, "SpaceReclaimed": 0})
    assert shoal("volume", "prune", "-f", scripts=[[nothing]]).stdout == "Total reclaimed space: 0B\n"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("volume-nocopy", {"NoCopy": True}),
        ("volume-subpath=a/b", {"Subpath": "a/b"}),
        ("volume-label=k=v,volume-label=alone", {"Labels": {"k": "v", "alone": ""}}),
        (
            "volume-opt=type=none,volume-driver=local,volume-opt=o=bind",
            {"DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind"}}},
        ),
    ],
)
def test_mount_of_a_volume_has_its_options(text: str, options: dict[str, object]) -> None:
    """Each `volume-` word of --mount goes where the API has it."""
    mount = parse_mount(f"type=volume,src=data,dst=/d,{text}")
    assert mount == {"Type": "volume", "Source": "data", "Target": "/d", "VolumeOptions": options}
