"""`shoal` and `docker` on one engine: the same words mean the same, print the same, and end with the same code.

A case is a command line. Both commands run it, and standard output and exit code must be equal, times and ids apart.
Standard error need not be: `shoal` has its own words and hints; but one says something where the other does, and what
stands in `says` must be in both. Cases that change something are told apart by `{who}`, which is each command's name.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engines import busybox
from tests.engines.engine import DOCKER, Engine

pytestmark = pytest.mark.skipif(DOCKER is None, reason="the docker command is not installed")

SHOAL = (sys.executable, "-m", "shoal.cli.main")
IMAGE = busybox.IMAGE

# One case a line; behind ` ## ` what both commands must say on standard error.
LISTS = r"""
ps
ps -a
ps -q
ps -aq --no-trunc
ps -n 1
ps -l
ps --format json
ps --format 'table {{.Names}}\t{{.Image}}'
ps -a --format '{{.Names}} {{.Ports}} {{.Labels}} {{.Mounts}} {{.Networks}} {{.State}} {{.LocalVolumes}}'
ps --format '{{.Label "role"}}|{{.Label "none"}}'
ps --format '{{json .Labels}}'
ps -f status=running -q
ps -f label=role=idle --format '{{.Names}}'
ps -f nope=1 ## nope
ps -f status ## bad format of filter
container ls -a --format '{{.Names}}'
container ps
images
images -q
images --no-trunc
images --digests
images --format json
images nope
image ls {image}
history {image}
history -q {image}
history --no-trunc {image}
history {image} --format json
history -H=false {image} --format '{{.CreatedAt}} {{.Size}}'
volume ls
volume ls -q
volume ls --format json
volume ls --format '{{.Name}} {{.Driver}} {{.Scope}} {{.Mountpoint}}'
network ls
network ls -q --no-trunc
network ls --format json
network ls -f driver=bridge --format '{{.Name}}'
system df --format json
system info --format '{{.Driver}} {{.NCPU}}'
info -f '{{json .Plugins}}'
version -f '{{.Server.Version}} {{.Server.APIVersion}} {{.Client.APIVersion}}'
events --since 0 --until 1
context ls -q
context show
"""

INSPECTIONS = r"""
inspect idle -f '{{.Name}} {{.State.Running}} {{.HostConfig.Memory}}'
inspect idle -f '{{json .Config.Env}}'
inspect idle -f '{{range $k, $v := .NetworkSettings.Networks}}{{$k}}{{end}}'
inspect idle -f '{{index .Config.Labels "role"}}{{index .Config.Labels "none"}}'
inspect idle -f '{{len .Mounts}} {{printf "%s-%d" .Name 3}} {{.Path | upper}} {{join .Args ","}}'
inspect idle -f '{{if .State.Running}}up{{else}}down{{end}} {{with .Config}}{{.Image}}{{end}}'
inspect idle -f '{{.Foo}}' ## map has no entry for key "Foo"
inspect idle -f '{{.State.Foo}}' ## map has no entry for key "Foo"
inspect {image} -f '{{.RepoTags}}'
inspect nope ## No such object: nope
inspect idle nope -f '{{.Name}}' ## nope
inspect --type image idle ## o such image: idle
inspect --type volume idle ## idle
inspect --type foo idle ## unknown type: "foo"
container inspect idle -f '{{.State.Status}}'
container inspect nope ## No such container: nope
image inspect {image} -f '{{.Os}} {{.Id}}'
image inspect nope ## o such image: nope
volume inspect data -f '{{.Name}} {{.Driver}}'
volume inspect nope ## nope
network inspect bridge -f '{{.Name}} {{.Driver}}'
network inspect nope ## nope
top idle -o pid,comm
port idle
port idle 80 ## No public port '80' published for idle
diff idle
logs idle
logs spoken
logs -n 1 spoken
logs -t --tail 0 spoken
"""

RUNS = r"""
run --rm {image} true
run --rm {image} sh -c 'echo out; echo err >&2; exit 9' ## err
run --rm {image} nocmd ## executable file not found in $PATH
run --rm {image} /etc ## /etc
run --rm -e A=b -w /bin -u 1:2 -h box {image} sh -c 'echo $A; pwd; id -u; hostname'
run --rm --name idle {image} true ## is already in use
run --foo {image} ## unknown flag: --foo
run --rm -m 1 {image} true
run --rm -it {image} true ## the input device is not a TTY
run -d -a stdin {image} ## conflicting options: cannot specify both --attach and --detach
run --rm -p x {image} true ## x
run --pull foo {image} ## invalid pull option
run --rm --network nope {image} true ## nope
create --name idle {image} ## is already in use
create nope:1 ## nope:1
exec idle sh -c 'echo out; echo err >&2; exit 3' ## err
exec idle nocmd
exec idle /etc
exec -u nobody idle true
exec -e A=b -w /bin idle sh -c 'echo $A; pwd'
exec nope true ## No such container: nope
exec spoken true ## is not running
exec -it idle true ## the input device is not a TTY
"""

REFUSALS = r"""
logs nope ## No such container: nope
top nope ## No such container: nope
port nope ## No such container: nope
diff nope ## No such container: nope
rename idle idle ## Renaming a container with the same name
rename nope x ## No such container: nope
pause nope ## No such container: nope
unpause idle ## is not paused
kill nope ## No such container: nope
kill spoken ## is not running
kill -s FOO idle ## FOO
stop nope ## No such container: nope
start nope ## No such container: nope
start -a nope ## No such container: nope
start a b -a ## you cannot start and attach multiple containers at once
restart nope ## No such container: nope
wait nope ## No such container: nope
attach nope ## No such container: nope
attach spoken ## You cannot attach to a stopped container, start it first
update nope -m 1g ## No such container: nope
update idle ## you must provide one or more flags when using this command
rm nope ## No such container: nope
rm -f nope
rm idle ## running
cp nope:/x . ## No such container: nope
cp idle:/nope . ## /nope
cp a b ## must specify at least one container source
cp idle:/x idle:/y ## copying between containers is not supported
cp /nope idle:/ ## /nope
commit nope x ## No such container: nope
export nope ## No such container: nope
volume create 'bad name' ## bad name
volume create -d nope v2 ## nope
volume rm nope ## nope
volume rm -f nope
network rm nope ## nope
network connect nope idle
load -i /nope ## /nope
load
save nope ## nope
tag nope x ## nope
tag {image} BAD
rmi nope ## o such image: nope
rmi -f nope ## o such image: nope
stats --no-stream nope ## nope
events --since foo ## foo
"""

USAGES = r"""
ps extra ## accepts no arguments
ps -z ## unknown shorthand flag: 'z' in -z
ps --foo ## unknown flag: --foo
ps -n ## flag needs an argument: 'n' in -n
ps -n x ## invalid argument "x" for "-n, --last" flag
ps --all=maybe ## invalid argument "maybe" for "-a, --all" flag
start ## requires at least 1 argument
run ## requires at least 1 argument
exec idle ## requires at least 2 arguments
rename a ## requires 2 arguments
port ## requires at least 1 and at most 2 arguments
volume create a b ## requires at most 1 argument
save ## requires at least 1 argument
volume foo ## unknown command
foo ## unknown command
volume ## Usage:
-H a:1 -H b:1 ps
-H unix:///nowhere.sock ps ## nowhere.sock
-H tcp://127.0.0.1:1 ps ## 127.0.0.1:1
--context nope ps ## context "nope": context not found
--log-level loud ps ## nable to parse logging level: loud
"""

CHANGES = r"""
volume create {who}-v
volume inspect {who}-v -f '{{.Driver}}'
volume rm {who}-v
create --name {who}-c --label a=b {image} sleep 100
start {who}-c
rename {who}-c {who}-d
pause {who}-d
unpause {who}-d
update -m 64m --memory-swap 64m {who}-d
restart -t 0 {who}-d
exec -d {who}-d true
kill {who}-d
wait {who}-d
rm {who}-d
run -d --name {who}-e {image} sleep 100
stop -t 0 {who}-e
rm -v {who}-e
tag {image} {who}:1
rmi {who}:1
context create {who}-x --docker host=unix:///x
context use {who}-x
context rm {who}-x
context rm -f {who}-x
"""

Run = Callable[..., subprocess.CompletedProcess[bytes]]


def _cases(*tables: str) -> list[str]:
    return [line for table in tables for line in table.strip().splitlines()]


@pytest.fixture(scope="module")
def prepared(engines: Callable[[str], Engine]) -> Iterator[Engine]:
    """shoald with a container that runs, one that has spoken and ended, and a volume; the commands' own settings."""
    engine = engines("shoald")
    settings = _settings(engine)
    settings.mkdir()
    (settings / "config.json").write_text("{}")
    engine.remove_containers()
    engine.remove_images()
    engine.ok("volume", "create", "data")
    engine.ok("run", "-d", "--name", "idle", "--label", "role=idle", IMAGE, "sleep", "1000")
    engine.ok("run", "--name", "spoken", IMAGE, "sh", "-c", "echo one; echo two >&2; echo three")
    yield engine
    engine.remove_containers()
    engine.remove_images()
    engine.ok("volume", "rm", "data")
    shutil.rmtree(settings)


def _settings(engine: Engine) -> Path:
    """Where both commands keep their settings: `context use` here is not for the cases that share the engine."""
    return engine.directory / "two-commands"


def _outcomes(engine: Engine, case: str) -> tuple[subprocess.CompletedProcess[str], subprocess.CompletedProcess[str]]:
    assert DOCKER is not None
    environment = engine.environment() | {"NO_COLOR": "1", "DOCKER_CONFIG": str(_settings(engine))}
    outcomes = []
    for who, command in (("docker", [DOCKER]), ("shoal", list(SHOAL))):
        words = shlex.split(case.replace("{image}", IMAGE).replace("{who}", who))
        # The directory that `cp` may write to holds nothing else.
        done = subprocess.run(
            [*command, *words], input=b"", capture_output=True, env=environment, timeout=60, cwd=engine.directory
        )
        out, err = (re.sub(rf"\b{who}\b", "WHO", text.decode(errors="replace")) for text in (done.stdout, done.stderr))
        outcomes.append(subprocess.CompletedProcess(done.args, done.returncode, out, err))
    return outcomes[0], outcomes[1]


def _plain(text: str) -> str:
    """Without what differs from second to second, and from container to container, columns included."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "ID", text)
    timeless = re.sub(r"(About an?|Less than a|\d+) (second|minute|hour)s?", "TIME", text)
    # Where a time stands, the columns are as wide as its words.
    return text if timeless == text else re.sub(r" {2,}", "  ", timeless)


def _compare(engine: Engine, case: str) -> None:
    line, _, says = case.partition(" ## ")
    docker, shoal = _outcomes(engine, line)
    told = f"{line}\ndocker: {docker.returncode}\n{docker.stdout}\n{docker.stderr}\n"
    told += f"shoal: {shoal.returncode}\n{shoal.stdout}\n{shoal.stderr}"
    assert shoal.returncode == docker.returncode, told
    assert _plain(shoal.stdout) == _plain(docker.stdout), told
    assert bool(shoal.stderr) == bool(docker.stderr), told
    if says:
        assert says in docker.stderr, told
        assert says in shoal.stderr, told


@pytest.mark.parametrize("case", _cases(LISTS, INSPECTIONS, REFUSALS, USAGES))
def test_commands_that_change_nothing_agree(case: str, prepared: Engine) -> None:
    """Lists, inspections, refusals and wrong usage."""
    _compare(prepared, case)


@pytest.mark.parametrize("case", ["system df", "system df -v"])
def test_commands_agree_on_what_both_show_of_the_disk(case: str, prepared: Engine) -> None:
    """Docker's tables, behind which `shoal` says whose the rest is."""
    docker, shoal = _outcomes(prepared, case)
    own = shoal.stdout.index("\nOWNER ")
    assert _plain(shoal.stdout[:own]).rstrip("\n") == _plain(docker.stdout).rstrip("\n")


@pytest.mark.parametrize("case", _cases(RUNS))
def test_commands_that_run_something_agree(case: str, prepared: Engine) -> None:
    """What a container or an exec says and returns, and what happens when it can't begin."""
    _compare(prepared, case)


def test_commands_that_change_something_agree(prepared: Engine) -> None:
    """A life of a container, a volume, a name and a context, step by step, each command with its own."""
    for case in _cases(CHANGES):
        _compare(prepared, case)
