"""The parameters of POST /build, as the engine gets them."""

from __future__ import annotations

import base64
import json
from urllib.parse import urlencode

from shoal.api.build import BuildOptions, PruneOptions
from shoal.api.build_caches import CachePlace
from shoal.api.filters import Filters
from shoal.api.host_config import Ulimit
from tests.unit.server.serving import Serving
from tests.unit.server.test_handlers import run

_EVERYTHING = {
    "dockerfile": "d/File",
    "remote": "https://example.org/r.git",
    "q": "1",
    "nocache": "1",
    "pull": "true",
    "cachefrom": '["a","b"]',
    "buildargs": '{"x":"1","unset":null}',
    "labels": '{"l":"v"}',
    "target": "t",
    "platform": "linux/arm64",
    "networkmode": "none",
    "extrahosts": "a:1,b:2",
    "memory": "1",
    "memswap": "-1",
    "cpushares": "2",
    "cpuperiod": "3",
    "cpuquota": "4",
    "cpusetcpus": "0",
    "cpusetmems": "0-1",
    "cgroupparent": "/p",
    "shmsize": "5",
    "ulimits": '[{"Name":"nofile","Soft":1,"Hard":2}]',
    "buildid": "id",
    "outputs": "type=local",
}
_READ = BuildOptions(
    dockerfile="d/File",
    tags=("a", "b:1"),
    remote="https://example.org/r.git",
    quiet=True,
    no_cache=True,
    pull=True,
    cache_from=(CachePlace("registry", reference="a"), CachePlace("registry", reference="b")),
    arguments={"x": "1", "unset": None},
    labels={"l": "v"},
    target="t",
    platform="linux/arm64",
    network_mode="none",
    extra_hosts=("a:1", "b:2"),
    memory=1,
    memory_swap=-1,
    cpu_shares=2,
    cpu_period=3,
    cpu_quota=4,
    cpuset_cpus="0",
    cpuset_mems="0-1",
    cgroup_parent="/p",
    shm_size=5,
    ulimits=(Ulimit(name="nofile", soft=1, hard=2),),
    build_id="id",
    outputs="type=local",
    secrets={"s": b"hidden"},
    ssh={"default": "/socket"},
)


def test_build_parameters_are_read() -> None:
    """Every parameter reaches the engine in its type, secrets come in a header, and the body is the context."""
    secrets = {"secrets": {"s": base64.b64encode(b"hidden").decode()}, "ssh": {"default": "/socket"}}
    header = base64.b64encode(json.dumps(secrets).encode()).decode()

    async def scenario(server: Serving) -> None:
        query = urlencode([*_EVERYTHING.items(), ("t", "a"), ("t", "b:1")])
        headers = {"X-Shoal-Build-Secrets": header}
        answer = await server.connect().ask("POST", f"/build?{query}", b"12345", **headers)
        assert answer.json == {"stream": "5 bytes\n"}

    assert run(scenario).builds.asked == [_READ]


def test_build_parameters_that_are_no_json_are_refused() -> None:
    """A parameter that can't be read is named."""

    async def scenario(server: Serving) -> None:
        answer = await server.connect().ask("POST", "/build?buildargs=x")
        assert answer.status == 400
        assert answer.message.startswith("error reading buildargs")

    assert run(scenario).builds.asked == []


def test_build_cancel_names_the_build() -> None:
    """POST /build/cancel passes the id on."""

    async def scenario(server: Serving) -> None:
        assert (await server.connect().ask("POST", "/build/cancel?id=b")).status == 204

    assert run(scenario).builds.cancelled == ["b"]


def test_build_prune_keeps_what_is_asked_for() -> None:
    """POST /build/prune passes on the filters and how much may stay, under either name."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        answer = await client.ask(
            "POST", "/build/prune?all=1&keep-storage=7&filters=%7B%22until%22%3A%5B%221h%22%5D%7D"
        )
        assert answer.json["SpaceReclaimed"] == 0
        await client.ask("POST", "/build/prune?reserved-space=9")

    assert run(scenario).builds.pruned == [
        PruneOptions(filters=Filters({"until": ["1h"]}), all=True, keep_bytes=7),
        PruneOptions(keep_bytes=9),
    ]
