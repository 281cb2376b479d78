"""`state`, `list` and `ps`: what there is, as JSON and as tables."""

from __future__ import annotations

import json
import sys

from shoal.errors import InvalidArgument, NotFound, ShoalError, Unavailable
from shoal.oci_runtime.arguments import Invocation
from shoal.oci_runtime.records import Place, Record, all_places, find
from shoal.oci_runtime.report import Report

_COLUMNS = ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")
_GAP = 4
_FORMATS = ("table", "json")


def state(call: Invocation, report: Report) -> int:
    """Prints the state of a container as JSON."""
    del report
    place = find(call.root, call.only_id())
    print(json.dumps(_state(place, place.load()), indent=2))
    return 0


def list_(call: Invocation, report: Report) -> int:
    """Prints all containers: a table, JSON, or only their ids."""
    states = []
    for place in all_places(call.root):
        try:
            states.append(_state(place, place.load()))
        except NotFound:
            continue  # deleted meanwhile
        except ShoalError as error:
            report.warning(str(error))
    if call.flags.switch("quiet"):
        sys.stdout.writelines(f"{one['id']}\n" for one in states)
    elif _format(call) == "json":
        print(json.dumps(states))
    else:
        rows = [[str(one[key]) for key in ("id", "pid", "status", "bundle", "created")] + ["root"] for one in states]
        _print_table([list(_COLUMNS), *rows])
    return 0


def ps(call: Invocation, report: Report) -> int:
    """Prints the processes of a container: their pids as JSON, or what ps(1) tells of them."""
    del report
    place = find(call.root, call.id())
    record = place.load()
    group = record.cgroup() if record is not None else None
    pids = group.pids() if group is not None else [record.pid] if record is not None and record.is_alive() else []
    if _format(call) == "json":
        print(json.dumps(pids))
        return 0
    # Late: it takes as long to import as all the rest of `state`, which engines call often.
    import subprocess

    command = ["ps", *(call.words[1:] or ["-ef"])]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Unavailable("ps is not installed", fix="apt-get install procps, or use --format json") from None
    if listing.returncode != 0:
        raise InvalidArgument(f"{' '.join(command)}: {listing.stderr.strip()}")
    header, *lines = listing.stdout.splitlines()
    titles = header.split()
    if "PID" not in titles:
        raise InvalidArgument("couldn't find PID field in ps output")
    column = titles.index("PID")
    wanted = {str(pid) for pid in pids}
    print("\n".join([header, *(line for line in lines if line.split()[column] in wanted)]))
    return 0


def _state(place: Place, record: Record | None) -> dict[str, object]:
    status = place.status(record)
    if record is None:
        record = Record(place.id, "", "", "", {})
    return record.state(status)


def _format(call: Invocation) -> str:
    given = call.flags.text("format", "table")
    if given not in _FORMATS:
        raise InvalidArgument(f"invalid format option {given!r}", fix=f"use one of {', '.join(_FORMATS)}")
    return given


def _print_table(rows: list[list[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        cells = (cell.ljust(width + _GAP) for cell, width in zip(row, widths, strict=True))
        print("".join(cells).rstrip())
