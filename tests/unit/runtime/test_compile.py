"""Plans: whole ones against golden files, and the order that safety needs."""

from __future__ import annotations

import marshal
from pathlib import Path

import msgspec
import pytest

from shoal.errors import Internal
from shoal.linux.namespaces import CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS
from shoal.oci.rootfs import PlainRootfs
from shoal.oci.runtime_spec import LATEST_OPTION, SUBPATH_OPTION, Linux, Mount, Namespace, Process, RuntimeSpec, User
from shoal.runtime.compile import HostFacts, Plan, compile_exec, compile_plan
from shoal.runtime.driver import ExecLaunch
from shoal.supervisor.steps import steps_from_wire
from shoal.supervisor.steps.cgroup import MountCgroupV2
from tests.golden import assert_golden
from tests.unit.engine.specgen.test_generate import REQUESTS, generated
from tests.unit.runtime.plans import V1, V2, launch

GOLDEN = Path(__file__).parent / "golden"


def compiled(name: str, host: HostFacts = V1) -> Plan:
    spec = generated(name)
    return compile_plan(launch(spec, terminal=spec.process is not None and spec.process.terminal), host)


def names(plan: Plan) -> list[str]:
    return [step.name for step in plan.steps]


@pytest.mark.parametrize("name", REQUESTS)
def test_compile_plan_is_the_golden_one(name: str) -> None:
    """What happens between clone and exec changes only on purpose."""
    plan = compiled(name)
    lines = [f"clone {plan.clone_flags:#x}, join {list(plan.joins)}", *plan.describe()]
    assert_golden(GOLDEN / f"{name}.txt", "\n".join(lines) + "\n")


@pytest.mark.parametrize("name", REQUESTS)
def test_compile_plan_survives_the_wire(name: str) -> None:
    """The supervisor gets exactly the steps that were compiled, through marshal."""
    plan = compiled(name)
    assert steps_from_wire(marshal.loads(marshal.dumps(plan.to_wire(), 2))) == list(plan.steps)


@pytest.mark.parametrize("host", [V1, V2])
@pytest.mark.parametrize("name", REQUESTS)
def test_compile_plan_keeps_the_order_that_safety_needs(name: str, host: HostFacts) -> None:
    """Propagation before mounts, masks after the change of root, rights last, exec the very last."""
    order = names(compiled(name, host))
    assert order.index("cut-propagation") < order.index("overlay-root") < order.index("pivot")
    assert all(order.index("pivot") > index for index, step in enumerate(order) if step in ("bind", "mount"))
    for step in ("readonly-paths", "mask-paths", "user", "chdir"):
        if step in order:
            assert order.index("pivot") < order.index(step) < order.index("switch-user")
    if "sysctl" in order and "readonly-paths" in order:
        assert order.index("sysctl") < order.index("readonly-paths")
    assert order.index("bounding") < order.index("switch-user") < order.index("capabilities")
    assert order[-1] == "exec"
    assert order.count("exec") == 1


def test_compile_plan_installs_the_filter_before_capabilities_go() -> None:
    """Without no_new_privs the filter needs CAP_SYS_ADMIN."""
    order = names(compiled("plain"))
    assert order.index("switch-user") < order.index("seccomp") < order.index("capabilities")


def test_compile_plan_installs_the_filter_last_with_no_new_privileges() -> None:
    """With no_new_privs it needs nothing, and coming last it has to allow less."""
    order = names(compiled("user"))
    assert order[-4:] == ["no-new-privileges", "find-program", "seccomp", "exec"]


def test_compile_plan_waits_for_the_network_after_everything_that_does_not_need_it() -> None:
    """shoald wires the veth meanwhile: what comes before the wait costs nothing."""
    plan = compiled("plain")
    described = plan.describe()
    position = described.index("wait: until the network is ready")
    assert "mask-paths" in names(plan)[:position]
    assert described[position + 1] == "interface: loopback up, eth0 172.17.0.2/16 via 172.17.0.1"


def test_compile_plan_configures_the_interface_first_when_a_sysctl_names_it() -> None:
    """A parameter of eth0 can only be set when eth0 is there."""
    spec = generated("plain")
    linux = msgspec.structs.replace(spec.linux, sysctl={"net.ipv4.conf.eth0.rp_filter": "0"})
    order = names(compile_plan(launch(msgspec.structs.replace(spec, linux=linux)), V1))
    assert order.index("interface") < order.index("sysctl") < order.index("readonly-paths")


def test_compile_plan_clones_every_namespace_but_the_cgroup_one() -> None:
    """clone3 would root the cgroup namespace in the supervisor's cgroup; the child unshares it in its own."""
    spec = generated("plain")
    linux = msgspec.structs.replace(spec.linux, namespaces=(*spec.linux.namespaces, Namespace(type="cgroup")))
    plan = compile_plan(launch(msgspec.structs.replace(spec, linux=linux)), V2)
    assert plan.clone_flags == CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
    assert not plan.clone_flags & CLONE_NEWCGROUP
    order = names(plan)
    assert order.index("unshare-cgroup") == order.index("wait") + 1 == order.index("cgroup-v2") - 1


def test_compile_plan_binds_the_hosts_cgroups_for_a_container_without_a_namespace_of_its_own() -> None:
    """A mount made anew in the host's cgroup namespace would set the options of the whole machine's."""
    spec = generated("plain")
    own = (*spec.linux.namespaces, Namespace(type="cgroup"))
    for namespaces, own_root in ((spec.linux.namespaces, False), (own, True)):
        linux = msgspec.structs.replace(spec.linux, namespaces=namespaces)
        plan = compile_plan(launch(msgspec.structs.replace(spec, linux=linux)), V2)
        (step,) = (step for step in plan.steps if isinstance(step, MountCgroupV2))
        assert step.own_root is own_root


def test_compile_plan_of_joined_namespaces_lists_them_for_the_driver() -> None:
    """Paths go to the driver, kinds to the step; the pid namespace is the supervisor's to enter."""
    spec = generated("plain")
    joined = (
        Namespace(type="mount"),
        Namespace(type="network", path="/proc/7/ns/net"),
        Namespace(type="pid", path="/proc/8/ns/pid"),
    )
    linux = msgspec.structs.replace(spec.linux, namespaces=joined)
    plan = compile_plan(launch(msgspec.structs.replace(spec, linux=linux), interface=None), V1)
    assert plan.clone_flags == CLONE_NEWNS
    assert plan.joins == (("net", "/proc/7/ns/net"), ("pid", "/proc/8/ns/pid"))
    assert "join-namespaces: enter the namespaces net" in plan.describe()
    assert "interface" not in names(plan)


def test_compile_plan_takes_shared_trees_before_propagation_is_cut() -> None:
    """A copy taken later would be no peer of the host's mount any more."""
    order = names(compiled("mounts"))
    assert order.index("take-tree") < order.index("cut-propagation")


def test_compile_plan_takes_another_containers_memory_out_of_its_mounts() -> None:
    """/proc/PID/root as a source means: as process PID sees it; its mount cannot be bound from outside."""
    spec = generated("plain")
    shm = Mount(destination="/dev/shm", type="bind", source="/proc/42/root/dev/shm", options=("bind",))
    plan = compile_plan(launch(msgspec.structs.replace(spec, mounts=(*spec.mounts, shm))), V1)
    assert "share-tree: take /dev/shm from the mount namespace of process 42, for /dev/shm" in plan.describe()
    assert names(plan).index("share-tree") < names(plan).index("overlay-root")


def test_compile_plan_of_a_plain_directory_binds_it() -> None:
    """The vfs snapshotter's root is a directory."""
    plan = compile_plan(launch(generated("plain"), rootfs=PlainRootfs("/snap/root")), V1)
    assert "bind-root: bind /snap/root on /run/shoal/rootfs" in plan.describe()


def test_compile_plan_leaves_a_dev_of_the_host_alone() -> None:
    """With `-v /dev:/dev` no node is made: it would be made on the host."""
    spec = generated("plain")
    dev = Mount(destination="/dev", type="bind", source="/dev", options=("rbind", "rw"))
    mounts = (*(mount for mount in spec.mounts if mount.destination != "/dev"), dev)
    assert "devices" not in names(compile_plan(launch(msgspec.structs.replace(spec, mounts=mounts)), V1))


def test_compile_plan_without_a_process_is_refused() -> None:
    """A specification that runs nothing is a fault of the caller."""
    with pytest.raises(Internal):
        compile_plan(launch(RuntimeSpec(linux=Linux())), V1)


def test_compile_plan_of_another_tools_numbers_uses_them() -> None:
    """A specification without `username` has its uid and gid looked up as numbers."""
    spec = generated("plain")
    process = Process(cwd="/", args=("x",), user=User(uid=5, gid=6))
    plan = compile_plan(launch(msgspec.structs.replace(spec, process=process)), V1)
    assert "user: 5:6" in plan.describe()


def test_compile_exec_is_the_golden_one() -> None:
    """An exec sets limits with the host's /proc, joins, and then goes the same way."""
    spec = generated("user")
    assert spec.process is not None
    request = ExecLaunch(
        id="a" * 64,
        exec_id="e",
        pid=42,
        process=spec.process,
        spec=spec,
        run_dir="/run/shoal/containers/a",
        cgroup_path="/shoal/a",
        terminal=True,
        rows=24,
        columns=80,
    )
    plan = compile_exec(request, V1)
    assert plan.joins == (("process", "42"), ("pid", "/proc/42/ns/pid"))
    assert plan.clone_flags == 0
    assert_golden(GOLDEN / "exec.txt", "\n".join(plan.describe()) + "\n")


def test_compile_plan_takes_binds_from_where_the_host_is_now() -> None:
    """Binds of the request come from the daemon's namespace: a child cloned ahead does not see later mounts."""
    host = V1._replace(mount_namespace="/proc/self/ns/mnt")
    bind = Mount(destination="/d", type="bind", source="/srv", options=("rbind", "rw", "rprivate", LATEST_OPTION))
    own = Mount(destination="/etc/hosts", type="bind", source="/data/hosts", options=("rbind", "rw", "rprivate"))
    options = ("rbind", "rw", "rprivate", f"{SUBPATH_OPTION}a/b", LATEST_OPTION)
    part = Mount(destination="/p", type="bind", source="/data/v", options=options)
    spec = RuntimeSpec(process=Process(cwd="/", args=("a",)), mounts=(bind, own, part), linux=Linux())
    plan = compile_plan(launch(spec), host)
    names = [step.name for step in plan.steps]
    assert names.index("take-trees") < names.index("cut-propagation") < names.index("bind")
    taken = [step.describe() for step in plan.steps if step.name == "take-trees"]
    assert taken == ["take from the host: /srv for /d, a/b inside /data/v for /p"]
    assert ("host-mounts", "/proc/self/ns/mnt") in plan.joins
    assert "take-trees" not in [step.name for step in compile_plan(launch(spec), V1).steps]
