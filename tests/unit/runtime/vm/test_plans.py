"""Plans of containers in machines: whole ones against golden files, and what must not be in them."""

from __future__ import annotations

import marshal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from shoal.linux.namespaces import CLONE_NEWNET, CLONE_NEWPID
from shoal.oci.runtime_spec import DeviceCgroup, Mount, Process
from shoal.runtime.driver import ExecLaunch, MachineSize
from shoal.runtime.vm.plans import compile_machine, compile_machine_exec, guest_spec
from shoal.runtime.vm.qemu import Shape, files_command, maker_command, qemu_command, trial_command, waking_command
from shoal.supervisor.steps import steps_from_wire
from shoal.supervisor.steps.machine import JoinMachine, RunMachine
from tests.golden import assert_golden
from tests.unit.engine.specgen.test_generate import generated
from tests.unit.runtime.plans import V1, launch

GOLDEN = Path(__file__).parent / "golden"


def shape(accelerator: str = "tcg", interfaces: int = 1) -> Shape:
    """A machine that does not exist."""
    return Shape("/usr/bin/qemu", Path("/vm/vmlinuz"), Path("/vm/initramfs"), accelerator, 512, 2, interfaces)


@pytest.mark.parametrize("name", ["plain", "mounts", "interactive", "privileged"])
def test_compile_machine_is_the_golden_one(name: str) -> None:
    """What the host does and what the guest does change only on purpose."""
    spec = generated(name)
    assert spec.process is not None
    request = replace(launch(spec, terminal=spec.process.terminal), machine=MachineSize(512, 2))
    plan = compile_machine(request, V1, qemu_command(shape()), files_command("/virtiofsd", "/run/shoal/rootfs"))
    assert steps_from_wire(marshal.loads(marshal.dumps(plan.to_wire(), 2))) == list(plan.steps)
    machine = plan.steps[-1]
    assert isinstance(machine, RunMachine)
    guest = [f"  {step.name}: {step.describe()}" for step in steps_from_wire(machine.launch["steps"])]
    lines = [f"clone {plan.clone_flags:#x}, join {list(plan.joins)}", *plan.describe()[:-1], "guest:", *guest]
    assert_golden(GOLDEN / f"{name}.txt", "\n".join(lines) + "\n")


@pytest.mark.parametrize("accelerator", ["tcg", "kvm"])
def test_qemu_command_is_the_golden_one(accelerator: str) -> None:
    """Its options are what stands between a guest and the host."""
    words = "\n".join(qemu_command(shape(accelerator))).replace("qemu-system", "")
    assert_golden(GOLDEN / f"qemu-{accelerator}.txt", words + "\n")


def test_waking_command_is_the_golden_one() -> None:
    """QEMU reads a template's state only into a machine without files, and confined it is as one that boots."""
    words = "\n".join(waking_command(shape())).replace("qemu-system", "")
    assert_golden(GOLDEN / "qemu-waking.txt", words + "\n")


@pytest.mark.parametrize("command", [qemu_command, maker_command, waking_command, trial_command])
def test_commands_of_one_shape_have_the_same_devices_in_the_same_order(command: Callable[[Shape], list[str]]) -> None:
    """QEMU finds a template's devices by their places on the bus."""
    first = maker_command(shape())[: maker_command(shape()).index("-kernel")]
    found = command(shape())[: len(first)]
    assert "virtio-balloon-pci,free-page-reporting=on" in found
    assert [word for word in found if not word.startswith("memory-backend-")] == [
        word for word in first if not word.startswith("memory-backend-")
    ]


def test_compile_machine_guest_uses_the_machines_network() -> None:
    """A network namespace in the guest would have no interface; on the host the container has one of its own."""
    plan = compile_machine(launch(generated("plain")), V1, ["qemu"], ["virtiofsd"])
    machine = plan.steps[-1]
    assert isinstance(machine, RunMachine)
    assert plan.clone_flags & CLONE_NEWNET
    assert not machine.launch["clone_flags"] & CLONE_NEWNET
    assert machine.launch["clone_flags"] & CLONE_NEWPID


def test_compile_machine_holds_qemu_to_its_devices() -> None:
    """A guest that breaks out finds no device of the host's but those that QEMU needs."""
    plan = compile_machine(launch(generated("privileged")), V1, ["qemu"], ["virtiofsd"])
    rules = plan.resources["devices"]
    assert isinstance(rules, (list, tuple))
    assert rules[0] == {"allow": False, "access": "rwm"}
    assert not any(rule["allow"] and "r" in rule["access"] and "major" not in rule for rule in rules)


def test_guest_spec_has_no_path_of_the_host() -> None:
    """The guest finds a bind at its place below what the host shows it, with the access that it has there."""
    spec = generated("mounts")
    sources = {mount.source for mount in guest_spec(spec).mounts if mount.type == "bind"}
    assert sources == {"/run/share"}
    assert (
        Mount(
            destination="/etc/hosts",
            type="bind",
            source="/run/share",
            options=("rbind", "rw", "x-shoal.subpath=etc/hosts"),
        )
        in guest_spec(generated("plain")).mounts
    )


def test_guest_spec_keeps_the_containers_own_device_rules() -> None:
    """The guest's kernel holds the container to what any container may use."""
    linux = guest_spec(generated("plain")).linux
    assert linux is not None
    assert linux.resources is not None
    assert linux.resources.devices[0] == DeviceCgroup(allow=False, access="rwm")
    assert linux.devices == ()


@pytest.mark.parametrize("terminal", [False, True])
def test_compile_machine_exec_stands_for_a_process_in_the_guest(terminal: bool) -> None:
    """On the host it enters nothing but the monitor's network, to ask it."""
    request = ExecLaunch(
        id="a" * 64,
        exec_id="e",
        pid=7,
        process=Process(cwd="/", args=("ls",), terminal=terminal),
        spec=generated("plain"),
        run_dir="/run/shoal/containers/a",
        cgroup_path="/shoal/a",
        terminal=terminal,
        open_stdin=True,
        in_machine=True,
    )
    plan = compile_machine_exec(request, V1)
    assert [step.name for step in plan.steps] == ["console" if terminal else "stdio", "join-machine"]
    join = plan.steps[-1]
    assert isinstance(join, JoinMachine)
    assert join.launch["attach"][0]["mux"] is not terminal
    assert [name for name, _ in join.launch["steps"]][:2] == ["join-process", "console" if terminal else "stdio"]
