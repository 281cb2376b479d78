"""Which containers a list shows (Docker API v1.50 ContainerList, `filters`). Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from shoal.api.filters import Filters
from shoal.api.options import ListOptions
from shoal.engine.container.record import ContainerRecord
from shoal.engine.container.view import NetworkView, mount_points, port_rows
from shoal.engine.health.record import NO_HEALTH_CHECK, HealthRecord
from shoal.errors import InvalidArgument

_STATUSES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
_HEALTHS = (NO_HEALTH_CHECK, "starting", "healthy", "unhealthy")
_ACCEPTED = (
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
)


def select(
    records: Iterable[ContainerRecord],
    options: ListOptions,
    *,
    find: Callable[[str], ContainerRecord],
    ancestors: Callable[[str], Collection[str]],
    health: Callable[[str], HealthRecord | None],
    network: Callable[[ContainerRecord], NetworkView],
) -> list[ContainerRecord]:
    """The containers that the options let through, the newest first.

    `find` resolves a reference to a container, `ancestors` gives the ids of the images that descend from one, `health`
    the health of the container with an id, `network` what a container has of its network.

    Raises: InvalidArgument for a filter or a value that there is not; what `find` raises.
    """
    filters = options.filters
    filters.validate(_ACCEPTED)
    shows_all = options.all or options.limit is not None or "status" in filters
    tests = [*_tests(filters, find, ancestors), *_network_tests(filters, network)]
    if "health" in filters:
        tests.append(_health_test(filters, health))
    newest_first = sorted(records, key=lambda record: record.created_ns, reverse=True)
    chosen = [
        record for record in newest_first if (shows_all or record.is_active) and all(test(record) for test in tests)
    ]
    return chosen if options.limit is None else chosen[: options.limit]


_Test = Callable[[ContainerRecord], bool]


def _tests(
    filters: Filters, find: Callable[[str], ContainerRecord], ancestors: Callable[[str], Collection[str]]
) -> list[_Test]:
    tests: list[_Test] = [
        lambda record: filters.matches_prefix("id", record.id),
        lambda record: "name" not in filters or _name_matches(filters, record.name),
        lambda record: filters.matches_labels(record.config.labels),
    ]
    if filters.boolean("is-task", default=False):
        tests.append(lambda _: False)  # there are no swarm tasks
    if "status" in filters:
        statuses = _checked(filters, "status", _STATUSES)
        tests.append(lambda record: record.state.status in statuses)
    if "exited" in filters:
        codes = _numbers(filters, "exited")
        tests.append(lambda record: record.state.status == "exited" and record.state.exit_code in codes)
    if "before" in filters:
        limit_ns = min(find(ref).created_ns for ref in filters.get("before"))
        tests.append(lambda record: record.created_ns < limit_ns)
    if "since" in filters:
        start_ns = max(find(ref).created_ns for ref in filters.get("since"))
        tests.append(lambda record: record.created_ns > start_ns)
    if "ancestor" in filters:
        images = {image for ref in filters.get("ancestor") for image in ancestors(ref)}
        tests.append(lambda record: record.image_id in images)
    if "volume" in filters:
        tests.append(lambda record: _has_mount(record, filters.get("volume")))
    return tests


def _health_test(filters: Filters, health: Callable[[str], HealthRecord | None]) -> _Test:
    wanted = filters.get("health")
    for value in wanted:
        if value not in _HEALTHS:
            raise InvalidArgument(
                f"Unrecognised filter value for health: {value}", fix=f"use one of {', '.join(_HEALTHS)}"
            )

    def test(record: ContainerRecord) -> bool:
        known = health(record.id)
        return (known.status if known else NO_HEALTH_CHECK) in wanted

    return test


def _network_tests(filters: Filters, network: Callable[[ContainerRecord], NetworkView]) -> Sequence[_Test]:
    tests: list[_Test] = []
    if "network" in filters:
        tests.append(lambda record: _is_in_network(network(record), filters.get("network")))
    if "publish" in filters or "expose" in filters:
        public = {port for text in filters.get("publish") for port in _port_range("publish", text)}
        private = {port for text in filters.get("expose") for port in _port_range("expose", text)}
        tests.append(lambda record: _has_port(network(record), public, private))
    return tests


def _is_in_network(view: NetworkView, wanted: Collection[str]) -> bool:
    """Whether a network of the container has one of the names, or an id that begins with one."""
    return any(
        name in wanted or any(settings.network_id.startswith(id) for id in wanted if id)
        for name, settings in view.endpoints.items()
    )


def _has_port(view: NetworkView, public: Collection[str], private: Collection[str]) -> bool:
    """Whether a running container shows one of the ports: by its number on the host, or by its own."""
    return any(
        f"{row.public_port}/{row.type}" in public or f"{row.private_port}/{row.type}" in private
        for row in port_rows(view)
    )


def network_name(record: ContainerRecord) -> str:
    """The name of the network that the container is in: `bridge` when it did not say."""
    mode = record.host_config.network_mode
    return "bridge" if mode in ("", "default") else mode


def _name_matches(filters: Filters, name: str) -> bool:
    return filters.matches_pattern("name", name) or filters.matches_pattern("name", f"/{name}")


def _checked(filters: Filters, name: str, accepted: Collection[str]) -> tuple[str, ...]:
    values = filters.get(name)
    for value in values:
        if value not in accepted:
            raise InvalidArgument(f"invalid filter '{name}={value}'", fix=f"use one of {', '.join(accepted)}")
    return values


def _numbers(filters: Filters, name: str) -> set[int]:
    values = filters.get(name)
    for value in values:
        if not (value.isascii() and value.removeprefix("-").isdigit()):
            raise InvalidArgument(f"invalid filter '{name}={value}'", why=f'parsing "{value}": invalid syntax')
    return {int(value) for value in values}


def _has_mount(record: ContainerRecord, wanted: Collection[str]) -> bool:
    return any(
        point.name in wanted or point.source in wanted or point.destination in wanted for point in mount_points(record)
    )


def _port_range(name: str, text: str) -> list[str]:
    """`80`, `80/udp`, `8000-8010/tcp` as a list of `port/protocol`."""
    numbers, _, protocol = text.partition("/")
    first, _, last = numbers.partition("-")
    try:
        low, high = int(first), int(last or first)
    except ValueError as cause:
        raise InvalidArgument(f"invalid filter '{name}={text}'", why="a port is a number or a range") from cause
    if not 0 <= low <= high < 65536:
        raise InvalidArgument(f"invalid filter '{name}={text}'", why="ports go from 0 to 65535")
    return [f"{port}/{protocol or 'tcp'}" for port in range(low, high + 1)]
