"""A virtual machine's interface on a bridge network, seen from the tap that its guest is behind."""

from __future__ import annotations

import os
import select
import socket
import struct
import time

import pytest

from shoal.network.ports import PortRequest
from shoal.supervisor.machine.interfaces import take_over
from tests.kernel.network.conftest import Site

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not os.path.exists("/dev/net/tun"), reason="needs the kernel's tun"),
]
NO_OFFLOAD = bytes(10)  # virtio's header before each frame
ARP = 0x0806
WAIT_S = 2.0


@pytest.mark.parametrize("ports", [(), (PortRequest("tcp", 80),)], ids=["silent", "publishing"])
def test_guest_gets_the_answers_to_what_it_asks(site: Site, ports: tuple[PortRequest, ...]) -> None:
    """Also where the bridge sends its broadcasts back to it, as to all who publish ports and may ask for themselves."""
    container, endpoint = site.container(site.network(), *ports)
    tap, mac, _ = container.call(lambda: take_over("eth0", 0))
    with tap:
        own = bytes.fromhex(mac.replace(":", ""))
        body = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + own + socket.inet_aton(endpoint.ip)
        body += bytes(6) + socket.inet_aton(endpoint.gateway)
        question = b"\xff" * 6 + own + struct.pack(">H", ARP) + body
        answered = []
        for _ in range(3):
            os.write(tap.fileno(), NO_OFFLOAD + question)
            answered.append(_is_answered(tap.fileno(), own))
        assert answered == [True] * 3


def _is_answered(tap: int, own: bytes) -> bool:
    """Whether an ARP answer for `own` comes out of the tap."""
    deadline = time.monotonic() + WAIT_S
    while (left := deadline - time.monotonic()) > 0 and select.select([tap], [], [], left)[0]:
        frame = os.read(tap, 2000)[len(NO_OFFLOAD) :]
        if frame[:6] == own and frame[12:14] == struct.pack(">H", ARP):
            return True
    return False
