"""What listing verbs share: `--filter`, `--format`, and the table they print without it."""

from __future__ import annotations

from shoal.cli.arguments import UsageError
from shoal.cli.table import aligned
from shoal.client.document import indented_json
from shoal.errors import ShoalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    from shoal.cli.context import Context
    from shoal.client.document import Json

    Row: TypeAlias = Mapping[str, Json]
else:
    Row = object


def parse_filters(texts: Sequence[str]) -> dict[str, list[str]]:
    """`name=value` flags as filters. Raises: UsageError."""
    filters: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(
                f'invalid argument "{text}" for "-f, --filter" flag: bad format of filter (expected name=value)',
                fix="write NAME=VALUE, like name=web",
            )
        filters.setdefault(name.strip().lower(), []).append(value.strip())
    return filters


def print_rows(
    rows: Sequence[Row],
    columns: Sequence[str],
    headings: Mapping[str, str],
    form: str,
    context: Context,
    looks: Callable[[Row], Sequence[str]] | None = None,
) -> None:
    """Prints `rows` in the asked form: "" or "table" is the table of `columns`; "json" one object a line; else a
    Go template for each row, with a heading if it begins with "table ". On a terminal a line of the table may have
    `looks`. Raises: InvalidArgument."""
    if form in ("", "table"):
        heading = [headings[column] for column in columns]
        cells = [[str(row[column]) for column in columns] for row in rows]
        lines = aligned([heading, *cells])
        style = context.style
        context.print(style(lines[0], "bold"))
        for row, line in zip(rows, lines[1:], strict=True):
            context.print(style(line, *(looks(row) if looks else ())))
    elif form == "json":
        for row in rows:
            context.print(row_json(row))
    else:
        _print_template(rows, headings, form, context)


def _print_template(rows: Sequence[Row], headings: Mapping[str, str], form: str, context: Context) -> None:
    from shoal.cli.template.evaluate import Template  # 7 ms that a plain `shoal ps` saves

    as_table = form.startswith("table ")
    template = Template(form.removeprefix("table ").replace("\\t", "\t").replace("\\n", "\n"))
    lines = [template.render(dict(row)) for row in rows]
    if as_table:
        heading = template.render(dict(headings))
        cells = [line.split("\t") for line in [heading, *lines]]
        lines = aligned(cells)
    for line in lines:
        context.print(line)


def field_rows(values: Sequence[Json], form: str, context: Context) -> None:
    """Prints whole documents: indented JSON for "", one line each for "json", else a Go template for each."""
    if not form:
        context.print(indented_json(list(values)))
        return
    from shoal.cli.template.evaluate import Template  # see above

    template = Template("{{json .}}" if form == "json" else form.replace("\\t", "\t").replace("\\n", "\n"))
    for value in values:
        try:
            text = template.render(value)
        except ShoalError:
            context.print("")  # as Docker's client: a line for each, also for the one that failed
            raise
        context.print(text)


class Lookup(dict):  # type: ignore[type-arg]  # of str to Json, which is known to the type checker only
    """A value of a row that templates call with a name: `{{.Label "name"}}`. JSON leaves it out."""


def row_json(row: Row) -> str:
    """A row as Docker's client writes it: in the order of the names, with what HTML could mistake escaped."""
    import json  # 4 ms with what it imports, which a table saves

    shown = {name: value for name, value in row.items() if not isinstance(value, Lookup)}
    text = json.dumps(shown, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text
