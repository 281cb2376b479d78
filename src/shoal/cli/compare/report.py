"""What a comparison found: figures with their raw samples, sights, and the machine they were taken on. Pure data."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Literal

from shoal.client.document import Json

Mode = Literal["process", "container", "vm"]
PROCESS: Mode = "process"
CONTAINER: Mode = "container"
VM: Mode = "vm"
MODES: tuple[Mode, ...] = (PROCESS, CONTAINER, VM)
TITLES: dict[Mode, str] = {PROCESS: "host process", CONTAINER: "container", VM: "virtual machine"}

# What is true of each kind by its construction.
BOUNDARY: dict[Mode, str] = {
    PROCESS: "none but its user id: files, network and the other processes are the host's",
    CONTAINER: "the host's kernel: namespaces, cgroups, capabilities, a seccomp filter; a hole in the kernel opens it",
    VM: "a kernel of its own; beneath it QEMU and the virtual devices, a process of the host without rights",
}
SHARED: dict[Mode, str] = {
    PROCESS: "everything",
    CONTAINER: "the kernel, its page cache (a program is in memory once), and the image's layers on disk",
    VM: "the image's layers on disk, and QEMU's own code",
}


@dataclass(slots=True)
class Figure:
    """One thing that was measured, in `unit`, for each mode; `per_s` figures are better when they are higher."""

    key: str
    title: str
    unit: str
    samples: dict[Mode, list[float]] = field(default_factory=dict)
    higher_is_better: bool = False
    note: str = ""

    def add(self, mode: Mode, *values: float) -> None:
        """Takes samples of `mode`."""
        self.samples.setdefault(mode, []).extend(values)

    def median(self, mode: Mode) -> float | None:
        """The middle of the samples, None where none were taken."""
        return statistics.median(self.samples[mode]) if self.samples.get(mode) else None

    def p95(self, mode: Mode) -> float | None:
        """What 95 % of the samples do not exceed (nearest rank); None of fewer than three."""
        ordered = sorted(self.samples.get(mode, ()))
        return ordered[min(len(ordered) - 1, -(-95 * len(ordered) // 100) - 1)] if len(ordered) >= 3 else None


@dataclass(slots=True)
class Sight:
    """What an instance of each mode sees, in words."""

    title: str
    seen: dict[Mode, str] = field(default_factory=dict)


@dataclass(slots=True)
class Fit:
    """How many instances fit into this machine's memory: `measured` ran, `extrapolated` follows from their cost."""

    measured: int
    extrapolated: int | None


@dataclass(slots=True)
class Report:
    """One comparison. `absent` says of each mode that was not measured why; `machine` names what it ran on."""

    application: str
    instances: int
    machine: dict[str, str]
    figures: list[Figure] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)
    fits: dict[Mode, Fit] = field(default_factory=dict)
    absent: dict[Mode, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def modes(self) -> list[Mode]:
        """Those that were measured."""
        return [mode for mode in MODES if any(figure.samples.get(mode) for figure in self.figures)]

    def figure(self, key: str, title: str, unit: str, *, higher_is_better: bool = False, note: str = "") -> Figure:
        """The figure of this key, begun at the first call."""
        for figure in self.figures:
            if figure.key == key:
                return figure
        self.figures.append(Figure(key, title, unit, higher_is_better=higher_is_better, note=note))
        return self.figures[-1]

    def sight(self, title: str) -> Sight:
        """The sight of this title, begun at the first call."""
        for sight in self.sights:
            if sight.title == title:
                return sight
        self.sights.append(Sight(title))
        return self.sights[-1]

    def value(self, key: str, mode: Mode) -> float | None:
        """The median of a figure, None where it was not measured."""
        return next((figure.median(mode) for figure in self.figures if figure.key == key), None)

    def to_json(self) -> dict[str, Json]:
        """Everything, with the raw samples."""
        return {
            "Application": self.application,
            "Instances": self.instances,
            "Machine": dict(self.machine),
            "Figures": [
                {
                    "Key": figure.key,
                    "Title": figure.title,
                    "Unit": figure.unit,
                    "HigherIsBetter": figure.higher_is_better,
                    "Note": figure.note,
                    "Samples": {mode: list(values) for mode, values in figure.samples.items()},
                }
                for figure in self.figures
            ],
            "Sights": [{"Title": sight.title, "Seen": dict(sight.seen.items())} for sight in self.sights],
            "Fits": {
                mode: {"Measured": fit.measured, "Extrapolated": fit.extrapolated} for mode, fit in self.fits.items()
            },
            "Boundary": {mode: BOUNDARY[mode] for mode in self.modes},
            "Shared": {mode: SHARED[mode] for mode in self.modes},
            "NotMeasured": dict(self.absent.items()),
            "Notes": list(self.notes),
        }
