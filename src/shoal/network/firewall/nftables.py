"""libnftables through ctypes: run nft commands in this process, each call one transaction.

A map element costs 0.08 ms this way, a forked `nft` 2–3 ms. The library is not thread-safe: one `Nftables` belongs
to one thread, which is also the thread whose network namespace it talks to. The only importer of the library.
"""

from __future__ import annotations

import ctypes
import json
import os
from typing import Any

from shoal.errors import Internal, Unavailable

_FD_SETSIZE = 1024
_SONAME = "libnftables.so.1"
_NFT_CTX_DEFAULT = 0
_NFT_CTX_OUTPUT_HANDLE = 1 << 3
_NFT_CTX_OUTPUT_JSON = 1 << 4
_NFT_CTX_OUTPUT_NUMERIC_PRIO = 1 << 7
_MISSING = "No such file or directory"
# Of a family that the kernel lacks: EOPNOTSUPP, or EAFNOSUPPORT.
_UNSUPPORTED = ("Operation not supported", "Address family not supported")


class NftError(Internal):
    """The kernel or the parser refused a command; `why` has nft's own words."""

    __slots__ = ("missing", "unsupported")

    def __init__(self, what: str, words: str) -> None:
        super().__init__(what, why=" ".join(words.split()) or "nft gave no reason", fix="see `nft list ruleset`")
        self.missing = _MISSING in words
        self.unsupported = any(sentence in words for sentence in _UNSUPPORTED)


class Nftables:
    """One libnftables context. A context manager; blocking, needs CAP_NET_ADMIN. Source: libnftables(3)."""

    def __init__(self) -> None:
        """Raises: Unavailable when the library isn't installed, or too many descriptors are open already."""
        _require_low_descriptor()
        try:
            library = ctypes.CDLL(_SONAME)
        except OSError as error:
            raise Unavailable(
                "the firewall can't be set up", why=str(error), fix="install libnftables: `apt install libnftables1`"
            ) from None
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_new.argtypes = [ctypes.c_uint32]
        for name in ("nft_ctx_free", "nft_ctx_buffer_output", "nft_ctx_buffer_error"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
        for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
            getattr(library, name).restype = ctypes.c_char_p
        library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self._library = library
        self._context = library.nft_ctx_new(_NFT_CTX_DEFAULT)
        library.nft_ctx_buffer_output(self._context)
        library.nft_ctx_buffer_error(self._context)
        library.nft_ctx_output_set_flags(self._context, _NFT_CTX_OUTPUT_HANDLE | _NFT_CTX_OUTPUT_NUMERIC_PRIO)

    def run(self, commands: str) -> str:
        """The output of the commands (one per line), all of them done or none.

        Raises: NftError; its `missing` tells that something named doesn't exist.
        """
        if self._context is None:
            raise Internal("the firewall is closed already")
        # SAFETY: the context lives until close(), the text for the call; the buffers are copied before the next call.
        status = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
        output = self._library.nft_ctx_get_output_buffer(self._context) or b""
        words = self._library.nft_ctx_get_error_buffer(self._context) or b""
        if status != 0:
            raise NftError("the firewall refused a change", words.decode("utf-8", "replace"))
        return bytes(output).decode("utf-8", "replace")

    def read(self) -> list[dict[str, Any]]:
        """The whole ruleset of the host, ours and others', as libnftables-json(5) has it. Raises: NftError."""
        if self._context is None:
            raise Internal("the firewall is closed already")
        flags = _NFT_CTX_OUTPUT_HANDLE | _NFT_CTX_OUTPUT_NUMERIC_PRIO
        # SAFETY: as in run(); the flags are set back before any other command.
        self._library.nft_ctx_output_set_flags(self._context, flags | _NFT_CTX_OUTPUT_JSON)
        try:
            text = self.run("list ruleset")
        finally:
            self._library.nft_ctx_output_set_flags(self._context, flags)
        objects: list[dict[str, Any]] = json.loads(text)["nftables"]
        return objects

    def close(self) -> None:
        """Free the context; harmless when repeated."""
        if self._context is not None:
            self._library.nft_ctx_free(self._context)
            self._context = None


def _require_low_descriptor() -> None:
    """The library waits by select(2), which aborts the whole process for a socket numbered above 1023.

    It keeps the socket that it opens first, so making the context early in shoald's life is enough.
    """
    probe = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    os.close(probe)
    if probe >= _FD_SETSIZE:
        raise Unavailable(
            "the firewall can't be set up",
            why=f"libnftables needs a descriptor below {_FD_SETSIZE}, and all of them are in use",
            fix="restart shoald: it sets up its firewall before it opens other files",
        )
