"""Log drivers and the names of their options, refused in Docker's words when a container is made."""

from __future__ import annotations

import pytest

from shoal.api.host_config import LogConfig
from shoal.engine.container.log_drivers import (
    binary_size,
    boolean,
    check_log_config,
    decimal_size,
    integer,
    with_daemon_defaults,
)
from shoal.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "size"), [("10m", 10_000_000), ("1.5g", 1_500_000_000), ("512", 512), ("4 KiB", 4000)]
)
def test_decimal_size_units_are_powers_of_1000(text: str, size: int) -> None:
    """The size of files is read as Docker reads it, which takes KiB for kB."""
    assert decimal_size(text) == size


@pytest.mark.parametrize(("text", "size"), [("4m", 4 << 20), ("1k", 1024), ("7", 7)])
def test_binary_size_units_are_powers_of_1024(text: str, size: int) -> None:
    """The size of buffers is read as Docker reads that of memory."""
    assert binary_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "-1", "1m1", "1" * 40])
def test_decimal_size_bad_is_refused(text: str) -> None:
    """What is no size is told as Docker tells it."""
    with pytest.raises(InvalidArgument, match="invalid size: "):
        decimal_size(text)


def test_boolean_and_integer_are_gos() -> None:
    """The words that Go takes, and its sentences for others."""
    assert (boolean("T"), boolean("0")) == (True, False)
    with pytest.raises(InvalidArgument, match=r'strconv\.ParseBool: parsing "yes": invalid syntax'):
        boolean("yes")
    with pytest.raises(InvalidArgument, match=r'strconv\.Atoi: parsing "1\.5": invalid syntax'):
        integer("1.5")


@pytest.mark.parametrize(
    ("driver", "options", "sentence"),
    [
        ("nope", {}, 'error looking up logging plugin nope: plugin "nope" not found'),
        ("", {"x": "1"}, "unknown log opt 'x' for json-file log driver"),
        ("local", {"labels": "a"}, "unknown log opt 'labels' for log driver local"),
        ("journald", {"max-size": "1m"}, "unknown log opt 'max-size' for journald log driver"),
        ("syslog", {"cache-foo": "1"}, "unknown log opt 'cache-foo' for syslog log driver"),
        ("", {"mode": "foo"}, "logger: logging mode not supported: foo"),
        ("", {"max-buffer-size": "1m"}, "logger: max-buffer-size option is only supported with 'mode=non-blocking'"),
        (
            "",
            {"mode": "non-blocking", "max-buffer-size": "x"},
            "error parsing option max-buffer-size: invalid size: 'x'",
        ),
        ("syslog", {"syslog-address": "foo"}, "syslog-address should be in form proto://address, got foo"),
        ("syslog", {"syslog-address": "udp://h:99999"}, "syslog-address should be in form proto://address, got udp://"),
        ("syslog", {"syslog-address": "unix:///no/where"}, "stat /no/where: no such file or directory"),
        ("syslog", {"syslog-facility": "24"}, "invalid syslog facility"),
        ("syslog", {"syslog-format": "x"}, "Invalid syslog format"),
    ],
)
def test_check_log_config_bad_is_refused(driver: str, options: dict[str, str], sentence: str) -> None:
    """A driver or an option that there is not is refused when the container is made."""
    with pytest.raises(InvalidArgument) as caught:
        check_log_config(LogConfig(type=driver, config=options))
    assert caught.value.what.startswith(sentence)


def test_check_log_config_values_of_files_wait_for_the_start() -> None:
    """As with Docker, a bad size is no reason not to create a container; and `none` takes whatever comes."""
    check_log_config(LogConfig(config={"max-size": "much", "compress": "maybe"}))
    check_log_config(LogConfig(type="none", config={"x": "1"}))


def test_with_daemon_defaults_options_belong_to_their_driver() -> None:
    """A container gets the daemon's options where it has the daemon's driver, and its own count more."""
    default = LogConfig(type="local", config={"max-size": "1m", "max-file": "2"})
    assert with_daemon_defaults(LogConfig(), default) == default
    mixed = with_daemon_defaults(LogConfig(type="local", config={"max-size": "9m"}), default)
    assert mixed.config == {"max-size": "9m", "max-file": "2"}
    assert with_daemon_defaults(LogConfig(type="json-file"), default) == LogConfig(type="json-file")
