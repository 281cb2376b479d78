"""shoal.network.files: hosts, hostname and resolv.conf as Docker would write them."""

from __future__ import annotations

import pytest

from shoal.errors import InvalidArgument
from shoal.network import files
from shoal.network.files import ResolverOptions, hosts_file, resolv_conf_file, resolver_conf_file

HOST = """\
# made by dhcp
nameserver 127.0.0.1
nameserver 192.0.2.53
nameserver fe80::1%eth0
search lan example.com
options ndots:2
"""


def lines(text: str) -> list[str]:
    """The lines without comments."""
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_hostname_file_ends_with_a_newline() -> None:
    """One line."""
    assert files.hostname_file("web") == "web\n"


def test_hosts_file_of_a_bridged_container() -> None:
    """Docker's lines, the added hosts, and last the container's own name."""
    text = hosts_file(hostname="web", addresses=["172.17.0.2"], extra_hosts=["db:10.0.0.5"])
    assert text == (
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::\tip6-localnet\n"
        "ff00::\tip6-mcastprefix\n"
        "ff02::1\tip6-allnodes\n"
        "ff02::2\tip6-allrouters\n"
        "10.0.0.5\tdb\n"
        "172.17.0.2\tweb\n"
    )


def test_hosts_file_with_a_domain_has_both_names() -> None:
    """The qualified name comes first, so that it is the canonical one."""
    assert hosts_file(hostname="web", domain="example.com", addresses=["10.0.0.2"]).endswith(
        "10.0.0.2\tweb.example.com web\n"
    )


def test_hosts_file_without_address_has_no_own_line() -> None:
    """A container on the network `none`, here without IPv6."""
    assert hosts_file(hostname="web", ipv6=False) == "127.0.0.1\tlocalhost\n"


def test_extra_hosts_host_gateway_is_the_bridges_address() -> None:
    """`host.docker.internal:host-gateway`, and IPv6 addresses with and without brackets."""
    pairs = files.parse_extra_hosts(
        ["host.docker.internal:host-gateway", "six:fd00::5", "bracket:[fd00::6]"], "172.17.0.1"
    )
    assert pairs == [("host.docker.internal", "172.17.0.1"), ("six", "fd00::5"), ("bracket", "fd00::6")]


def test_extra_hosts_host_gateway_without_a_bridge_is_refused() -> None:
    """Docker's sentence, and what to do."""
    with pytest.raises(InvalidArgument, match="unable to derive the IP value for host-gateway"):
        files.parse_extra_hosts(["x:host-gateway"], "")


@pytest.mark.parametrize("entry", ["", "name", ":1.2.3.4", "a b:1.2.3.4", "name\nevil:1.2.3.4"])
def test_extra_hosts_malformed_is_refused(entry: str) -> None:
    """Nothing but one name and one address may come into the file."""
    with pytest.raises(InvalidArgument, match="bad format for add-host"):
        files.parse_extra_hosts([entry], "172.17.0.1")


@pytest.mark.parametrize("entry", ["name:", "name:1.2.3", "name:1.2.3.4\n5.6.7.8 evil"])
def test_extra_hosts_bad_address_is_refused(entry: str) -> None:
    """The address is one address."""
    with pytest.raises(InvalidArgument, match="invalid IP address in add-host"):
        files.parse_extra_hosts([entry], "172.17.0.1")


def test_host_network_hosts_file_is_the_hosts_and_what_is_added() -> None:
    """A missing newline at the end of the host's file doesn't glue lines together."""
    text = files.host_network_hosts_file("127.0.0.1 localhost", extra_hosts=["db:10.0.0.5"])
    assert text == "127.0.0.1 localhost\n10.0.0.5\tdb\n"


def test_resolv_conf_leaves_out_loopback_and_ipv6_servers() -> None:
    """What a container can't reach isn't in its file; search and options are kept."""
    assert lines(resolv_conf_file(HOST)) == ["nameserver 192.0.2.53", "search lan example.com", "options ndots:2"]


def test_resolv_conf_with_ipv6_keeps_servers_that_are_reachable() -> None:
    """With IPv6 in the container its servers stay, loopback ones don't."""
    text = resolv_conf_file("nameserver ::1\nnameserver fd00::53\n", ipv6=True)
    assert lines(text) == ["nameserver fd00::53"]


@pytest.mark.parametrize("host", ["", "nameserver 127.0.0.53\n", "nameserver ::1\nnameserver nonsense\n"])
def test_resolv_conf_without_a_usable_server_has_the_public_ones(host: str) -> None:
    """Docker's fallback."""
    assert lines(resolv_conf_file(host)) == ["nameserver 8.8.8.8", "nameserver 8.8.4.4"]


def test_resolv_conf_options_replace_the_hosts() -> None:
    """`--dns`, `--dns-search`, `--dns-option`; an asked for loopback server stays."""
    options = ResolverOptions(servers=["127.0.0.1", "1.1.1.1"], search=["corp"], options=["timeout:1"])
    assert lines(resolv_conf_file(HOST, options)) == [
        "nameserver 127.0.0.1",
        "nameserver 1.1.1.1",
        "search corp",
        "options timeout:1",
    ]


def test_resolv_conf_search_of_a_dot_is_none() -> None:
    """`--dns-search .` removes the host's."""
    assert lines(resolv_conf_file(HOST, ResolverOptions(search=["."]))) == ["nameserver 192.0.2.53", "options ndots:2"]


def test_resolv_conf_bad_server_is_refused() -> None:
    """A name is no address."""
    with pytest.raises(InvalidArgument, match="invalid IP address: dns"):
        resolv_conf_file(HOST, ResolverOptions(servers=["dns.example"]))


def test_resolv_conf_last_search_counts_and_other_lines_stay() -> None:
    """resolv.conf(5): domain and search exclude each other, the last one wins."""
    text = resolv_conf_file("domain old\nsearch new\nsortlist 10.0.0.0\nnameserver 10.0.0.1\n")
    assert lines(text) == ["nameserver 10.0.0.1", "search new", "sortlist 10.0.0.0"]


def test_resolv_conf_source_with_the_systemd_stub_is_the_real_file() -> None:
    """Only if the stub is the only server."""
    assert files.resolv_conf_source("nameserver 127.0.0.53\n") == files.SYSTEMD_RESOLV_CONF
    assert files.resolv_conf_source(HOST) == files.HOST_RESOLV_CONF


def test_host_network_resolv_conf_is_the_hosts_unless_asked() -> None:
    """Byte for byte without options; with them, loopback servers stay."""
    assert files.host_network_resolv_conf_file(HOST) == HOST
    changed = files.host_network_resolv_conf_file(HOST, ResolverOptions(search=["corp"]))
    assert "nameserver 127.0.0.1" in changed
    assert "search corp" in changed


def test_resolver_conf_file_leads_to_the_resolver_alone() -> None:
    """Search domains and options are the host's or those asked for, ndots:0 unless somebody says otherwise."""
    host = "nameserver 10.0.0.1\nsearch corp\noptions edns0\n"
    lines = resolver_conf_file(host, "127.0.0.11").splitlines()[1:]
    assert lines == ["nameserver 127.0.0.11", "search corp", "options edns0 ndots:0"]
    asked = ResolverOptions(["192.0.2.1"], ["."], ["ndots:3"])
    assert resolver_conf_file(host, "127.0.0.11", asked).splitlines()[1:] == [
        "nameserver 127.0.0.11",
        "options ndots:3",
    ]
