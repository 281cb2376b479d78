"""One target under atheris: `python -m tests.fuzz.parsers.run TARGET [LIBFUZZER-OPTION…] CORPUS`. Ends by exiting."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["shoal"]):
    from tests.fuzz.parsers.targets import TARGETS, feed


def main() -> None:
    """Feeds the target until time is up, or it stumbles."""
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], lambda data: feed(target, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
