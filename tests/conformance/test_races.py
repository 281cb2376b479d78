"""Several clients at once on the same containers: each is answered, none with an internal error, and nothing is left.

Against shoald alone: the fixture's end asserts that nothing is left on the machine.
"""

from __future__ import annotations

import random
import threading

import pytest

from tests.engines.engine import Engine
from tests.engines.shoald import Shoald

NAMES = ("one", "two")
PROGRAMS = ("exec sleep 1000", "exit 0", "exit 1", "sleep 0.05")
ROUNDS = 80


def ask(engine: Engine, chance: random.Random) -> tuple[str, int, bytes]:
    """One request of any kind about one of two containers: what was asked, and the answer's status and body."""
    name = chance.choice(NAMES)
    if chance.random() < 0.25:
        policy = chance.choice(("no", "always", "on-failure"))
        host = {"RestartPolicy": {"Name": policy}, "AutoRemove": policy == "no" and chance.random() < 0.3}
        body = {"Image": "busybox", "Cmd": ["sh", "-c", chance.choice(PROGRAMS)], "HostConfig": host}
        answer = engine.request("POST", f"/containers/create?name={name}", body)
        engine.request("POST", f"/containers/{name}/start")
        return "create", answer.status, answer.body
    method, path = chance.choice(
        (
            *(("POST", f"/{verb}") for verb in ("start", "kill", "pause", "unpause", "stop?t=0", "restart?t=0")),
            *(("GET", f"/{noun}") for noun in ("json?size=1", "logs?stdout=1")),
            ("DELETE", ""),
            ("DELETE", "?force=1"),
            ("POST", f"/rename?name={chance.choice(NAMES)}"),
        )
    )
    answer = engine.request(method, f"/containers/{name}{path}")
    return f"{method} {path}", answer.status, answer.body


@pytest.mark.parametrize("seed", [1, 2])
def test_clients_at_once_meet_no_internal_error(private_shoald: Shoald, seed: int) -> None:
    """Whatever they do in whatever order, an answer is a success or a refusal, and every request ends."""
    failed: list[tuple[str, int, bytes]] = []

    def work(number: int) -> None:
        chance = random.Random(seed * 100 + number)
        failed.extend(told for told in (ask(private_shoald, chance) for _ in range(ROUNDS)) if told[1] >= 500)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert not any(worker.is_alive() for worker in workers)
    assert failed == []
    assert "Traceback" not in private_shoald.log
