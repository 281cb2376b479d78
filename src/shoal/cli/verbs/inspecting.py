"""What the inspect verbs share: look each name up, print what was found, then tell what was not."""

from __future__ import annotations

from shoal.cli.verbs.listing import field_rows
from shoal.errors import ShoalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shoal.cli.context import Context
    from shoal.client.document import Document, Json


def print_found(names: Sequence[str], look_up: Callable[[str], Document], form: str, context: Context) -> int:
    """0 if every name was found, else 1. Prints an empty list where none was, unless a form was asked for."""
    found: list[Json] = []
    problems: list[ShoalError] = []
    for name in names:
        try:
            found.append(look_up(name).raw)
        except ShoalError as error:
            problems.append(error)
    if found or not form:
        field_rows(found, form, context)
    for problem in problems:
        context.report(problem)
    return 1 if problems else 0
