"""A program of its own: compresses its standard input to its standard output (gzip). Started by a supervisor.

It runs with `-SI`, and as little of the processor as others leave it.
"""

import os
import zlib

_BLOCK_BYTES = 256 * 1024
_GZIP_FORMAT = 16


def main() -> None:
    """Compresses to the end of the input."""
    os.nice(19)
    compressor = zlib.compressobj(wbits=zlib.MAX_WBITS | _GZIP_FORMAT)
    while block := os.read(0, _BLOCK_BYTES):
        _write(compressor.compress(block))
    _write(compressor.flush())


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    main()
