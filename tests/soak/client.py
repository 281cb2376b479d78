"""One client of a soak: it has containers of its own, of which it knows what may be, and does random things to them."""

from __future__ import annotations

import http.client
import io
import json
import random
import tarfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.engines.engine import Engine
from tests.engines.http import Response
from tests.soak.history import History
from tests.soak.model import PROGRAMS, Belief, SurpriseError, complete, whole_runs

ABROAD = ("shared-1", "shared-2")  # containers that all clients change at once: every answer but a failure is right
_PATIENCE_S = 30.0
# Operations and how often each is chosen.
WEIGHTS = {
    "create": 16, "start": 18, "stop": 6, "kill": 5, "terminate": 3, "restart": 4, "pause": 6, "unpause": 9,
    "remove": 6, "remove-force": 4, "rename": 3, "update": 3, "commit": 1, "logs": 7, "put": 3, "get": 4, "stats": 2,
    "top": 2, "exec": 9, "attach": 4, "wait": 4, "look": 8, "volume": 4, "list": 2, "abroad": 10,
}  # fmt: skip
FAILED = 500
ABROAD_REQUESTS = (
    *(("POST", "/containers/{}/" + verb) for verb in ["start", "kill", "pause", "unpause", "stop?t=0", "restart?t=0"]),
    *(("GET", "/containers/{}/" + noun) for noun in ["json?size=1", "logs?stdout=1", "top", "archive?path=/etc"]),
    ("DELETE", "/containers/{}"),
    ("DELETE", "/containers/{}?force=1"),
    ("POST", "/containers/{}/update"),
    ("POST", "/containers/create?name={}"),
    ("POST", "/containers/create?name={}"),
)


class AwayError(Exception):
    """The daemon is away, or was when the answer was to come."""


@dataclass
class Slot:
    """A place for one container."""

    name: str
    id: str = ""
    belief: Belief = field(default_factory=Belief)
    names: set[str] = field(default_factory=set)
    content: bytes | None = None
    # Whether the answer to a change was lost, so that one has to look before the next.
    lost: bool = False


class Client(threading.Thread):
    """Does random things until told to stop; what it may not see is noted as a failure in the history."""

    def __init__(self, engine: Engine, history: History, number: int, seed: int, stop: threading.Event) -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self._engine = engine
        self._history = history
        self._chance = random.Random(f"{seed}-{number}")
        self._stop_event = stop
        self.slots = [Slot(f"c{number}-{index}") for index in range(3)]

    def run(self) -> None:
        """Until told to stop, or something fails."""
        while not self._stop_event.is_set() and not self._history.failures:
            slot = self._chance.choice(self.slots)
            operation = self._chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            self._guarded(slot, lambda slot=slot, operation=operation: self._do(operation, slot))  # type: ignore[misc]

    def settle(self) -> None:
        """At the end, with nothing being killed: every container is as it must be, its log whole, and then gone."""
        for slot in self.slots:
            self._guarded(slot, lambda slot=slot: self._settle(slot))  # type: ignore[misc]

    def witness_lost(self) -> None:
        """A supervisor is killed: exit codes may become unknown."""
        for slot in self.slots:
            slot.belief.witness_lost = True

    def _guarded(self, slot: Slot, act: Callable[[], None]) -> None:
        try:
            act()
        except SurpriseError as surprise:
            self._history.fail(slot.name, str(surprise))
        except AwayError as away:
            self._history.note(slot.name, f"the daemon is away: {away}")
            self._stop_event.wait(0.05)
        except Exception as error:  # noqa: BLE001 - a thread's edge
            self._history.fail(slot.name, f"{type(error).__name__}: {error}")

    # -- requests ------------------------------------------------------------------------------------------------

    def _ask(self, slot: Slot, method: str, target: str, body: object = None) -> Response:
        """An answer that is none of the daemon's failures. Raises: AwayError; SurpriseError."""
        began = time.monotonic()
        try:
            answer = self._engine.request(method, target, body)
        except TimeoutError:
            raise SurpriseError(f"{method} {target} was not answered in 30 s") from None
        except (OSError, http.client.HTTPException) as error:
            if not self._history.disturbed(began):
                raise SurpriseError(f"{method} {target}: {error!r}, though nothing was killed") from error
            raise AwayError(f"{method} {target}: {error!r}") from error
        self._history.note(slot.name, f"{method} {target} ─▶ {answer.status} {answer.body[:150]!r}")
        if answer.status >= FAILED and self._history.disturbed(began):
            raise AwayError(f"{method} {target}: {answer.status}")
        return answer

    def _tell(self, slot: Slot, operation: str, method: str, target: str, body: object = None) -> Response | None:
        """The answer, which the belief has taken in, or None where it was lost."""
        began = time.monotonic()
        try:
            answer = self._ask(slot, method, target, body)
        except AwayError:
            slot.belief.lost(operation)
            slot.lost = True
            return None
        try:
            slot.belief.told(operation, answer.status)
        except SurpriseError as surprise:
            raise SurpriseError(f"{surprise}: {answer.body[:300]!r}") from None
        if self._history.disturbed(began):
            slot.belief.witness_lost = True  # it may have started before its supervisor was killed
        return answer

    # -- operations ----------------------------------------------------------------------------------------------

    def _do(self, operation: str, slot: Slot) -> None:
        if slot.lost:
            self._do_look(slot)
        special = getattr(self, f"_do_{operation}", None)
        if special is not None:
            special(slot)
        elif slot.id:
            method, path, body = {
                "start": ("POST", "/start", None),
                "stop": ("POST", "/stop?t=0", None),
                "kill": ("POST", "/kill", None),
                "terminate": ("POST", "/kill?signal=TERM", None),
                "restart": ("POST", "/restart?t=0", None),
                "pause": ("POST", "/pause", None),
                "unpause": ("POST", "/unpause", None),
                "remove": ("DELETE", "", None),
                "remove-force": ("DELETE", "?force=1", None),
                "update": ("POST", "/update", {"CpuShares": self._chance.choice((256, 512, 2048))}),
                "stats": ("GET", "/stats?stream=0&one-shot=1", None),
                "top": ("GET", "/top", None),
            }[operation]
            self._tell(slot, operation, method, f"/containers/{slot.id}{path}", body)

    def _do_create(self, slot: Slot) -> None:
        program = PROGRAMS[self._chance.choice(list(PROGRAMS))]
        slot.belief.begin(program)
        new = slot.belief.states == {"absent"}
        if new:
            slot.content = None
        host = {"Binds": [f"volume-{slot.name}:/data"]} if self._chance.random() < 0.3 else {}
        body = {"Image": "busybox", "Cmd": ["sh", "-c", program.script], "HostConfig": host}
        name = slot.name if new else next(iter(slot.names))
        answer = self._tell(slot, "create", "POST", f"/containers/create?name={name}", body)
        if answer is None and new:
            slot.id, slot.names = name, {name}
        elif answer is not None and answer.status == 201:
            slot.id, slot.names = answer.json["Id"], {name}

    def _do_look(self, slot: Slot) -> None:
        if not slot.id:
            return
        answer = self._ask(slot, "GET", f"/containers/{slot.id}/json")
        if answer.status == 404:
            slot.belief.seen(None, 0, 0)
            slot.lost = False
            return
        if answer.status != 200:
            raise SurpriseError(f"inspect was answered {answer.status}: {answer.body!r}")
        shown, slot.id = answer.json, answer.json["Id"]
        state = shown["State"]
        slot.belief.seen(state["Status"], state["ExitCode"], state["Pid"])
        if shown["Name"].lstrip("/") not in slot.names:
            raise SurpriseError(f"its name is {shown['Name']}, where {slot.names} may be")
        slot.names, slot.lost = {shown["Name"].lstrip("/")}, False
        if state["Running"] != (state["Status"] in ("running", "paused")):
            raise SurpriseError(f"Running and Status contradict each other: {json.dumps(state)}")

    def _do_rename(self, slot: Slot) -> None:
        if not slot.id:
            return
        old = next(iter(slot.names))
        new = slot.name if old != slot.name else f"{slot.name}-renamed"
        answer = self._tell(slot, "rename", "POST", f"/containers/{slot.id}/rename?name={new}")
        if answer is None:
            slot.names = {old, new}
        elif answer.status == 204:
            slot.names = {new}

    def _do_logs(self, slot: Slot) -> None:
        if slot.id and slot.belief.program.lines:
            answer = self._tell(slot, "logs", "GET", f"/containers/{slot.id}/logs?stdout=1")
            if answer is not None and answer.status == 200:
                wrong = whole_runs(unframed(answer.body), slot.belief.program.lines)
                if wrong:
                    raise SurpriseError(f"its log is not whole: {wrong}")

    def _do_commit(self, slot: Slot) -> None:
        if slot.id:
            answer = self._tell(slot, "commit", "POST", f"/commit?container={slot.id}&repo=soak-{slot.name}")
            if answer is not None and answer.status == 201:
                removed = self._ask(slot, "DELETE", f"/images/soak-{slot.name}:latest?force=1")
                if removed.status != 200:
                    raise SurpriseError(f"the committed image cannot be removed: {removed.body!r}")

    def _do_put(self, slot: Slot) -> None:
        if slot.id:
            content = self._chance.randbytes(300)
            slot.content = None  # until the answer says that it is there
            answer = self._tell(slot, "put", "PUT", f"/containers/{slot.id}/archive?path=/tmp", archive(content))
            if answer is not None and answer.status == 200:
                slot.content = content

    def _do_get(self, slot: Slot) -> None:
        if not slot.id:
            return
        answer = self._tell(slot, "get", "GET", f"/containers/{slot.id}/archive?path=/tmp/kept")
        if answer is None or slot.content is None or slot.belief.states == {"absent"}:
            return
        if answer.status != 200 or file_of(answer.body) != slot.content:
            raise SurpriseError(f"the file that was copied in is not there any more: {answer.status}")

    def _do_exec(self, slot: Slot) -> None:
        if not slot.id:
            return
        began, was = time.monotonic(), slot.belief.states
        body = {"Cmd": ["sh", "-c", "echo alive; exit 5"], "AttachStdout": True, "AttachStderr": True}
        made = self._tell(slot, "exec", "POST", f"/containers/{slot.id}/exec", body)
        if made is None or made.status != 201:
            return
        id = made.json["Id"]
        answer = self._ask(slot, "POST", f"/exec/{id}/start", {"Detach": False})
        ended = self._ask(slot, "GET", f"/exec/{id}/json")
        if was == {"running"} and not self._history.disturbed(began):
            told = (answer.status, unframed(answer.body), ended.status, ended.json.get("ExitCode"))
            if told != (200, "alive\n", 200, 5):
                raise SurpriseError(f"an exec in a running container: {told}, {answer.body[:200]!r}")

    def _do_attach(self, slot: Slot) -> None:
        """A client that looks on for a moment, and goes."""
        if not slot.id or not slot.belief.states <= {"exited", "ending"} or not slot.belief.program.ends:
            return
        head = f"POST /containers/{slot.id}/attach?stream=1&stdout=1&logs=1 HTTP/1.1\r\nHost: x\r\n"
        try:
            self._engine.exchange(f"{head}Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n".encode())
        except OSError as error:
            raise AwayError(str(error)) from error
        self._history.note(slot.name, "attached")

    def _do_wait(self, slot: Slot) -> None:
        belief = slot.belief
        if not slot.id or not belief.states <= {"ending", "exited"}:
            return
        answer = self._ask(slot, "POST", f"/containers/{slot.id}/wait")
        if answer.status != 200:
            raise SurpriseError(f"wait was answered {answer.status}: {answer.body!r}")
        code = answer.json["StatusCode"]
        if code not in belief.codes and not (code == -1 and belief.witness_lost):
            raise SurpriseError(f"wait tells {code}, where only {sorted(belief.codes)} may be")
        belief.states = frozenset({"exited"})

    def _do_volume(self, slot: Slot) -> None:
        name = f"volume-{slot.name}"
        made = self._ask(slot, "POST", "/volumes/create", {"Name": name})
        removed = self._ask(slot, "DELETE", f"/volumes/{name}")
        if made.status != 201 or removed.status not in (204, 409):
            raise SurpriseError(f"a volume: {made.status}, {removed.status} {removed.body!r}")

    def _do_list(self, slot: Slot) -> None:
        answer = self._ask(slot, "GET", "/containers/json?all=1&size=1")
        if answer.status != 200:
            raise SurpriseError(f"the list of containers was answered {answer.status}: {answer.body!r}")

    def _do_abroad(self, slot: Slot) -> None:
        method, target = self._chance.choice(ABROAD_REQUESTS)
        body = {"Image": "busybox", "Cmd": ["sh", "-c", self._chance.choice(list(PROGRAMS.values())).script]}
        policy = self._chance.choice(("no", "always", "on-failure"))
        host = {"RestartPolicy": {"Name": policy}, "AutoRemove": policy == "no" and self._chance.random() < 0.5}
        sent = {"create": {**body, "HostConfig": host}, "update": {"CpuShares": 512}}
        words = next((value for key, value in sent.items() if key in target), None)
        answer = self._ask(slot, method, target.format(self._chance.choice(ABROAD)), words)
        if answer.status >= FAILED:
            raise SurpriseError(f"{method} {target} was answered {answer.status}: {answer.body!r}")

    def _settle(self, slot: Slot) -> None:
        if not slot.id:
            return
        self._do_look(slot)
        belief = slot.belief
        if belief.states == {"paused"}:
            self._tell(slot, "unpause", "POST", f"/containers/{slot.id}/unpause")
        if belief.states <= {"ending", "exited"}:
            self._do_wait(slot)
            self._do_look(slot)
            self._do_logs(slot)
            self._check_last_line(slot)
        self._do_get(slot)
        self._tell(slot, "remove-force", "DELETE", f"/containers/{slot.id}?force=1")

    def _check_last_line(self, slot: Slot) -> None:
        """A program that came to its own end has all its lines in the log."""
        program = slot.belief.program
        if not program.lines:
            return
        state = self._ask(slot, "GET", f"/containers/{slot.id}/json").json["State"]
        if state["ExitCode"] == program.ends:
            text = unframed(self._ask(slot, "GET", f"/containers/{slot.id}/logs?stdout=1").body)
            if not complete(text, program.lines):
                raise SurpriseError(f"it ended by itself, and its log ends with {text[-40:]!r}")


def unframed(data: bytes) -> str:
    """The text of a multiplexed stream."""
    text = b""
    while data:
        size = int.from_bytes(data[4:8], "big")
        text, data = text + data[8 : 8 + size], data[8 + size :]
    return text.decode(errors="replace")


def archive(content: bytes) -> bytes:
    """A tar of one file, `kept`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("kept")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def file_of(data: bytes) -> bytes | None:
    """The content of the first file of a tar."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        member = tar.next()
        file = tar.extractfile(member) if member is not None else None
        return file.read() if file is not None else None
