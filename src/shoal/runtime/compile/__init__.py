"""From a `Launch` to a `Plan`: the flat list of steps that a container's process runs. Pure."""

from shoal.runtime.compile.container import compile_exec, compile_plan
from shoal.runtime.compile.plan import Hierarchy, HostFacts, Plan

__all__ = ["Hierarchy", "HostFacts", "Plan", "compile_exec", "compile_plan"]
