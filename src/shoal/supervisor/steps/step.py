"""What a step of a plan is, and how one travels from shoald to the container's first process.

A step is a small object: its slots are its arguments, `describe` is the line that `--debug` shows, `run` does
it. On the wire it is `(name, {slot: value})` with values that `marshal` knows. Steps are compiled in shoald
(runtime/compile) and run in the child between clone and exec, so nothing here may import at run time.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, ClassVar

    from shoal.supervisor.steps.context import Context


class Step:
    """One thing that the child does. Subclasses declare `name`, their arguments as slots, and `run`."""

    __slots__: Iterable[str] = ()
    name: ClassVar[str] = ""

    def describe(self) -> str:
        """The step in one readable line."""
        raise NotImplementedError

    def run(self, ctx: Context) -> None:
        """Does it. Raises: SyscallError, or another ShoalError with the sentence for the client."""
        raise NotImplementedError

    def to_wire(self) -> tuple[str, dict[str, Any]]:
        """The step as data for `marshal`."""
        return self.name, {slot: getattr(self, slot) for slot in self.__slots__}

    @classmethod
    def from_wire(cls, arguments: dict[str, Any]) -> Step:
        """The step that `to_wire` wrote, whole again."""
        step = cls.__new__(cls)
        for slot in cls.__slots__:
            setattr(step, slot, arguments[slot])
        return step

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Step) and self.to_wire() == other.to_wire()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{self.name}: {self.describe()}>"
