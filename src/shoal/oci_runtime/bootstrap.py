"""The script that the sealed interpreter runs: finds the package and its one library, then does what was asked.

The interpreter runs with -SI: no site-packages, and no environment variable of the caller's has a say.
"""

import gc
import os
import sys

if __name__ == "__main__":
    # A call is over before there is anything to collect; looking for it takes a tenth of its time.
    gc.disable()
    # Absolute, as the console script passes it. Behind the standard library: nothing of ours may stand in for it.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    sys.path.append(sys.argv[1])
    # msgspec takes it where it finds it, and does as well without it, twenty milliseconds earlier.
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]

    from shoal.oci_runtime.main import run_sealed

    status = run_sealed(sys.argv[2:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Without the interpreter's own clean-up, which has nothing to do here.
    os._exit(status)
