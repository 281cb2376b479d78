"""QEMU's command line, and the messages between host and guest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vm.__main__ import SELECTION, selected
from tests.vm.checkout import ROOT
from tests.vm.machine import Disk, Shape, command
from tests.vm.messages import LARGEST_BYTES, Decoder, encode

SHAPE = Shape(Path("/k"), Path("/i"), disks=(Disk(Path("/a,b")),), ports=("one", "two"), append=("shoal.probe",))


def test_command_has_a_port_for_each_descriptor() -> None:
    """Each port is tied to its own socket."""
    line = command(SHAPE, [7, 9])
    assert "socket,id=port0,fd=7" in line
    assert "virtserialport,chardev=port1,name=two" in line
    assert line[-1].endswith(" shoal.probe")


def test_command_keeps_disks_as_they_are() -> None:
    """A guest's writes go nowhere, and a comma in a path ends no option."""
    drive = next(word for word in command(SHAPE, [7, 9]) if word.startswith("file=/a"))
    assert drive.startswith("file=/a,,b,")
    assert "snapshot=on" in drive


def test_command_of_kvm_shows_the_real_processor() -> None:
    """Emulated, everything that can be emulated is there; else what the machine has."""
    assert command(SHAPE, [7, 9])[4] == "max"
    assert command(Shape(Path("/k"), Path("/i"), "kvm"), [])[4] == "host"


@pytest.mark.parametrize("size", [1, 3, 4096])
def test_decoder_of_pieces_gives_whole_messages(size: int) -> None:
    """However a stream is cut, each message comes out once, in its order."""
    messages = [{"kind": "ready"}, {"kind": "file", "text": "ä" * 300}, {"kind": "exit", "code": 3}]
    stream = b"".join(encode(message) for message in messages)
    decoder = Decoder()
    found = [m for at in range(0, len(stream), size) for m in decoder.feed(stream[at : at + size])]
    assert found == messages


@pytest.mark.parametrize("stream", [(LARGEST_BYTES + 1).to_bytes(4, "big"), b"\0\0\0\2[]", b"\0\0\0\1{"])
def test_decoder_of_another_stream_refuses(stream: bytes) -> None:
    """A guest that talks nonsense is an error, not a large buffer."""
    with pytest.raises(ValueError):
        list(Decoder().feed(stream))


def test_arguments_without_a_test_follow_the_usual_selection() -> None:
    """`-x` alone does not mean every test that there is."""
    assert selected(["-x"]) == [*SELECTION, "-x"]
    assert selected(["tests/unit", "-x"]) == ["tests/unit", "-x"]
    assert selected(["tests/conftest.py::x"]) == ["tests/conftest.py::x"]


def test_selection_names_what_there_is() -> None:
    """A test that moved is noticed here, not after a boot."""
    assert not [word for word in SELECTION if not word.startswith("--") and not (ROOT / word).exists()]
