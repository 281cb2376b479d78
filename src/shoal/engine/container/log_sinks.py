"""Where one container's output goes: the values of its log options, decided. Pure but for looking at paths.

Unlike Docker's, shoal's json-file is bounded when nobody says otherwise: five files of 20 MiB.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from shoal.engine.container.log_attributes import extra_attributes, journal_field
from shoal.engine.container.log_drivers import REMOTE_DRIVERS, binary_size, boolean, decimal_size, integer
from shoal.engine.container.log_syslog import LOCAL_ADDRESSES, syslog_address, syslog_facility
from shoal.engine.container.log_tag import Value, expand_tag
from shoal.engine.container.record import SHORT_ID, ContainerRecord
from shoal.errors import InvalidArgument
from shoal.runtime.driver import LogSink, RemoteLog

DEFAULT_MAX_SIZE_BYTES = 20 << 20
DEFAULT_MAX_FILES = 5
JOURNAL_SOCKET = "/run/systemd/journal/socket"
_DEFAULT_TAG = "{{.ID}}"
_QUEUE_BYTES = 1 << 20
# Where one word is expected, or one line.
_NOT_IN_A_TAG = dict.fromkeys((*range(33), 127), "_")


def log_sink(record: ContainerRecord, path: Path, hostname: str) -> LogSink:
    """Where the output of the container goes; `path` is the file, for the drivers that have one.

    The address of a remote receiver is as the user gave it. Raises: InvalidArgument for a bad value.
    """
    config = record.host_config.log_config
    if config.type == "none":
        return LogSink("none")
    if config.type == "local":
        return _local(config.config, path)
    if config.type in REMOTE_DRIVERS:
        remote = _journald(record) if config.type == "journald" else _syslog(record, hostname)
        return _cache(config.config, path, remote)
    return _json_file(record, path)


def _json_file(record: ContainerRecord, path: Path) -> LogSink:
    options = record.host_config.log_config.config
    size, files = options.get("max-size"), integer(options.get("max-file", "1"))
    # Only shoal needs a word for "without a limit".
    max_size = None if size in (None, "-1") else decimal_size(str(size))
    if max_size == 0:
        raise InvalidArgument("max-size must be a positive number")
    if files < 1:
        raise InvalidArgument("max-file cannot be less than 1")
    compress = boolean(options.get("compress", "false"))
    if compress and (files < 2 or max_size is None):
        raise InvalidArgument("compress cannot be true when max-file is less than 2 or max-size is not set")
    attributes = extra_attributes(options, record.config.labels, record.config.env or [])
    if options.get("tag"):
        attributes["tag"] = _tag(record, options["tag"])
    return LogSink(
        "json-file",
        str(path),
        max_size_bytes=DEFAULT_MAX_SIZE_BYTES if size is None else max_size,
        # With a size alone, Docker keeps one file.
        max_files=files if size is not None or "max-file" in options else DEFAULT_MAX_FILES,
        attributes=attributes,
        compress=compress,
    )


def _local(options: Mapping[str, str], path: Path, remote: RemoteLog | None = None) -> LogSink:
    try:
        size = decimal_size(options["max-size"]) if "max-size" in options else DEFAULT_MAX_SIZE_BYTES
    except InvalidArgument as problem:
        raise InvalidArgument(f"invalid value for max-size: {options['max-size']}: {problem.what}") from problem
    try:
        files = integer(options.get("max-file", str(DEFAULT_MAX_FILES)))
    except InvalidArgument as problem:
        raise InvalidArgument(f"invalid value for max-file: {options['max-file']}: {problem.what}") from problem
    try:
        compress = boolean(options.get("compress", "true"))
    except InvalidArgument as problem:
        raise InvalidArgument(f"error reading compress log option: {problem.what}") from problem
    if files < 0:
        raise InvalidArgument("max file count cannot be less than 0")
    if compress and files < 2:
        raise InvalidArgument("compression cannot be enabled when max file count is 1")
    return LogSink(
        "local", str(path), max_size_bytes=size or None, max_files=max(files, 1), compress=compress, remote=remote
    )


def _cache(options: Mapping[str, str], path: Path, remote: RemoteLog) -> LogSink:
    """A copy beside what is sent away, for `docker logs`: as `local`, with options of its own."""
    if boolean(options.get("cache-disabled", "false")):
        return LogSink("none", remote=remote)
    own = {key.removeprefix("cache-"): value for key, value in options.items() if key.startswith("cache-max-")}
    own["compress"] = options.get("cache-compress", "true" if own.get("max-file") not in ("0", "1") else "false")
    return _local(own, path, remote)


def _journald(record: ContainerRecord) -> RemoteLog:
    options = record.host_config.log_config.config
    tag = _tag(record, options.get("tag") or _DEFAULT_TAG)
    chosen = extra_attributes(options, record.config.labels, record.config.env or [], journal_field)
    # A container's own words are not to pass for the engine's.
    fields = {key: value for key, value in chosen.items() if key and key not in ("MESSAGE", "PRIORITY")}
    fields |= {
        "CONTAINER_ID": record.id[:SHORT_ID],
        "CONTAINER_ID_FULL": record.id,
        "CONTAINER_NAME": record.name,
        "CONTAINER_TAG": tag,
        "IMAGE_NAME": record.config.image,
        "SYSLOG_IDENTIFIER": tag,
    }
    return _queued(RemoteLog("unixgram", JOURNAL_SOCKET, format="journald", fields=fields), options)


def _syslog(record: ContainerRecord, hostname: str) -> RemoteLog:
    options = record.host_config.log_config.config
    address = syslog_address(options.get("syslog-address", "")) or LOCAL_ADDRESSES[0]
    remote = RemoteLog(
        address.protocol,
        address.host,
        address.port,
        format=options.get("syslog-format", ""),
        facility=syslog_facility(options.get("syslog-facility", "")),
        tag=_tag(record, options.get("tag") or _DEFAULT_TAG).translate(_NOT_IN_A_TAG),
        hostname=hostname,
        tls=_tls(options, address.host) if address.protocol == "tcp+tls" else (),
    )
    return _queued(remote, options)


def _tls(options: Mapping[str, str], name: str) -> tuple[str, ...]:
    files = [options.get(f"syslog-tls-{kind}", "") for kind in ("ca-cert", "cert", "key")]
    for file in files:
        if file and not os.path.isfile(file):
            raise InvalidArgument(f"could not read the TLS file {file!r}", fix="name files that the daemon can read")
    # Docker asks for the option, not for its value.
    return (name, *files, "1" if options.get("syslog-tls-skip-verify") else "0")


def _queued(remote: RemoteLog, options: Mapping[str, str]) -> RemoteLog:
    """The remote with the options about waiting."""
    size = options.get("max-buffer-size")
    return replace(
        remote,
        blocking=options.get("mode", "") != "non-blocking",
        queue_bytes=binary_size(size) if size is not None else _QUEUE_BYTES,
    )


def _tag(record: ContainerRecord, template: str) -> str:
    if "{{" not in template:
        return template
    config = record.config
    image_id = record.image_id.removeprefix("sha256:")
    fields: dict[str, Value] = {
        "ID": record.id[:SHORT_ID],
        "FullID": record.id,
        "Name": record.name,
        "ImageID": image_id[:SHORT_ID],
        "ImageFullID": record.image_id,
        "ImageName": config.image,
        "Command": " ".join([record.path, *record.args]),
        "ContainerID": record.id,
        "ContainerName": f"/{record.name}",
        "ContainerEntrypoint": record.path,
        "ContainerArgs": record.args,
        "ContainerImageID": record.image_id,
        "ContainerImageName": config.image,
        "ContainerEnv": config.env or [],
        "ContainerLabels": config.labels,
        "DaemonName": "shoal",
    }
    options = record.host_config.log_config.config
    return expand_tag(template, fields, lambda: extra_attributes(options, config.labels, config.env or []))
