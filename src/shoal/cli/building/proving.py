"""`shoal build --prove`: the same build twice, at another time and with other times of files, and what differs then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from shoal.cli.building.request import BuildFlags
from shoal.cli.context import Context
from shoal.client.document import Document
from shoal.errors import InvalidArgument

_LATER_S = 86_400 + 3_601


class BuildOnce(Protocol):
    """Builds, with files that are so much younger; returns the image's id."""

    def __call__(self, options: BuildFlags, context: Context, *, changed_s: int = 0) -> str: ...


def prove(options: BuildFlags, context: Context, build: BuildOnce) -> int:
    """0 if both images are the same one, else 1, after what differs first was named, and the step that made it."""
    if "-" in (options.path, options.file):
        raise InvalidArgument("--prove reads everything twice, and standard input can't be", fix="name a directory")
    options.no_cache = True
    first = build(options, context)
    second = build(options, context, changed_s=_LATER_S)
    if first == second:
        context.print(f"reproducible: both builds made {first}")
        return 0
    context.print(f"not reproducible: {first} and {second}")
    step = _first_step(context.client.images.inspect, context, first, second)
    if step:
        context.print(f"the first step whose result differs: {step}")
    difference = next(iter(context.client.images.differences(first, second)), None)
    if difference is not None:
        context.print(f"the first difference: {_words(difference)}")
    return 1


def _first_step(inspect: Callable[[str], Document], context: Context, first: str, second: str) -> str:
    """What the history says of the step that made the first layer that differs; "" where no layer does."""
    layers = [inspect(image).texts("RootFS", "Layers") for image in (first, second)]
    pairs = enumerate(zip(*layers, strict=False))
    place = next((index for index, (one, other) in pairs if one != other), min(map(len, layers)))
    makers = [step for step in reversed(context.client.images.history(first)) if step.number("Size")]
    return makers[place].text("CreatedBy") if place < len(makers) else ""


def _words(difference: Document) -> str:
    """A difference in one line: the path or the field, and what differs of it."""
    raw = difference.raw
    return ", ".join(f"{name} {value}" for name, value in raw.items() if value) if isinstance(raw, dict) else str(raw)
