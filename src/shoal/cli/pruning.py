"""What the prune verbs share: the question before, and the words after."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.cli.context import Context
from shoal.cli.quantities import decimal_size
from shoal.client.document import Document


def is_confirmed(warning: str, context: Context) -> bool:
    """Whether the user answers yes to the warning; anything else, and no answer, is no."""
    context.stdout.write(f"{warning}\nAre you sure you want to continue? [y/N] ")
    context.stdout.flush()
    return context.stdin.readline().strip().lower() in ("y", "yes")


def print_removed(heading: str, names: Sequence[str], context: Context) -> None:
    """The names of what was removed, under a heading; nothing where there are none."""
    if names:
        for line in (heading, *names, ""):
            context.print(line)


def removed_images(report: Document) -> list[str]:
    """The lines of an image prune: `untagged: NAME`, `deleted: ID`."""
    return [
        f"untagged: {step.text('Untagged')}" if step.text("Untagged") else f"deleted: {step.text('Deleted')}"
        for step in report.children("ImagesDeleted")
    ]


def print_reclaimed(size_bytes: int, context: Context) -> None:
    """The last line of every prune."""
    context.print(f"Total reclaimed space: {decimal_size(size_bytes, 4)}")
