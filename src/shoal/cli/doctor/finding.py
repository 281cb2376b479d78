"""What a check found out."""

from __future__ import annotations

OK, WARNING, PROBLEM = "ok", "warning", "problem"


class Finding:
    """One thing that is as it should be (`ok`), is missing for something (`warning`), or in the way (`problem`).

    `detail` says what was seen, `fix` what to do; of a thing that is all right, `fix` is empty.
    """

    __slots__ = ("area", "detail", "fix", "name", "state")

    def __init__(self, area: str, name: str, state: str, detail: str = "", fix: str = "") -> None:
        self.area = area
        self.name = name
        self.state = state
        self.detail = detail
        self.fix = fix

    def as_row(self) -> dict[str, str]:
        """What `--format` sees."""
        return {
            "Area": self.area,
            "Name": self.name,
            "State": self.state,
            "Detail": self.detail,
            "Fix": self.fix,
        }


def read_text(path: str) -> str:
    """A small file's text without its end, "" where it can't be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 16).strip()
    except OSError:
        return ""


def read_number(path: str) -> int | None:
    """The number in a file of the kernel's; None where there is none, or it is `max`."""
    text = read_text(path).split()
    return int(text[0]) if text and text[0].lstrip("-").isdigit() else None
