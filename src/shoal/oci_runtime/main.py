"""Finds the verb, runs it, and turns errors into the lines and exit codes that callers of runc read."""

from __future__ import annotations

import os
import sys

import shoal
from shoal.errors import InvalidArgument, ShoalError
from shoal.linux.libc import close_range
from shoal.linux.prctl import set_dumpable
from shoal.oci_runtime.arguments import VERBS, Invocation, parse
from shoal.oci_runtime.records import STATE_VERSION
from shoal.oci_runtime.report import Report, is_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Verb = Callable[[Invocation, Report], int]

_FAILED = 1
# So that a caller can tell it from the exit codes of most programs, as with runc.
_EXEC_FAILED = 255


def run_sealed(arguments: list[str]) -> int:
    """The same as `run` for a call that enters a container: this process is the sealed interpreter's."""
    # Before any container is joined: nobody in it may trace this process or look at its descriptors.
    set_dumpable(False)
    _arrange_descriptors()
    return run(arguments)


def run(arguments: list[str]) -> int:
    """Runs one call; its exit status."""
    report = Report("", "text", debug=False)
    verb = ""
    try:
        call = parse(arguments)
        verb = call.verb
        report = _report(call)
        if call.options.switch("version"):
            print(f"shoal-runtime version {shoal.__version__}\nspec: {STATE_VERSION}")
            return 0
        if not verb or call.options.switch("help") or call.flags.switch("help"):
            _print_usage(verb)
            return 0 if verb or call.options.switch("help") else _FAILED
        return _verb(verb)(call, report)
    except ShoalError as error:
        report.error(f"{error} ({error.fix})" if error.fix else str(error))
    except OSError as error:
        report.error(f"{error.filename or verb}: {error.strerror or error}")
    except KeyboardInterrupt:
        return 130
    return _EXEC_FAILED if verb == "exec" else _FAILED


def _report(call: Invocation) -> Report:
    format = call.options.text("log-format", "text")
    if not is_format(format):
        raise InvalidArgument(f"invalid log-format: {format}", fix="use text or json")
    return Report(call.options.text("log"), format, debug=call.options.switch("debug"))


def _verb(name: str) -> Verb:
    """The function of a verb; only its module is imported."""
    if name in ("create", "run"):
        from shoal.oci_runtime.verbs import making

        return making.create if name == "create" else making.run
    if name == "exec":
        from shoal.oci_runtime.verbs.joining import exec_

        return exec_
    if name == "start":
        from shoal.oci_runtime.starting import start

        return start
    if name in ("kill", "delete"):
        from shoal.oci_runtime import ending

        return ending.kill if name == "kill" else ending.delete
    return _quieter_verb(name)


def _quieter_verb(name: str) -> Verb:
    """Verbs that change nothing of a container's life."""
    if name in ("state", "list", "ps"):
        from shoal.oci_runtime.verbs import looking

        return {"state": looking.state, "list": looking.list_, "ps": looking.ps}[name]
    if name in ("pause", "resume"):
        from shoal.oci_runtime.verbs import freezing

        return freezing.pause if name == "pause" else freezing.resume
    if name in ("update", "events"):
        from shoal.oci_runtime.verbs import limits

        return limits.update if name == "update" else limits.events
    from shoal.oci_runtime.verbs import describing

    return describing.spec if name == "spec" else describing.features


def _arrange_descriptors() -> None:
    """Standard streams that are open, and nothing else of the caller's within reach of a program by accident."""
    while (fd := os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)) < 3:
        os.set_inheritable(fd, True)
    os.close(fd)
    # What --preserve-fds names is handed on at the last moment.
    close_range(3, cloexec=True)


def _print_usage(verb: str) -> None:
    flags = "".join(f" [--{name}]" for name in VERBS.get(verb, {}))
    if verb:
        print(
            f"usage: shoal-runtime [global flags] {verb}{flags} {'' if verb in ('list', 'features', 'spec') else 'ID'}"
        )
        return
    print(f"usage: shoal-runtime [global flags] VERB [flags] [ID] …\n\nverbs: {', '.join(VERBS)}")
    print(
        "global flags: --root DIR, --log FILE, --log-format text|json, --debug, --systemd-cgroup, "
        "--rootless auto|true|false"
    )
    sys.stdout.flush()
