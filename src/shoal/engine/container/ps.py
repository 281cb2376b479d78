"""What `docker top` makes of ps: its arguments checked, its table cut down to the container's processes. Pure.

ps runs on the host, so its pids are the host's, and its options are those of the host's ps.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from shoal.api.top import ContainerTopResponse
from shoal.errors import Internal, InvalidArgument, Unsupported
from shoal.linux.process_table import AUX, FULL

DEFAULT_ARGUMENTS = "-ef"
# execve(2) allows 128 KiB for one argument; ours may have several bytes a character.
_ARGUMENTS_MAX = 32_000
# As the reference does: `-o pid=PID` may not rename another column to PID.
_RENAMED_TO_PID = re.compile(r"\s([^\s]*)=\s*(PID[^\s]*)")
_BLANKS = re.compile(r"[\t\n\v\f\r ]+")


def check_arguments(text: str) -> None:
    """Raises: InvalidArgument for arguments that would name another column PID, or that no program can be given."""
    if "\0" in text or len(text) > _ARGUMENTS_MAX:
        raise InvalidArgument("invalid ps arguments", why="they have a null byte, or are too long")
    for name, title in _RENAMED_TO_PID.findall(text):
        if name != "pid":
            raise InvalidArgument(f'specifying "{name}={title}" is not allowed')


def check_titles(titles: Collection[str]) -> None:
    """Raises: Internal, in Docker's words, for a table without pids."""
    if "PID" not in titles:
        raise Internal("Couldn't find PID field in ps output", fix="ask for the column pid as well")


def parse_table(output: str, pids: Collection[int]) -> ContainerTopResponse:
    """The rows of the container's processes, the last column with its blanks.

    Raises: Internal, in Docker's words, for an output without pids.
    """
    lines = output.split("\n")
    titles = _fields(lines[0])
    check_titles(titles)
    place = titles.index("PID")
    rows: list[list[str]] = []
    belongs = False
    for line in lines[1:]:
        fields = _fields(line)
        if not fields:
            continue
        # "-" stands where ps shows threads below their process (-m).
        if fields[place] != "-":
            belongs = _number(fields[place]) in pids
        if belongs:
            rows.append([*fields[: len(titles) - 1], " ".join(fields[len(titles) - 1 :])])
    return ContainerTopResponse(processes=rows, titles=titles)


def _fields(line: str) -> list[str]:
    return [field for field in _BLANKS.split(line) if field]


def _number(text: str) -> int:
    if not text.isdigit():
        raise Internal(f"Unexpected pid '{text}' in ps output")
    return int(text)


def own_columns(arguments: Sequence[str]) -> Sequence[str]:
    """The columns that ps would show for these arguments, of the forms that shoal knows without it.

    Raises: Unsupported for any other form.
    """
    words = [word for word in arguments if word not in ("-e", "-A", "ax", "-ax", "--no-headers")]
    if not words or words in (["-ef"], ["-f"], ["-fe"]):
        return FULL
    if words in (["aux"], ["-aux"], ["u"]):
        return AUX
    first, *rest = words
    if first in ("-o", "-eo", "o", "axo", "-Ao") and rest:
        return [name.lower() for part in rest for name in part.split(",") if name and part not in ("-o", "o")]
    raise Unsupported(
        f"ps {' '.join(arguments)} is not served here",
        why="there is no ps, or it does not see into the virtual machine: shoal itself knows -ef, aux and -o COLUMNS",
        fix="use one of these; for a container: apt-get install procps",
    )
