"""`pause` and `resume`: all processes of a container stopped, and let go on."""

from __future__ import annotations

from shoal.errors import Conflict, Unsupported
from shoal.linux.cgroups import Cgroup
from shoal.oci_runtime.arguments import Invocation
from shoal.oci_runtime.records import CREATED, RUNNING, Place, Record, find
from shoal.oci_runtime.report import Report


def pause(call: Invocation, report: Report) -> int:
    """Freezes the container."""
    del report
    record = _in_state(find(call.root, call.only_id()), (RUNNING, CREATED), "container not running or created")
    _group(record).freeze()
    return 0


def resume(call: Invocation, report: Report) -> int:
    """Thaws the container."""
    del report
    place = find(call.root, call.only_id())
    record = place.load()
    group = record.cgroup() if record is not None and record.is_alive() else None
    if group is None or not group.is_frozen():
        raise Conflict("container not paused")
    group.thaw()
    return 0


def _in_state(place: Place, wanted: tuple[str, ...], sentence: str) -> Record:
    record = place.load()
    status = place.status(record)
    if record is None or status not in wanted:
        raise Conflict(sentence, why=f"it is {status}")
    return record


def _group(record: Record) -> Cgroup:
    group = record.cgroup()
    if group is None:
        raise Unsupported("cannot pause a container without a cgroup")
    return group
