"""Links: what a request means, what it gives, and how a hosts file follows."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from shoal.api.container import ContainerConfig
from shoal.api.host_config import HostConfig
from shoal.api.network import NetworkingConfig
from shoal.engine.container.link_variables import link_variables
from shoal.engine.container.links import Links, parse_link, with_address, without
from shoal.engine.container.record import ContainerRecord, StateRecord
from shoal.engine.container.registry import ContainerRegistry
from shoal.errors import Conflict, InvalidArgument, NotFound
from shoal.oci.rootfs import PlainRootfs


def container(name: str, *, running: bool = True, mode: str = "bridge") -> ContainerRecord:
    """A container whose id is its name's letters."""
    return ContainerRecord(
        id=name * 16,
        name=name,
        created_ns=1,
        image_id="sha256:0",
        config=ContainerConfig(hostname=f"{name}-host"),
        host_config=HostConfig(network_mode=mode),
        networking=NetworkingConfig(),
        path="true",
        args=[],
        rootfs=PlainRootfs("/nowhere"),
        state=StateRecord(status="running" if running else "exited"),
    )


class Bench:
    """Two containers, of which `owner` links to `target`, with hosts files in a directory."""

    def __init__(self, directory: Path) -> None:
        self.registry = ContainerRegistry(sqlite3.connect(":memory:", isolation_level=None))
        self.directory = directory
        self.links = Links(self.registry, lambda _: "10.0.0.2", self.hosts_file)
        self.target, self.owner = container("target"), container("owner")
        self.registry.add(self.target)
        self.owner.links = self.links.resolve(["target:one"])
        self.registry.add(self.owner)
        self.links.added(self.owner)

    def hosts_file(self, id: str) -> Path:
        """Where the container's hosts file is."""
        return self.directory / id


@pytest.mark.parametrize(
    ("text", "expected"),
    [("db", ("db", "db")), ("db:alias", ("db", "alias")), ("/db:/web/alias", ("db", "alias")), ("db:", ("db", ""))],
)
def test_parse_link_reads_both_notations(text: str, expected: tuple[str, str]) -> None:
    """What a user writes, and what an inspection shows and a client may send back."""
    assert parse_link(text) == expected


@pytest.mark.parametrize("text", ["", "a:b:c"])
def test_parse_link_refuses_what_is_none(text: str) -> None:
    """An empty one, and one of three parts."""
    with pytest.raises(InvalidArgument):
        parse_link(text)


def test_links_are_found_again_by_name(tmp_path: Path) -> None:
    """The name of a link is a name of its target, in both directions; a renamed target keeps it."""
    bench = Bench(tmp_path)
    assert bench.registry.find("owner/one") is bench.target
    assert bench.links.names_of(bench.target) == ["/target", "/owner/one"]
    bench.registry.rename(bench.target, "other")
    assert bench.links.shown(bench.owner) == ["/other:/owner/one"]


def test_links_are_known_after_a_restart(tmp_path: Path) -> None:
    """A new object on the same records knows who links to whom."""
    bench = Bench(tmp_path)
    again = Links(bench.registry, lambda _: "", bench.hosts_file)
    assert again.names_of(bench.target) == ["/target", "/owner/one"]
    again.removed(bench.owner)
    assert again.names_of(bench.target) == ["/target"]


def test_links_give_a_line_of_the_hosts_file(tmp_path: Path) -> None:
    """Alias, host name and name; nothing in a network that has no links."""
    bench = Bench(tmp_path)
    assert bench.links.hosts(bench.owner) == [("10.0.0.2", "one target-host target")]
    bench.owner.host_config.network_mode = "none"
    assert bench.links.hosts(bench.owner) == []


def test_links_to_a_container_that_is_gone_are_told(tmp_path: Path) -> None:
    """By the name that it had when it was linked to."""
    bench = Bench(tmp_path)
    bench.registry.delete(bench.target)
    with pytest.raises(Conflict, match="Cannot link to a non running container: /target AS /owner/one"):
        bench.links.hosts(bench.owner)


def test_links_follow_a_target_to_its_new_address(tmp_path: Path) -> None:
    """In place, because the container has this very file mounted; a hostile one is left alone."""
    bench = Bench(tmp_path)
    path = bench.hosts_file(bench.owner.id)
    path.write_text("127.0.0.1\tlocalhost\n10.0.0.9\tone target\n10.0.0.9\tonemore\n")
    before = path.stat().st_ino
    bench.links.moved(bench.target, "10.0.0.3")
    assert path.read_text() == "127.0.0.1\tlocalhost\n10.0.0.3\tone target\n10.0.0.9\tonemore\n"
    assert path.stat().st_ino == before
    path.write_text("x" * (2 << 20))
    bench.links.moved(bench.target, "10.0.0.4")
    assert path.stat().st_size == 2 << 20


def test_link_is_removed_with_its_line(tmp_path: Path) -> None:
    """The container's own name is no link, and one that is gone is not there."""
    bench = Bench(tmp_path)
    path = bench.hosts_file(bench.owner.id)
    path.write_text("10.0.0.2\tone target\n10.0.0.5\tme\n")
    bench.links.remove("owner/one")
    assert (path.read_text(), bench.owner.links) == ("10.0.0.5\tme\n", [])
    with pytest.raises(NotFound):
        bench.links.remove("owner/one")
    with pytest.raises(Conflict):
        bench.links.remove("target")


def test_hosts_file_changes_touch_whole_names_alone() -> None:
    """A name is one between a tab and a blank or the line's end; its characters mean themselves."""
    text = "1.1.1.1\ta.b x\n1.1.1.1\taxb\n1.1.1.1\ta.b\n"
    assert with_address(text, ["a.b"], "2.2.2.2") == "2.2.2.2\ta.b x\n1.1.1.1\taxb\n2.2.2.2\ta.b\n"
    assert without(text, "a.b") == "1.1.1.1\taxb\n"
    assert without("1.1.1.1\tlast", "last") == ""


def test_link_variables_of_two_ports_in_a_row_are_no_range() -> None:
    """A range begins with three; the first port of all is the link's own."""
    child = ContainerConfig(exposed_ports={"81/udp": {}, "80/tcp": {}}, env=["A=1", "PATH=/x", "BARE"])
    names = [entry.partition("=")[0] for entry in link_variables("/me/my-db", "10.0.0.2", child)]
    assert not any("START" in name or "END" in name for name in names)
    assert names[0] == "MY_DB_PORT"
    assert names[-2:] == ["MY_DB_NAME", "MY_DB_ENV_A"]
