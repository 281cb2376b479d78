"""What somebody may have meant who wrote a word that there is not. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST = 3


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """The words of `known` that differ little from `word`, or begin with it; the nearest first, three at most."""
    allowed = max(1, min(3, len(word) // 3))
    ranked = []
    for candidate in known:
        distance = _distance(word.lower(), candidate.lower())
        if distance <= allowed or (len(word) > 1 and candidate.startswith(word)):
            ranked.append((distance, candidate))
    return [candidate for _, candidate in sorted(ranked)][:_MOST]


def did_you_mean(word: str, known: Iterable[str], *, quote: str = "") -> str:
    """The question to ask, "" where nothing is near."""
    found = [f"{quote}{candidate}{quote}" for candidate in nearest(word, known)]
    return f"did you mean {' or '.join(found)}?" if found else ""


def _distance(one: str, other: str) -> int:
    """How many letters must be put in, taken out, changed, or swapped with their neighbour, to get from one to the
    other."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        earlier, before = before, row
        row = [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
    return row[-1]
