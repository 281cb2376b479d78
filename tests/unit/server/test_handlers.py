"""The served operations: what they ask of the engine, and how they answer."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
import pytest

from shoal.api.container import ContainerCreateRequest, ContainerInspect
from shoal.api.exec import ExecConfig
from shoal.api.filters import Filters
from shoal.api.log import LogEntry
from shoal.api.options import EventOptions, ImageListOptions, ListOptions, LogOptions
from shoal.api.stdcopy import encode_frame
from shoal.api.version import ApiVersion
from shoal.api.volume import VolumeCreateRequest
from shoal.errors import Internal
from tests.unit.server.fake_engine import CONTAINER_ID, IMAGE_ID, FakeEngine, event
from tests.unit.server.serving import Serving, run

JSON = "application/json"


def test_create_body_and_name_reach_the_engine() -> None:
    """A create gives the id with 201, and the engine gets the typed request."""

    async def scenario(server: Serving) -> None:
        body = b'{"Image":"alpine","Cmd":["true"],"Env":null,"HostConfig":{"Binds":null,"Isolation":"vm"}}'
        path = "/v1.50/containers/create?name=web&platform=linux%2Famd64"
        answer = await server.connect().ask("POST", path, body, Content_Type=JSON)
        assert answer.status == 201
        assert answer.json == {"Id": CONTAINER_ID, "Warnings": []}

    ((_, name, request, platform),) = run(scenario).containers.notes
    assert (name, platform) == ("web", "linux/amd64")
    assert isinstance(request, ContainerCreateRequest)
    assert (request.cmd, request.env, request.host_config.isolation) == (["true"], [], "vm")


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"", JSON, "invalid JSON: got EOF while reading request body"),
        (b"null", JSON, "config cannot be empty in order to create a container"),
        (b"{", JSON, "invalid JSON: "),
        (b'{"Hostname": 1}', JSON, "invalid JSON: Hostname: expected `str`, got `int`"),
        (b'{"HostConfig": {"Memory": "1g"}}', JSON, "invalid JSON: HostConfig.Memory: "),
        (b"[" * 5000, JSON, "invalid JSON: "),
        (b"{}", "", "malformed Content-Type header (): mime: no media type"),
        (b"{}", "text/plain", "unsupported Content-Type header (text/plain): must be 'application/json'"),
    ],
)
def test_create_bad_body_is_a_bad_request(body: bytes, content_type: str, message: str) -> None:
    """What is no configuration is refused with a sentence that says where it is wrong."""

    async def scenario(server: Serving) -> None:
        answer = await server.connect().ask("POST", "/containers/create", body, Content_Type=content_type)
        assert answer.status == 400
        assert answer.message.startswith(message)

    assert run(scenario).containers.notes == []


def test_create_body_over_the_limit_is_refused_before_it_is_all_read() -> None:
    """A body that is too long costs no more memory than the limit."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        await client.send(
            b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 17000000\r\n\r\n" + b" " * 17_000_000
        )
        assert (await client.answer()).message.startswith("request body too large")

    run(scenario)


def test_refusal_has_dockers_message_and_shoals_hints() -> None:
    """A conflict is a 409 whose extra fields say how to mend it."""

    async def scenario(server: Serving) -> None:
        answer = await server.connect().ask("POST", "/containers/create?name=taken", b"{}", Content_Type=JSON)
        assert answer.status == 409
        assert answer.json == {"message": "Conflict. The container name is in use", "fix": "docker rm taken"}

    run(scenario)


def test_simple_operations_pass_their_parameters_on() -> None:
    """Each operation without a body asks the engine for exactly what its query says."""
    expected = {
        "POST /containers/c1/start?detachKeys=a": ("start", "a"),
        "POST /containers/c1/stop?t=5&signal=INT": ("stop", "INT", 5),
        "POST /containers/c1/stop": ("stop", None, None),
        "POST /v1.24/containers/c1/stop?t=-1": ("stop", None, -1),
        "POST /containers/c1/restart?t=0": ("restart", None, 0),
        "POST /containers/c1/kill?signal=HUP": ("kill", "HUP"),
        "POST /containers/c1/kill": ("kill", None),
        "POST /containers/c1/rename?name=c2": ("rename", "c2"),
        "POST /containers/c1/pause": ("pause",),
        "POST /containers/c1/unpause": ("unpause",),
        "DELETE /containers/c1?force=1&v=true": ("remove", True, True, False),
        "DELETE /containers/c1?link=1&v=0": ("remove", False, False, True),
        "POST /containers/c1/resize?h=24&w=80": ("resize", 24, 80),
    }

    async def scenario(server: Serving) -> None:
        client = server.connect()
        for line in expected:
            method, _, path = line.partition(" ")
            assert (await client.ask(method, path)).status in (200, 204)

    assert run(scenario).containers.notes == list(expected.values())


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("POST", "/containers/c1/stop?t=ten", 'invalid value for "t": parsing "ten": invalid syntax'),
        ("POST", "/containers/c1/resize?h=24", "invalid terminal size '24'x''"),
        ("POST", "/containers/c1/resize?h=9999999999&w=1", "invalid terminal size '9999999999'x'1'"),
        ("POST", "/containers/c1/wait?condition=tea", 'invalid condition: "tea"'),
        ("GET", "/containers/json?filters=%7Bx", "invalid filter"),
        ("GET", "/containers/json?filters=%7B%22colour%22%3A%5B%22red%22%5D%7D", "invalid filter 'colour'"),
        ("GET", "/containers/c1/logs", "Bad parameters: you must choose at least one stream"),
        ("GET", "/containers/c1/logs?stdout=1&since=yesterday", "invalid timestamp 'yesterday'"),
        ("POST", "/containers/c1/start?checkpoint=x", "checkpoint is only supported in experimental mode"),
        ("GET", "/events?since=soon", "invalid timestamp 'soon'"),
        ("GET", "/v1.23/info", "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade"),
        ("GET", "/v1.99/info", "client version 1.99 is too new. Maximum supported API version is 1.50"),
        ("GET", "/v1.29/configs", '"GET /configs" requires API version 1.30'),
        ("GET", "/images/%ff/json", "invalid URL path"),
    ],
)
def test_bad_parameter_is_a_bad_request(method: str, path: str, message: str) -> None:
    """A parameter that can't be is a 400 with a sentence that names it."""

    async def scenario(server: Serving) -> None:
        answer = await server.connect().ask(method, path)
        assert answer.status == 400
        assert answer.message.startswith(message)

    run(scenario)


def test_list_parameters_are_parsed() -> None:
    """`docker ps` with everything reaches the engine as options."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        filters = "%7B%22status%22%3A%7B%22running%22%3Atrue%7D%2C%22label%22%3A%5B%22a%3Db%22%5D%7D"
        answer = await client.ask("GET", f"/containers/json?all=1&limit=3&size=1&filters={filters}")
        (summary,) = answer.json
        assert (summary["Id"], summary["ImageID"]) == (CONTAINER_ID, IMAGE_ID)
        assert "SizeRw" not in summary
        await client.ask("GET", "/containers/json?limit=-1")

    assert run(scenario).containers.notes == [
        ("list", ListOptions(all=True, limit=3, size=True, filters=Filters({"status": ["running"], "label": ["a=b"]}))),
        ("list", ListOptions()),
    ]


def test_inspect_is_the_wire_type() -> None:
    """What comes back decodes to what the engine gave."""

    async def scenario(server: Serving) -> None:
        answer = await server.connect().ask("GET", "/containers/c1/json")
        inspected = msgspec.json.decode(answer.body, type=ContainerInspect)
        assert inspected.config.image == "alpine"
        assert "SizeRw" not in answer.json
        assert answer.json["HostConfig"]["PidsLimit"] is None

    run(scenario)


def test_wait_flushes_its_head_before_the_container_ends() -> None:
    """`docker run` sends start only when it has seen the head of wait: held back, both would wait for ever."""
    engine = FakeEngine()

    async def scenario(server: Serving) -> None:
        waiter, starter = server.connect(), server.connect()
        await waiter.begin("POST", "/v1.50/containers/c1/wait?condition=next-exit")
        head = await waiter.head()
        assert (head.status, head.headers["content-type"]) == (200, "application/json")
        await starter.ask("POST", "/v1.50/containers/c1/start")
        assert await waiter.piece() == b'{"StatusCode":7}\n'
        assert await waiter.piece() == b""

    assert run(scenario, engine=engine).containers.notes[0] == ("wait", "next-exit")


def test_wait_that_fails_says_so_in_its_answer() -> None:
    """When the head is out, what went wrong is told where the docker command looks for it."""
    engine = FakeEngine()

    async def scenario(server: Serving) -> None:
        client = server.connect()
        await client.begin("POST", "/containers/c1/wait?condition=removed")
        await client.head()
        assert engine.containers.exit is not None
        engine.containers.exit.set_exception(Internal("the record is lost"))
        assert await client.piece() == b'{"StatusCode":-1,"Error":{"Message":"the record is lost"}}\n'

    run(scenario, engine=engine)


def test_logs_are_framed_stamped_and_chosen() -> None:
    """Lines come in order, those of a stream that was not asked for are left out, times stand in front."""
    engine = FakeEngine()
    engine.containers.log = [
        LogEntry(1, 1_000_000_001, b"one\n"),
        LogEntry(2, 2_000_000_000, b"two\n", {"env": "a b"}),
        LogEntry(1, 3_000_000_000, b"part"),
    ]

    async def scenario(server: Serving) -> None:
        client = server.connect()
        answer = await client.ask("GET", "/containers/c1/logs?stdout=1&timestamps=1&tail=2&since=5.000000001&until=9")
        assert answer.headers["content-type"] == "application/vnd.docker.multiplexed-stream"
        assert answer.body == encode_frame(1, b"1970-01-01T00:00:01.000000001Z one\n") + encode_frame(
            1, b"1970-01-01T00:00:03.000000000Z part"
        )
        answer = await client.ask("GET", "/v1.30/containers/c1/logs?stderr=1&details=1&tail=all&since=0")
        assert answer.headers["content-type"] == "application/vnd.docker.raw-stream"
        assert answer.body == encode_frame(2, b"env=a+b two\n")

    options = [note[1] for note in run(scenario, engine=engine).containers.notes]
    assert options == [
        LogOptions(stdout=True, timestamps=True, tail=2, since_ns=5_000_000_001, until_ns=9_000_000_000),
        LogOptions(stderr=True, details=True),
    ]


def test_logs_of_a_terminal_are_raw_and_travel_in_few_pieces() -> None:
    """Ten thousand lines that are there already need a handful of writes."""
    engine = FakeEngine()
    engine.containers.tty = True
    engine.containers.log = [LogEntry(1, number, b"a line of some length\n") for number in range(10_000)]

    async def scenario(server: Serving) -> None:
        client = server.connect()
        await client.begin("GET", "/containers/c1/logs?stdout=1&stderr=1")
        assert (await client.head()).headers["content-type"] == "application/vnd.docker.raw-stream"
        body, pieces = b"", 0
        while piece := await client.piece():
            body += piece
            pieces += 1
        assert body == b"a line of some length\n" * 10_000
        assert pieces < 40

    run(scenario, engine=engine)


@pytest.mark.parametrize(
    ("accept", "content_type", "prefix"),
    [
        ("", "application/json", b""),
        ("application/json", "application/json", b""),
        ("application/json-seq", "application/json-seq", b"\x1e"),
        ("text/html, application/x-ndjson;q=0.9", "application/x-ndjson", b""),
    ],
)
def test_events_are_flushed_one_by_one(accept: str, content_type: str, prefix: bytes) -> None:
    """The head comes before any event, and each event as soon as it happens, in the form that is accepted."""
    engine = FakeEngine()

    async def scenario(server: Serving) -> None:
        client = server.connect()
        await client.begin("GET", "/events?since=1.5&filters=%7B%22type%22%3A%5B%22container%22%5D%7D", Accept=accept)
        assert (await client.head()).headers["content-type"] == content_type
        for action in ("create", "start"):
            engine.system.queue.put_nowait(event(action))
            piece = await client.piece()
            assert piece.startswith(prefix + b"{")
            assert msgspec.json.decode(piece.removeprefix(b"\x1e"))["Action"] == action
        client.close()
        await engine.system.closed.wait()

    played = run(scenario, engine=engine)
    assert played.system.notes == [
        ("events", EventOptions(since_ns=1_500_000_000, filters=Filters({"type": ["container"]})))
    ]


def test_load_refused_before_the_first_message_has_a_status() -> None:
    """A file that is no archive is a 400; one that breaks off later ends the stream with an error message."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        answer = await client.ask("POST", "/images/load?quiet=1", b"bad file")
        assert (answer.status, answer.message) == (400, "invalid tar header")

    run(scenario)

    async def half(server: Serving) -> None:
        answer = await server.connect().ask("POST", "/images/load?quiet=1", b"half a file")
        assert answer.status == 200
        lines = [msgspec.json.decode(line) for line in answer.body.splitlines()]
        assert lines[0] == {"stream": "Loaded image: alpine:latest\n"}
        assert lines[1] == {
            "error": "the second half is missing",
            "errorDetail": {"message": "the second half is missing"},
        }

    run(half)


def test_image_operations_take_names_with_slashes() -> None:
    """The name of an image may hold slashes, written plain or with percent signs."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        for name in ("alpine", "docker.io/library/alpine", "docker.io%2Flibrary%2Falpine"):
            assert (await client.ask("GET", f"/images/{name}/json")).json["Id"] == IMAGE_ID
            assert (await client.ask("GET", f"/images/{name}/history")).status == 200
            assert (await client.ask("POST", f"/images/{name}/tag?repo=a%2Fb&tag=c")).status == 201
            assert len((await client.ask("GET", f"/images/{name}/get")).body) == 64 * 65536
            assert (await client.ask("DELETE", f"/images/{name}")).json[1] == {"Deleted": IMAGE_ID}
        assert (
            await client.ask("GET", "/images/get?names=alpine&names=no%2Fsuch:1")
        ).message == "No such image: no/such:1"
        assert (await client.ask("POST", "/images/alpine/tag")).status == 400
        assert (await client.ask("POST", "/images/prune?filters=%7B%22dangling%22%3A%5B%22x%22%5D%7D")).status == 400
        await client.ask("GET", "/v1.43/images/json?all=1&shared-size=1&filter=ignored")
        await client.ask("GET", "/v1.24/images/json?filter=alpine")

    old = ApiVersion(1, 24)
    assert run(scenario).images.notes[-2:] == [
        ("list", ImageListOptions(all=True, shared_size=True, version=ApiVersion(1, 43))),
        ("list", ImageListOptions(filters=Filters({"reference": ["alpine"]}), version=old)),
    ]


def test_images_create_is_import_or_pull() -> None:
    """With `fromSrc=-` the body is an image; with `fromImage` the engine is asked to pull."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        path = "/images/create?fromSrc=-&repo=x%3Ay&message=m&changes=CMD+a&changes=ENV+b%3Dc"
        answer = await client.ask("POST", path, b"tar")
        assert answer.json == {"status": IMAGE_ID}
        answer = await client.ask("POST", "/images/create?fromImage=alpine&tag=latest", X_Registry_Auth="e30=")
        assert (answer.status, answer.message) == (501, "pulls come later")
        assert (await client.ask("POST", "/images/create?fromSrc=http://x/y")).status == 501

    played = run(scenario)
    assert bytes(played.images.received) == b"tar"
    assert played.images.notes == [
        ("import", "x:y", "", ["CMD a", "ENV b=c"], "m", None),
    ]
    assert played.registries.notes == [("pull", "alpine", "latest", None, "e30=")]


def test_registries_are_asked_for_the_client() -> None:
    """Push, login and description go to the engine with the header that says who the user is."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        pushed = await client.ask("POST", "/images/x/y/push?tag=1", X_Registry_Auth="e30=")
        assert pushed.json == {"status": "pushed"}
        platform = quote('{"os":"linux","architecture":"arm","variant":"v7"}')
        await client.ask("POST", f"/images/x/y/push?tag=1&platform={platform}")
        for wrong in ("linux/arm", '{"os":"linux"}', '{"os":1}'):
            refused = await client.ask("POST", f"/images/x/y/push?platform={quote(wrong)}")
            assert (refused.status, refused.json["message"][:24]) == (400, "failed to parse platform")
        body = b'{"username": "ann", "password": "pw", "serveraddress": "quay.io"}'
        assert (await client.ask("POST", "/auth", body, Content_Type="application/json")).json == {
            "Status": "Login Succeeded",
            "IdentityToken": "",
        }
        answer = await client.ask("GET", "/distribution/x/y:1/json")
        assert answer.json["Descriptor"] == {"mediaType": "application/x", "digest": "sha256:" + "2" * 64, "size": 7}

    assert run(scenario).registries.notes == [
        ("push", "x/y", "1", None, "e30="),
        ("push", "x/y", "1", "linux/arm/v7", None),
        ("login", "ann", "pw", "quay.io"),
        ("describe", "x/y:1", None),
    ]


def test_exec_create_reaches_the_engine() -> None:
    """An exec's configuration arrives typed; without a command there is none."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        body = b'{"Cmd":["ls"],"Tty":true,"Env":null,"ConsoleSize":[24,80]}'
        answer = await client.ask("POST", "/containers/c1/exec", body, Content_Type=JSON)
        assert (answer.status, answer.json) == (201, {"Id": "e1"})
        answer = await client.ask("POST", "/containers/c1/exec", b"{}", Content_Type=JSON)
        assert (answer.status, answer.message) == (400, "No exec command specified")
        assert (await client.ask("POST", "/exec/e1/resize?h=1&w=2")).status == 200

    assert run(scenario).execs.notes == [
        ("create", ExecConfig(cmd=["ls"], tty=True, console_size=[24, 80])),
        ("resize", "e1", 1, 2),
    ]


def test_ping_tells_what_the_docker_command_decides_by() -> None:
    """No BuildKit, no swarm, nothing cached; HEAD has the same headers and no body."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        for method in ("GET", "HEAD"):
            answer = await client.ask(method, "/_ping")
            assert answer.headers["builder-version"] == "1"
            assert answer.headers["swarm"] == "inactive"
            assert "no-store" in answer.headers["cache-control"]
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert answer.body == (b"OK" if method == "GET" else b"")

    run(scenario)


def test_volumes_are_asked_for_as_the_client_wrote() -> None:
    """Each operation reaches the engine with its parameters; before API 1.42 a prune takes named volumes too."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        assert (await client.ask("GET", "/volumes?filters=%7B%22name%22%3A%5B%22v%22%5D%7D")).json["Warnings"] is None
        body = b'{"Name":"v1","DriverOpts":{"a":"b"}}'
        made = await client.ask("POST", "/volumes/create", body, Content_Type=JSON)
        assert (made.status, made.json["Name"]) == (201, "v1")
        assert (await client.ask("GET", "/volumes/v1")).json["Mountpoint"] == "/v1"
        assert (await client.ask("DELETE", "/volumes/v1?force=1")).status == 204
        pruned = await client.ask("POST", "/v1.50/volumes/prune")
        assert pruned.json == {"VolumesDeleted": None, "SpaceReclaimed": 0}
        await client.ask("POST", "/v1.41/volumes/prune")

    assert run(scenario).volumes.notes == [
        ("list", Filters({"name": ["v"]})),
        ("create", VolumeCreateRequest(name="v1", driver_opts={"a": "b"})),
        ("remove", "v1", True),
        ("prune", Filters()),
        ("prune", Filters({"all": ["true"]})),
    ]


def test_what_there_is_none_of_is_an_empty_answer() -> None:
    """The list of plugins is empty, and a prune finds nothing."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        assert (await client.ask("GET", "/plugins")).json == []
        assert (await client.ask("POST", "/networks/prune")).status == 200
        answer = await client.ask("DELETE", "/networks/bridge")
        assert (answer.status, answer.message) == (403, "bridge is a pre-defined network and cannot be removed")
        assert (await client.ask("GET", "/system/df?type=tea")).message == "unknown object type: tea"
        await client.ask("GET", "/system/df?type=image")
        await client.ask("GET", "/system/df")

    assert run(scenario).system.notes == [
        ("df", frozenset({"image"})),
        ("df", frozenset({"container", "image", "volume", "build-cache"})),
    ]
