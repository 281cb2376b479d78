"""The flags of an instruction, `--name=value`, held against those that it has. Docker's Dockerfile reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from shoal.build.dockerfile.lines import Statement
from shoal.build.dockerfile.problems import did_you_mean

Kind = Literal["text", "list", "boolean"]


class Flags:
    """The flags that a statement has: each once, but for lists.

    Raises: DockerfileError, for a flag that the instruction does not have, one given twice, and one without its value.
    """

    def __init__(self, statement: Statement, known: Mapping[str, Kind]) -> None:
        self._values: dict[str, list[str]] = {}
        for flag in statement.flags:
            name, equals, value = flag[2:].partition("=")
            kind = known.get(name)
            if kind is None:
                hint = did_you_mean(f"--{name}", [f"--{flag}" for flag in known])
                raise statement.refuse(f"unknown flag: --{name}", at=f"--{name}", fix=hint or _known(statement, known))
            if name in self._values and kind != "list":
                raise statement.refuse(f"duplicate flag specified: {name}", at=f"--{name}")
            if kind == "boolean" and not equals:
                value = "true"
            elif not equals or (kind == "boolean" and not value):
                raise statement.refuse(f"missing a value on flag: {name}", at=f"--{name}")
            if kind == "boolean" and value.lower() not in ("true", "false"):
                raise statement.refuse(f"expecting boolean value for flag {name}, not: {value}", at=flag)
            self._values.setdefault(name, []).append(value)

    def text(self, name: str) -> str:
        """The value of a flag, "" where it is not given."""
        return self._values.get(name, [""])[0]

    def all(self, name: str) -> tuple[str, ...]:
        """The values of a flag that may be given several times."""
        return tuple(self._values.get(name, ()))

    def boolean(self, name: str) -> bool:
        """Whether the flag is given and true."""
        return self.text(name).lower() == "true"

    def boolean_or_none(self, name: str) -> bool | None:
        """The flag's value, None where it is not given."""
        return self.boolean(name) if name in self._values else None


def _known(statement: Statement, known: Mapping[str, Kind]) -> str:
    names = ", ".join(f"--{name}" for name in sorted(known))
    return f"{statement.name} has {names}" if names else f"{statement.name} has no flags"
