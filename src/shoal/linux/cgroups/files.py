"""Read and write the small files of a control group.

Used by the supervisor and by shoald. cgroupfs takes a value in one write(2) and reports a refusal there, so
these functions use plain descriptors instead of buffered files.
"""

from __future__ import annotations

import os

from shoal.errors import SyscallError
from shoal.linux.files import read_file


def write_value(directory: str, name: str, value: str) -> None:
    """Write `value` to the control file `name`.

    Raises: SyscallError, whose object is "memory.max = 100".
    """
    write_each(directory, name, [value])


def write_each(directory: str, name: str, values: list[str]) -> None:
    """Write one value after the other to the control file `name`, which is opened once.

    Raises: SyscallError, whose object names the value that was refused.
    """
    value = ""
    try:
        number = os.open(f"{directory}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            for value in values:
                os.write(number, value.encode())
        finally:
            os.close(number)
    except OSError as error:
        raise SyscallError("write", f"{directory}/{name} = {value}", error.errno or 0) from None


def read_text(directory: str, name: str) -> str:
    """What the control file `name` says.

    Raises: SyscallError.
    """
    path = f"{directory}/{name}"
    try:
        return read_file(path).decode(errors="replace")
    except OSError as error:
        raise SyscallError("read", path, error.errno or 0) from None


def read_or_empty(directory: str, name: str) -> str:
    """What the control file `name` says; "" where this kernel does not have it or the group is gone."""
    try:
        return read_text(directory, name)
    except SyscallError:
        return ""


def read_number(directory: str, name: str) -> int | None:
    """The number in the control file `name`; None for "max", for no number, and for no file."""
    text = read_or_empty(directory, name).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def read_table(directory: str, name: str) -> dict[str, int]:
    """The lines "key number" of the control file `name`; empty where there is no such file."""
    return parse_table(read_or_empty(directory, name))


def parse_table(text: str) -> dict[str, int]:
    """The lines "key number" of `text`; lines of another form are left out."""
    table = {}
    for line in text.splitlines():
        key, _, number = line.partition(" ")
        if number.strip().isdigit():
            table[key] = int(number)
    return table


def read_pids(directory: str) -> list[int]:
    """The processes in this control group itself; empty when it is gone."""
    return [int(pid) for pid in read_or_empty(directory, "cgroup.procs").split()]


def subgroups(directory: str) -> list[str]:
    """The directories of the control groups directly below; empty when it is gone."""
    try:
        with os.scandir(directory) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def tree(directory: str) -> list[str]:
    """`directory` and all control groups below it, parents before their children."""
    found = [directory]
    for group in found:
        found += subgroups(group)
    return found
