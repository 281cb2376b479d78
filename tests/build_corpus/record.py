"""Holds the records of the corpus against what Docker's classic builder makes, and with `--write` writes them anew."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.build_corpus.corpus import Case, cases
from tests.build_corpus.images import build, files, outcome
from tests.engines.busybox import IMAGE
from tests.engines.dockerd import Dockerd
from tests.engines.engine import Engine


def recorded(path: Path, engine: Engine, case: Case, base: dict[str, str]) -> str:
    """The text of the record of one case.

    Raises: RuntimeError where the classic builder refuses it.
    """
    built = build(engine, case, case.name)
    if built.error:
        raise RuntimeError(f"{path.name}: {built.error}")
    return json.dumps(outcome(engine, case.name, base, built), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    """Write the records, or compare them; the exit status."""
    different = []
    engine = Dockerd()
    try:
        engine.start()
        engine.import_busybox()
        base = files(engine, IMAGE)
        for case in cases("classic"):
            text = recorded(case.record, engine, case, base)
            if not case.record.exists() or case.record.read_text() != text:
                different.append(case.name)
                if "--write" in arguments:
                    case.record.write_text(text)
    finally:
        engine.close()
    print(f"{'written' if '--write' in arguments else 'different'}: {', '.join(different) or 'none'}")
    return bool(different) and "--write" not in arguments


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
