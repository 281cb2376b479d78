"""Docker's rules for what a container is allowed and given, as pure functions: request in, specification out."""

from shoal.engine.specgen.facts import ContainerFacts, DaemonDefaults, DeviceSource, HostDevice, MachineFacts
from shoal.engine.specgen.generate import SpecGenerator
from shoal.engine.specgen.process import command_line, merge_process

__all__ = [
    "ContainerFacts",
    "DaemonDefaults",
    "DeviceSource",
    "HostDevice",
    "MachineFacts",
    "SpecGenerator",
    "command_line",
    "merge_process",
]
