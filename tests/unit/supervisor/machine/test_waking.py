"""What a template's copy is filled with, and what is said to QEMU."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

from shoal.supervisor.loop import Loop
from shoal.supervisor.machine.places import RAM, STATE
from shoal.supervisor.machine.qmp import Qmp
from shoal.supervisor.machine.waking import Waking, copy_sparse, extents, renewal, spoil

PAGE = 4096
SIZE = 64 * PAGE


def sparse(path: Path, *pages: int) -> int:
    """A file of SIZE bytes, all hole but for these pages, each filled with its own number."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(file, SIZE)
    for page in pages:
        os.pwrite(file, bytes([page]) * PAGE, page * PAGE)
    return file


def test_copy_sparse_copies_the_pages_and_leaves_the_holes(tmp_path: Path) -> None:
    """What no guest has written takes no memory in a copy either."""
    source = sparse(tmp_path / "source", 3, 4, 40)
    target = os.memfd_create("target")
    os.ftruncate(target, SIZE)
    copy_sparse(source, target)
    assert os.pread(target, SIZE, 0) == os.pread(source, SIZE, 0)
    assert extents(target, SIZE) == [(3 * PAGE, 5 * PAGE), (40 * PAGE, 41 * PAGE)]


def test_copy_sparse_of_a_hole_is_one(tmp_path: Path) -> None:
    """A file without any data has no extents."""
    assert extents(sparse(tmp_path / "source"), SIZE) == []


def test_waking_says_what_is_to_happen_in_this_order(tmp_path: Path) -> None:
    """The state is read once the memory is there, the files are added behind it, and then only does the guest run."""
    (tmp_path / STATE).write_bytes(b"state")
    os.close(sparse(tmp_path / RAM, 1))
    loop = Loop()
    waking = Waking(loop, str(tmp_path))
    descriptors = waking.descriptors
    qemu = socket.socket(fileno=os.dup(descriptors["qmp"]))
    memory = os.dup(descriptors["ram"])
    failures: list[str] = []
    waking.begin(with_files=True, then=loop.stop, failed=failures.append)
    assert os.pread(memory, PAGE, PAGE) == b"\1" * PAGE
    said = commands(qemu)
    assert [command["execute"] for command in said] == [
        "qmp_capabilities",
        "migrate-set-capabilities",
        "migrate-incoming",
    ]
    assert said[-1]["arguments"] == {"uri": f"fd:{descriptors['state']}"}
    qemu.send(b'{"return": {}}\r\n{"event": "MIGRATION", "data": {"status": "comp')
    qemu.send(b'leted"}}\r\n')
    loop.run()
    assert [command["execute"] for command in commands(qemu)] == ["device_add", "cont"]
    assert failures == []
    waking.close()
    assert qemu.recv(1) == b""


def test_qmp_tells_an_error() -> None:
    """What QEMU refuses is told in its own words, once, and nothing is taken for done."""
    loop = Loop()
    line = Qmp(loop)
    told: list[str] = []
    line.on_error = lambda words: (told.append(words), loop.stop())[0]
    qemu = socket.socket(fileno=os.dup(line.theirs))
    line.started()
    qemu.send(b'{"error": {"class": "GenericError", "desc": "no such thing"}}\r\n')
    loop.run()
    assert told == ['{"error": {"class": "GenericError", "desc": "no such thing"}}']


def test_qmp_of_a_qemu_that_dies_early_raises_nothing() -> None:
    """It has not read what it was told: whoever started it hears of its end, and of its own last words."""
    loop = Loop()
    raised: list[BaseException] = []
    loop.on_error = raised.append
    line = Qmp(loop)
    line.started()
    line.execute('{"execute":"cont"}')
    loop.call_later(0.05, loop.stop)
    loop.run()
    assert raised == []


def test_spoil_takes_the_template_away_once(tmp_path: Path) -> None:
    """Two starts that fail with one template both say why they failed, and nothing of the other's."""
    (tmp_path / "template").mkdir()
    for _ in range(2):
        spoil(str(tmp_path / "template"))
    assert [path.name for path in tmp_path.iterdir()] == ["template.partial"]


def test_renewal_differs_each_time() -> None:
    """Two copies of one template do not draw the same random numbers."""
    assert renewal()["entropy"] != renewal()["entropy"]


def commands(qemu: socket.socket) -> list[dict[str, object]]:
    """The commands that were sent so far."""
    text = qemu.recv(65536).decode()
    found = []
    while text:
        command, end = json.JSONDecoder().raw_decode(text)
        found.append(command)
        text = text[end:]
    return found
