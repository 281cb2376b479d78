"""The script that a supervisor's interpreter runs: finds the package, then serves.

The interpreter runs with -SI (no site-packages, no environment), so the directory that holds this package is put
behind the standard library on the path.
"""

import os
import sys

if __name__ == "__main__":
    # Absolute, as shoald passes it. Not resolved: site-packages may link to an editable checkout.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))

    from shoal.supervisor.main import main

    status = main(sys.argv[1:])
    sys.stderr.flush()
    # Without the interpreter's own clean-up, which has nothing to do here.
    os._exit(status)
