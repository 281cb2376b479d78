"""Options of the log driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.api.host_config import LogConfig
from shoal.engine.container.log_options import check_log_config, log_sink, parse_size
from shoal.errors import InvalidArgument, ShoalError, Unsupported


def test_log_sink_nothing_said_is_bounded() -> None:
    """A log cannot fill the disk just because nobody thought of it."""
    sink = log_sink(LogConfig(type="json-file"), Path("/log"))
    assert (sink.driver, sink.path, sink.max_size_bytes, sink.max_files) == ("json-file", "/log", 20 << 20, 5)


def test_log_sink_size_alone_keeps_one_file() -> None:
    """As with Docker, a size without a count keeps a single file."""
    sink = log_sink(LogConfig(type="json-file", config={"max-size": "10k"}), Path("/log"))
    assert (sink.max_size_bytes, sink.max_files) == (10 << 10, 1)


def test_log_sink_minus_one_is_unlimited() -> None:
    """Who wants Docker's unbounded log can have it."""
    assert log_sink(LogConfig(config={"max-size": "-1"}), Path("/log")).max_size_bytes is None


def test_log_sink_none_writes_nowhere() -> None:
    """The driver `none` has no file."""
    assert log_sink(LogConfig(type="none"), Path("/log")).driver == "none"


@pytest.mark.parametrize(("text", "size"), [("10m", 10 << 20), ("1.5g", 3 << 29), ("512", 512), ("4KiB", 4096)])
def test_parse_size_units_are_powers_of_1024(text: str, size: int) -> None:
    """Sizes are read as Docker reads them."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("config", "kind", "sentence"),
    [
        (LogConfig(type="nope"), InvalidArgument, "logger: no log driver named 'nope' is registered"),
        (LogConfig(type="journald"), Unsupported, "the log driver 'journald' is not served yet"),
        (LogConfig(config={"x": "1"}), InvalidArgument, "unknown log opt 'x' for json-file log driver"),
        (LogConfig(config={"max-file": "0"}), InvalidArgument, "max-file cannot be less than 1"),
        (LogConfig(config={"max-size": "much"}), InvalidArgument, "invalid size: 'much'"),
    ],
)
def test_check_log_config_bad_is_refused(config: LogConfig, kind: type[ShoalError], sentence: str) -> None:
    """A driver or an option that there is not is refused when the container is made."""
    with pytest.raises(kind) as caught:
        check_log_config(config)
    assert caught.value.what == sentence
