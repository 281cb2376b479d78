"""Step 4 of the demo: start time and memory."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from shoal.cli.demo import archives, measures
from shoal.cli.demo.stage import Stage, Started
from shoal.cli.memory import available_kib, proportional_kib
from shoal.client.document import Json
from shoal.errors import Internal

_REPEATS = 10
_MOST_KIB = 8 * 1024


def show_cost(stage: Stage, crowd: Sequence[Started], before_kib: int) -> None:
    """Step 4, about the containers of `crowd`; `before_kib` was available before they started."""
    narration = stage.narration
    narration.step(4, "What a container costs")
    narration.explain(
        "MemAvailable is what the machine has less than before; PSS is what the processes themselves hold, pages in "
        "common divided among their users."
    )
    each_kib = (before_kib - available_kib()) / len(crowd)
    stage.footprint.note_processes()
    programs_kib = proportional_kib(started.pid for started in crowd) / len(crowd)
    helpers_kib = proportional_kib(stage.footprint.supervisor_pids())
    shoald_kib = proportional_kib([stage.engine.pid])
    narration.figure("create and start", measures.spread([started.took_s for started in crowd]))
    narration.figure("create, run, remove", measures.spread([whole_life_s(stage) for _ in range(_REPEATS)]))
    narration.figure("memory, each of ten", f"{each_kib / 1024:.2f} MiB of MemAvailable")
    narration.figure("  of it the program", f"{programs_kib / 1024:.2f} MiB PSS")
    narration.figure("memory, the supervisor", f"{helpers_kib / 1024:.1f} MiB PSS, for all containers together")
    narration.figure("memory, shoald", f"{shoald_kib / 1024:.1f} MiB PSS")
    narration.promise("all ten run", all(os.path.exists(f"/proc/{started.pid}") for started in crowd))
    # MemAvailable is the whole machine's, and others work on it too: the promise is about what is surely ours.
    own_kib = programs_kib + helpers_kib / len(crowd)
    narration.promise(
        f"each costs less than {_MOST_KIB // 1024} MiB with its part of the supervisor", own_kib < _MOST_KIB
    )


def whole_life_s(stage: Stage) -> float:
    """The seconds from create until a container that runs `true` is removed again. Raises: Internal if it fails."""
    containers = stage.client.containers
    body: dict[str, Json] = {"Image": archives.BUSYBOX_IMAGE, "Cmd": ["true"], "HostConfig": {"AutoRemove": True}}
    began = time.monotonic()
    ref = containers.create(body).text("Id")
    waiting = containers.wait(ref, condition="removed")
    try:
        containers.start(ref)
        code = waiting.result().number("StatusCode")
    finally:
        waiting.close()
    if code:
        raise Internal(f"`true` ended with code {code} in a container")
    return time.monotonic() - began
