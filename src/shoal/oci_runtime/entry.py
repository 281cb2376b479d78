"""The console script: calls that enter a container go on in a sealed copy of the interpreter, all others here.

Whoever enters a container is visible in it as /proc/PID/exe. If that were the host's `python3`, a hostile container
could overwrite it (CVE-2019-5736), so this process executes a copy in memory that nobody can change, and is not
dumpable. The copy runs without site-packages: what it needs is named to it.
"""

from __future__ import annotations

import os
import sys

from shoal.errors import ShoalError
from shoal.oci_runtime.arguments import parse

_ENTERING = ("create", "run", "exec")
_BOOTSTRAP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bootstrap.py")
# The one library outside of the standard one that these calls need.
_LIBRARY = "msgspec"


def main() -> int:
    """Runs the call that the command line asks for; its exit status."""
    arguments = sys.argv[1:]
    if _enters(arguments):
        _go_on_sealed(arguments)
    from shoal.oci_runtime.main import run

    return run(arguments)


def _enters(arguments: list[str]) -> bool:
    try:
        call = parse(arguments)
    except ShoalError:
        return False  # told of where it is parsed again
    return call.verb in _ENTERING and not call.flags.switch("help")


def _go_on_sealed(arguments: list[str]) -> None:
    from shoal.runtime.native.interpreter import SealedInterpreter, this_interpreter

    interpreter = SealedInterpreter(this_interpreter())
    words = [interpreter.path, "-SI", _BOOTSTRAP, _directory_of_library(), *arguments]
    os.execve(interpreter.executable, words, {**os.environ, **interpreter.environment})


def _directory_of_library() -> str:
    # Not importlib.util.find_spec, which takes milliseconds to import.
    return next((path for path in sys.path if os.path.isdir(f"{path}/{_LIBRARY}")), "")
