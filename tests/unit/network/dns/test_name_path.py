"""Every fault on the way to a name is told by its own word, and a healthy way by none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shoal.network.dns.name_path import Asked, NamePath, Other, Outcome, first_fault, found

ANSWER = Outcome("answer", 0, ("10.1.0.2",))
NOTHING = Outcome("answer", 3)
SILENT, CLOSED, FAR = Outcome("silent"), Outcome("closed"), Outcome("unreachable")
# A container in a network of a user's own that asks for a neighbour.
NEIGHBOUR = NamePath(
    "box", "web", "running", "net", ("net",), True, servers=("127.0.0.11",), answer=ANSWER, known=("10.1.0.2",)
)
FOREIGN = replace(NEIGHBOUR, name="x.org", known=None, answer=ANSWER, asked=(Asked("10.0.0.53", ANSWER),))
LOST = replace(FOREIGN, name="web", answer=NOTHING, asked=(Asked("10.0.0.53", NOTHING),))
PLAIN = NamePath("box", "x.org", "running", "bridge", ("bridge",), servers=("10.0.0.53",), asked=FOREIGN.asked)


@pytest.mark.parametrize(
    "path",
    [
        NEIGHBOUR,
        FOREIGN,
        PLAIN,
        replace(NEIGHBOUR, hosts=("10.1.0.2", "10.2.0.2")),
        replace(PLAIN, hosts=("192.0.2.1",), asked=(), servers=()),
        replace(FOREIGN, servers=("10.0.0.53",), answer=None),
        replace(FOREIGN, asked=(Asked("10.0.0.1", SILENT), Asked("10.0.0.53", ANSWER))),
        replace(FOREIGN, others=(Other("x.org", "exited", ("net",)),)),
        replace(PLAIN, mode="host"),
    ],
)
def test_first_fault_of_a_healthy_way_is_none(path: NamePath) -> None:
    """Nobody is blamed who is not to blame: one silent server of two, a line in /etc/hosts that is right."""
    assert first_fault(path) is None
    assert found(path)


@pytest.mark.parametrize(
    ("cause", "path"),
    [
        ("not-running", replace(NEIGHBOUR, status="exited")),
        ("paused", replace(NEIGHBOUR, status="paused")),
        ("no-network", replace(NEIGHBOUR, mode="none")),
        ("hosts-file", replace(NEIGHBOUR, hosts=("192.0.2.9",))),
        ("no-name-server", replace(NEIGHBOUR, servers=())),
        ("no-name-server", replace(PLAIN, servers=(), asked=())),
        ("other-resolver", replace(NEIGHBOUR, servers=("10.0.0.53", "127.0.0.11"))),
        ("loopback-down", replace(NEIGHBOUR, answer=FAR, loopback_up=False, redirected=False)),
        ("redirect-gone", replace(NEIGHBOUR, answer=CLOSED, redirected=False)),
        ("resolver-blocked", replace(NEIGHBOUR, answer=SILENT)),
        ("target-not-running", replace(LOST, others=(Other("web", "exited", ("net",)),))),
        ("no-shared-network", replace(LOST, others=(Other("web", "running", ("other",)),))),
        ("default-bridge", replace(PLAIN, asked=LOST.asked, others=(Other("web", "running", ("bridge",)),))),
        ("internal", replace(LOST, leads_outside=False, asked=())),
        ("no-upstream", replace(LOST, asked=())),
        ("no-such-name", LOST),
        ("no-such-name", replace(LOST, asked=(Asked("10.0.0.1", CLOSED), *LOST.asked))),
        ("server-fails", replace(LOST, asked=(Asked("10.0.0.53", Outcome("answer", 2)),))),
        ("server-closed", replace(LOST, asked=(Asked("10.0.0.53", CLOSED, CLOSED),))),
        ("server-silent", replace(PLAIN, asked=(Asked("10.0.0.53", SILENT, SILENT),))),
        ("server-unreachable", replace(PLAIN, asked=(Asked("fd00::1", FAR, FAR),))),
        ("server-blocked", replace(PLAIN, asked=(Asked("10.0.0.53", SILENT, ANSWER),))),
        ("forwarding-off", replace(PLAIN, asked=(Asked("10.0.0.53", SILENT, ANSWER),), forwards=False)),
    ],
)
def test_first_fault_names_its_cause(cause: str, path: NamePath) -> None:
    """With a sentence that names the container or the server, and what to do."""
    fault = first_fault(path)
    assert fault is not None
    assert fault.cause == cause
    assert fault.sentence.endswith(".")
    assert fault.hint
