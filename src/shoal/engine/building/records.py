"""The last builds: which states their steps came to, for who wants to look at one, and for caches that are taken along.

They are in memory: after a restart of shoald the same build is done again, out of the cache.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from shoal.build.state import State
from shoal.errors import InvalidArgument, NotFound
from shoal.oci.reference import Reference

_KEPT = 16
_SHORT_ID = 12  # so many digits of an id name it


@dataclass(slots=True)
class Record:
    """One build. `names` are the image's, `ids` those of images that it made, `states` what each step came to.

    `result` is what the target came to, None for a build that failed.
    """

    names: frozenset[str]
    states: Mapping[int, State]
    result: State | None = None
    ids: set[str] = field(default_factory=set)

    def state(self, step: int) -> State:
        """What the step came to. Raises: InvalidArgument where there is none of this number."""
        if step not in self.states:
            numbers = ", ".join(map(str, sorted(self.states)))
            raise InvalidArgument(f"the build has no state of a step {step}", fix=f"its steps are {numbers}")
        return self.states[step]

    def cached_states(self, *, is_whole: bool) -> list[State]:
        """The states whose steps a cache has: those of all stages, or of the result alone. Raises: NotFound."""
        if self.result is None:
            raise NotFound("the build has failed", why="only one that has ended well has a cache to take along")
        return [*(self.states.values() if is_whole else ()), self.result]


class Records:
    """The builds, the newest first."""

    def __init__(self) -> None:
        self._records: deque[Record] = deque(maxlen=_KEPT)

    def add(self, record: Record) -> None:
        """Keep one more."""
        self._records.appendleft(record)

    def find(self, name: str) -> Record:
        """The newest build of this name of an image, or whose image, or failed state, has this id. Raises: NotFound."""
        digits = name.removeprefix("sha256:")
        for record in self._records:
            if len(digits) >= _SHORT_ID and any(id.removeprefix("sha256:").startswith(digits) for id in record.ids):
                return record
        try:
            wanted = str(Reference.parse(name).with_default_tag())
        except InvalidArgument:
            wanted = ""
        for record in self._records:
            if wanted in record.names:
                return record
        raise NotFound(f"no build of {name} is known", fix="build it again: what is in the cache is not made anew")
