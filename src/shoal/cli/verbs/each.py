"""Verbs that do one thing to each of several objects: go on after a failure, and tell by the exit code."""

from __future__ import annotations

from shoal.errors import ShoalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shoal.cli.context import Context


def for_each(refs: Sequence[str], action: Callable[[str], str | None], context: Context) -> int:
    """0 if `action` succeeded for every ref, else 1. Prints what it returned, or the ref where it returned None."""
    failures = 0
    for ref in refs:
        try:
            shown = action(ref)
        except ShoalError as error:
            context.report(error)
            failures += 1
        else:
            context.print(ref if shown is None else shown)
            context.stdout.flush()
    return 1 if failures else 0
