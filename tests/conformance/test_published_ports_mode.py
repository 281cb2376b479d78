"""`published-ports`: whom published ports serve. Against shoald alone, which adds it; what it does to packets is in
tests/kernel/network/test_guarded_ports.py.
"""

from __future__ import annotations

import subprocess

import pytest

from tests.conformance.test_network import HELLO, fetch, web
from tests.engines.engine import Engine
from tests.engines.shoald import Shoald

pytestmark = pytest.mark.usefixtures("cli")


def asks_the_firewall(engine: Shoald) -> bool:
    """Whether the engine's table has what guarded ports need."""
    table = ["nft", "list", "table", "inet", f"sh-{engine.instance}"]
    return "guarded_any" in subprocess.run(table, capture_output=True, text=True, check=True).stdout


def test_published_ports_of_a_container_by_its_label(private_shoald: Shoald) -> None:
    """Open unless the label says otherwise; the host itself reaches both, and a restart of shoald keeps it."""
    first, second = private_shoald.free_port(), private_shoald.free_port()
    web(private_shoald, "-p", f"{first}:80")
    assert not asks_the_firewall(private_shoald)
    web(private_shoald, "-p", f"{second}:80", "--label", "shoal.published-ports=host-firewall", name="other")
    assert asks_the_firewall(private_shoald)
    assert (fetch(private_shoald, first), fetch(private_shoald, second)) == (HELLO, HELLO)
    private_shoald.kill9()
    private_shoald.start()
    assert asks_the_firewall(private_shoald)
    private_shoald.ok("rm", "-f", "other")
    assert not asks_the_firewall(private_shoald)


def test_published_ports_of_a_daemon_by_its_flag() -> None:
    """The setting is that of containers without the label."""
    engine = Shoald("--published-ports", "host-firewall")
    try:
        engine.start()
        engine.import_busybox()
        web(engine, "-p", f"{engine.free_port()}:80", "--label", "shoal.published-ports=open")
        assert not asks_the_firewall(engine)
        web(engine, "-p", f"{engine.free_port()}:80", name="other")
        assert asks_the_firewall(engine)
        engine.remove_containers()
    finally:
        engine.close()


def test_published_ports_of_a_bad_label_is_refused(shoald: Engine) -> None:
    """A word that means nothing must not mean open."""
    labels = {"shoal.published-ports": "firewall"}
    answer = shoald.request("POST", "/containers/create", {"Image": "busybox", "Labels": labels})
    assert answer.status == 400
    assert "invalid label shoal.published-ports: 'firewall'" in answer.json["message"]
