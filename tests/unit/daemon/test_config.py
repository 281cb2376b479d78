"""Settings of shoald: flags, file, defaults."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shoal.daemon.config import parse
from shoal.errors import InvalidArgument


def _file(tmp_path: Path, **keys: object) -> str:
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps({name.replace("_", "-"): value for name, value in keys.items()}))
    return str(path)


def test_parse_nothing_said_is_the_default_daemon() -> None:
    """Without flags and file, the well-known places are used and containers survive the daemon."""
    config = parse(["--config-file", "/dev/null"] if Path("/etc/shoal/daemon.json").exists() else []).config
    assert str(config.data_root) == "/var/lib/shoal"
    assert config.hosts == ("unix:///run/shoal/docker.sock",)
    assert (config.ip_forward, config.shutdown_containers, config.containers_per_supervisor) == (True, False, 32)


def test_parse_flags_move_everything_with_the_roots(tmp_path: Path) -> None:
    """Socket and pidfile follow the exec root."""
    config = parse(["--data-root", f"{tmp_path}/d", "--exec-root", f"{tmp_path}/e", "--config-file", _file(tmp_path)])
    assert config.config.hosts == (f"unix://{tmp_path}/e/docker.sock",)
    assert config.config.pidfile == tmp_path / "e" / "shoald.pid"


def test_parse_file_sets_what_flags_leave_open(tmp_path: Path) -> None:
    """A key of the file counts like the flag of that name."""
    file = _file(tmp_path, bip="172.30.0.1/24", hosts=["unix:///a", "unix:///b"], log_level="warn", ip_forward=False)
    config = parse(["--config-file", file]).config
    assert (config.bip, config.hosts, config.log_level) == ("172.30.0.1/24", ("unix:///a", "unix:///b"), "warn")
    assert not config.ip_forward


def test_parse_image_drop_blobs_is_on_unless_told(tmp_path: Path) -> None:
    """Compressed layers that a registry has are kept only where that is asked for."""
    empty = ["--config-file", _file(tmp_path)]
    assert parse(empty).config.image_drop_blobs
    assert not parse([*empty, "--image-drop-blobs", "false"]).config.image_drop_blobs
    assert not parse(["--config-file", _file(tmp_path, image_drop_blobs=False)]).config.image_drop_blobs


def test_parse_image_store_budget_is_a_size(tmp_path: Path) -> None:
    """In powers of 1000, by flag or by key; no budget without one."""
    file = _file(tmp_path, image_store_budget="1.5GB")
    assert parse(["--config-file", file]).config.image_store_budget == 1_500_000_000
    empty = ["--config-file", _file(tmp_path)]
    assert parse([*empty, "--image-store-budget", "20m"]).config.image_store_budget == 20_000_000
    assert parse(empty).config.image_store_budget is None
    with pytest.raises(InvalidArgument, match="invalid image-store-budget: invalid size: 'much'"):
        parse([*empty, "--image-store-budget", "much"])


def test_parse_debug_flag_is_the_debug_level(tmp_path: Path) -> None:
    """-D and --log-level debug mean the same."""
    for flags in (["-D"], ["--log-level", "debug"]):
        config = parse([*flags, "--config-file", _file(tmp_path)]).config
        assert (config.debug, config.log_level) == (True, "debug")


def test_parse_validate_is_told(tmp_path: Path) -> None:
    """--validate only checks."""
    assert parse(["--validate", "--config-file", _file(tmp_path)]).validate


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["-H", "docker.sock"], "cannot listen on 'docker.sock'"),
        (["-H", "ftp://x"], "cannot listen on 'ftp://x'"),
        (["--bip", "172.30.0.0/24"], "invalid --bip '172.30.0.0/24'"),
        (["--default-address-pool", "base=nonsense,size=24"], "invalid base pool 'nonsense'"),
        (["--default-address-pool", "base=10.0.0.0/16,size=8"], "invalid pool size 8 of 10.0.0.0/16"),
        (["--bip", "nonsense"], "invalid --bip 'nonsense'"),
        (["--bip", "10.0.0.1/31"], "invalid --bip '10.0.0.1/31'"),
        (["--bridge", "a-name-that-is-too-long"], "invalid --bridge 'a-name-that-is-too-long'"),
        (["--containers-per-supervisor", "0"], "invalid --containers-per-supervisor 0"),
        (["--config-file", "/no/such/file"], "cannot read the configuration file '/no/such/file': it does not exist"),
    ],
)
def test_parse_bad_value_is_refused_with_its_name(flags: list[str], sentence: str) -> None:
    """Every bad value is told by flag and value."""
    with pytest.raises(InvalidArgument) as caught:
        parse(flags)
    assert caught.value.what == sentence


def test_parse_unknown_key_is_refused(tmp_path: Path) -> None:
    """A typing error in the file is found, not passed over."""
    with pytest.raises(InvalidArgument) as caught:
        parse(["--config-file", _file(tmp_path, data_rot="/x")])
    assert "data-rot" in caught.value.why


def test_parse_flag_and_key_together_are_refused(tmp_path: Path) -> None:
    """As with dockerd, a setting given twice is an error."""
    with pytest.raises(InvalidArgument) as caught:
        parse(["--data-root", "/x", "--config-file", _file(tmp_path, data_root="/y")])
    assert caught.value.what == (
        "the following directives are specified both as a flag and in the configuration file: data-root"
    )


def test_parse_tls_flags_name_the_files(tmp_path: Path) -> None:
    """--tlsverify asks for clients' certificates; --tls alone does not; what is not named is in its usual place."""
    none = _file(tmp_path)
    words = ["--config-file", none, "--tlscert", "/c", "--tlskey", "/k"]
    tls = parse([*words, "--tlsverify", "--tlscacert", "/ca"]).config.tls
    assert tls is not None
    assert (str(tls.certificate), str(tls.key), str(tls.client_authority)) == ("/c", "/k", "/ca")
    plain = parse([*words, "--tls"]).config.tls
    assert plain is not None
    assert plain.client_authority is None
    assert parse(["--config-file", none]).config.tls is None
    assert parse(["--config-file", none, "--tlsverify=false"]).config.tls is None
    usual = parse(["--config-file", _file(tmp_path, tlsverify=True)]).config.tls
    assert usual is not None
    assert str(usual.client_authority) == "/etc/shoal/tls/ca.pem"


def test_parse_tls_files_without_tls_are_refused(tmp_path: Path) -> None:
    """Whoever names a certificate and forgets --tlsverify must not believe to be safe."""
    with pytest.raises(InvalidArgument, match="--tlscert does nothing"):
        parse(["--config-file", _file(tmp_path), "--tlscert", "/c"])


def test_parse_address_pools_come_from_flag_or_file(tmp_path: Path) -> None:
    """In Docker's two forms; without them those that Docker tries."""
    flags = [
        "--default-address-pool",
        "base=10.66.0.0/16,size=24",
        "--default-address-pool",
        "base=10.67.0.0/16,size=20",
    ]
    expected = (("10.66.0.0/16", 24), ("10.67.0.0/16", 20))
    assert parse([*flags, "--config-file", _file(tmp_path)]).config.address_pools == expected
    file = _file(tmp_path, default_address_pools=[{"base": "10.66.0.0/16", "size": 24}])
    assert parse(["--config-file", file]).config.address_pools == (("10.66.0.0/16", 24),)
    assert parse(["--config-file", _file(tmp_path)]).config.address_pools[0] == ("172.17.0.0/16", 16)


def test_parse_ipv6_of_the_default_bridge(tmp_path: Path) -> None:
    """Off unless asked for; a subnet of its own, or one of the pools; each family has the pools of its own."""
    none = _file(tmp_path)
    plain = parse(["--config-file", none]).config
    assert (plain.ipv6, plain.bridge_address6, plain.address_pools6) == (False, None, ())
    words = ["--ipv6", "--fixed-cidr-v6", "fd00:1:2:3::/64", "--default-address-pool", "base=fd00:1:2::/48,size=64"]
    asked = parse(["--config-file", none, *words]).config
    assert (asked.ipv6, asked.bridge_address6) == (True, "fd00:1:2:3::1/64")
    assert (asked.address_pools, asked.address_pools6) == (plain.address_pools, (("fd00:1:2::/48", 64),))
    file = _file(tmp_path, ipv6=True, fixed_cidr_v6="fd00:1:2:3::/64")
    assert parse(["--config-file", file]).config.bridge_address6 == "fd00:1:2:3::1/64"


@pytest.mark.parametrize(
    "words",
    [
        ["--fixed-cidr-v6", "fd00::/64"],
        ["--ipv6", "--fixed-cidr-v6", "10.0.0.0/24"],
        ["--ipv6", "--fixed-cidr-v6", "fd00::/127"],
        ["--default-address-pool", "base=fd00::/64,size=127"],
    ],
)
def test_parse_ipv6_that_cannot_be_is_refused(words: list[str], tmp_path: Path) -> None:
    """A subnet without --ipv6, of the other family, or without room."""
    with pytest.raises(InvalidArgument):
        parse(["--config-file", _file(tmp_path), *words])
