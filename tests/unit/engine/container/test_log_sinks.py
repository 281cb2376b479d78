"""The values of log options: what the supervisor is told, and Docker's words for what makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.api.container import ContainerConfig
from shoal.api.host_config import HostConfig, LogConfig
from shoal.api.network import NetworkingConfig
from shoal.engine.container.log_sinks import log_sink
from shoal.engine.container.record import ContainerRecord
from shoal.errors import InvalidArgument
from shoal.oci.rootfs import PlainRootfs
from shoal.runtime.driver import LogSink, RemoteLog

ID = "abcdef0123456789" * 4
LABELS = {"app": "web", "team": "x\ny", "other": "1"}
ENV = ["COLOUR=blue", "SHAPE=round", "EMPTY="]


def sink(driver: str, **options: str) -> LogSink:
    """Where a container's output goes; an option's name has underscores here."""
    config = LogConfig(type=driver, config={key.replace("_", "-"): value for key, value in options.items()})
    record = ContainerRecord(
        id=ID,
        name="web",
        created_ns=1,
        image_id="sha256:" + "1" * 64,
        config=ContainerConfig(image="busybox:1", labels=LABELS, env=ENV),
        host_config=HostConfig(log_config=config),
        networking=NetworkingConfig(),
        path="sh",
        args=["-c", "true"],
        rootfs=PlainRootfs("/"),
    )
    return log_sink(record, Path("/log"), "host")


def remote(driver: str, **options: str) -> RemoteLog:
    """To whom it goes besides."""
    found = sink(driver, **options).remote
    assert found is not None
    return found


def test_json_file_nothing_said_is_bounded() -> None:
    """Unlike Docker's: five files of 20 MiB."""
    assert sink("json-file") == LogSink("json-file", "/log", max_size_bytes=20 << 20, max_files=5)


def test_json_file_size_and_number_are_what_was_said() -> None:
    """A size alone keeps one file, -1 is no bound, a number alone keeps the size."""
    found = [sink("json-file", max_size="10k"), sink("json-file", max_size="-1"), sink("json-file", max_file="3")]
    assert [(s.max_size_bytes, s.max_files) for s in found] == [(10_000, 1), (None, 1), (20 << 20, 3)]


def test_json_file_attributes_are_chosen_labels_and_environment() -> None:
    """labels, env and their regular expressions name them; a tag is one more."""
    found = sink("json-file", labels="app,absent", env="COLOUR", env_regex="^SH", labels_regex="^o", tag="{{.Name}}")
    assert found.attributes == {"app": "web", "COLOUR": "blue", "SHAPE": "round", "other": "1", "tag": "web"}


def test_local_is_compressed_unless_told_otherwise() -> None:
    """Docker's defaults: five files of 20 MiB, the old ones compressed."""
    assert sink("local") == LogSink("local", "/log", max_size_bytes=20 << 20, max_files=5, compress=True)
    assert not sink("local", compress="false", max_file="1").compress


@pytest.mark.parametrize(
    ("driver", "options", "sentence"),
    [
        ("json-file", {"max_size": "x"}, "invalid size: 'x'"),
        ("json-file", {"max_size": "0"}, "max-size must be a positive number"),
        ("json-file", {"max_file": "0"}, "max-file cannot be less than 1"),
        ("json-file", {"max_file": "x"}, 'strconv.Atoi: parsing "x": invalid syntax'),
        ("json-file", {"compress": "maybe"}, 'strconv.ParseBool: parsing "maybe": invalid syntax'),
        (
            "json-file",
            {"compress": "true"},
            "compress cannot be true when max-file is less than 2 or max-size is not set",
        ),
        ("json-file", {"env_regex": "("}, "error parsing regexp: missing closing ): `(`"),
        ("json-file", {"labels_regex": "["}, "error parsing regexp: missing closing ]: `[`"),
        ("local", {"max_size": "x"}, "invalid value for max-size: x: invalid size: 'x'"),
        ("local", {"max_file": "1"}, "compression cannot be enabled when max file count is 1"),
        (
            "local",
            {"compress": "maybe"},
            'error reading compress log option: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        ("syslog", {"syslog_address": "tcp+tls://h", "syslog_tls_cert": "/no"}, "could not read the TLS file '/no'"),
    ],
)
def test_log_sink_bad_value_is_refused(driver: str, options: dict[str, str], sentence: str) -> None:
    """In Docker's words."""
    with pytest.raises(InvalidArgument) as caught:
        sink(driver, **options)
    assert caught.value.what == sentence


def test_syslog_address_facility_and_tag() -> None:
    """The port is 514 unless given; the tag is one word whatever the labels say."""
    found = remote(
        "syslog", syslog_address="udp://[::1]", syslog_facility="local3", tag='{{index .ContainerLabels "team"}}'
    )
    assert (found.protocol, found.address, found.port, found.facility) == ("udp", "::1", 514, 19)
    assert (found.tag, found.hostname, found.blocking) == ("x_y", "host", True)
    assert remote("syslog").tag == ID[:12]
    assert remote("syslog", syslog_address="tcp+tls://h:6514", syslog_tls_skip_verify="true").tls == (
        "h",
        "",
        "",
        "",
        "1",
    )


def test_remote_logs_are_cached_in_the_local_format() -> None:
    """`docker logs` reads the copy; it can be bounded, or done without."""
    assert sink("syslog").driver == "local"
    bounded = sink("journald", cache_max_size="1m", cache_max_file="2", cache_compress="false")
    assert (bounded.max_size_bytes, bounded.max_files, bounded.compress) == (1_000_000, 2, False)
    assert not sink("syslog", cache_max_file="1").compress
    assert sink("syslog", cache_disabled="true").driver == "none"


def test_queue_is_bounded_as_asked() -> None:
    """mode and max-buffer-size."""
    found = remote("syslog", mode="non-blocking", max_buffer_size="4k")
    assert (found.blocking, found.queue_bytes) == (False, 4096)
    assert remote("journald").queue_bytes == 1 << 20


def test_journald_fields_of_the_engine_cannot_be_forged() -> None:
    """Chosen labels and environment become fields; none of them replaces what the engine says."""
    fields = remote("journald", labels="team", env="COLOUR,CONTAINER_NAME,MESSAGE,_PID").fields
    assert fields["TEAM"] == "x\ny"
    assert fields["COLOUR"] == "blue"
    forged = ContainerConfig(image="i", labels={"container.name": "forged", "priority": "0", "_pid": "1"})
    record = ContainerRecord(
        id=ID, name="web", created_ns=1, image_id="", config=forged, networking=NetworkingConfig(), path="", args=[],
        rootfs=PlainRootfs("/"),
        host_config=HostConfig(log_config=LogConfig(type="journald", config={"labels-regex": "."})),
    )  # fmt: skip
    found = log_sink(record, Path("/log"), "host").remote
    assert found is not None
    assert found.fields["CONTAINER_NAME"] == "web"
    assert "PRIORITY" not in found.fields
    assert found.fields["PID"] == "1"
