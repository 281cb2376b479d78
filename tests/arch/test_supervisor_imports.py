"""What a supervisor loads: measured in a real interpreter that is started as a supervisor is."""

from __future__ import annotations

import subprocess
import sys

from tests.arch.source import PACKAGE, Module, imports, room_of, source_modules

# All that the supervisor may import of the standard library; with what these pull in themselves.
ALLOWED = ["os", "sys", "errno", "stat", "time", "struct", "marshal", "signal", "fcntl", "select"]
ALLOWED += ["socket", "_socket", "__future__", "ctypes", "resource", "termios", "posix", "_json", "gc", "array"]
MOST_STANDARD_MODULES = 61

LIST_MODULES = "import sys; [__import__(name) for name in {names!r}]; print('\\n'.join(sorted(sys.modules)))"


def loaded_modules(names: list[str]) -> set[str]:
    """The modules of a fresh `python -SI` that has imported `names`."""
    code = f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); " + LIST_MODULES.format(names=names)
    command = [sys.executable, "-SI", "-c", code]
    return set(subprocess.run(command, capture_output=True, check=True, text=True).stdout.split())


def supervisor_modules() -> list[Module]:
    """The supervisor's modules and every module of linux/ that they import, directly or not."""
    by_name = {module.name: module for module in source_modules()}
    reached: dict[str, Module] = {}
    waiting = [module for module in by_name.values() if module.room == "supervisor"]
    while waiting:
        module = waiting.pop()
        if module.name in reached:
            continue
        reached[module.name] = module
        targets = (entry.target for entry in imports(module) if not entry.for_typing)
        waiting += [by_name[name] for name in targets if name in by_name and room_of(name)]
    return list(reached.values())


def test_supervisor_at_run_time_loads_only_the_allow_list() -> None:
    """A supervisor forks for every container, so each module that it loads is paid for at each start."""
    names = [module.name for module in supervisor_modules() if not module.name.endswith("__main__")]
    loaded = {name for name in loaded_modules(names) if name.partition(".")[0] != "shoal"}
    surplus = sorted(loaded - loaded_modules(ALLOWED))
    assert not surplus, f"the supervisor loads modules outside its allow-list: {surplus}"
    assert len(loaded) <= MOST_STANDARD_MODULES, f"{len(loaded)} modules of the standard library are loaded"


def test_supervisor_in_its_source_imports_only_the_allow_list() -> None:
    """The same by reading the source, so that an import inside a function, which runs late, is seen too."""
    allowed = {*ALLOWED, "shoal"}
    wrong = [
        str(entry)
        for module in supervisor_modules()
        for entry in imports(module)
        if entry.target.partition(".")[0] not in allowed and not entry.for_typing
    ]
    assert not wrong, "imports outside the supervisor's allow-list:\n" + "\n".join(wrong)
