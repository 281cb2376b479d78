"""`--chmod`: octal (`0644`) and symbolic (`u=rwX,go-w`) modes of files. chmod(1). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shoal.errors import InvalidArgument

_OCTAL = re.compile(r"[0-7]{1,5}\Z")
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)\Z")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_AFFECTED = {"u": 0o4700, "g": 0o2070, "o": 0o1007}
_LETTERS = {"r": 0o444, "w": 0o222, "x": 0o111, "X": 0o111, "s": 0o6000, "t": 0o1000}
_SET_ID = 0o6000
_MOST = 0o7777


@dataclass(frozen=True, slots=True)
class _Action:
    who: str
    operator: str
    what: str


@dataclass(frozen=True, slots=True)
class Mode:
    """What becomes of a file's mode: a mode in its place, or changes to it."""

    octal: int | None
    actions: tuple[_Action, ...] = ()

    def applied_to(self, mode: int, *, is_directory: bool) -> int:
        """The permission bits of a file that had those of `mode`."""
        if self.octal is not None:
            return self.octal
        bits = mode & _MOST
        for action in self.actions:
            bits = _changed(bits, action, is_directory)
        return bits


def parse_mode(text: str) -> Mode:
    """The mode that `text` means.

    Raises: InvalidArgument.
    """
    if _OCTAL.match(text) and int(text, 8) <= _MOST:
        return Mode(int(text, 8))
    actions: list[_Action] = []
    for part in text.split(","):
        clause = _CLAUSE.match(part)
        if clause is None:
            raise InvalidArgument(
                f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777",
                fix="write an octal mode such as 0644, or a symbolic one such as u=rwX,go=rX",
            )
        who = "ugo" if clause[1] == "" or "a" in clause[1] else clause[1]
        actions += [_Action(who, operator, what) for operator, what in _ACTION.findall(clause[2])]
    return Mode(None, tuple(actions))


def _changed(mode: int, action: _Action, is_directory: bool) -> int:
    affected = 0
    for who in action.who:
        affected |= _AFFECTED[who]
    bits = _bits(mode, action.what, is_directory) & affected
    if action.operator == "+":
        return mode | bits
    if action.operator == "-":
        return mode & ~bits
    # chmod(1): a directory keeps its set-ID bits unless they are named.
    kept = mode & _SET_ID if is_directory and "s" not in action.what else 0
    return mode & ~affected | bits | kept


def _bits(mode: int, what: str, is_directory: bool) -> int:
    """The bits that the letters name, for the owner, the group and others alike."""
    if what in _SHIFTS:
        return (mode >> _SHIFTS[what] & 0o7) * 0o111
    bits = 0
    for letter in what:
        if letter != "X" or is_directory or mode & 0o111:
            bits |= _LETTERS[letter]
    return bits
