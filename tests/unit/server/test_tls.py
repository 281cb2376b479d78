"""What a TLS client gets whose request is not read to its end."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

from shoal.daemon.tls import TlsSettings, server_context
from shoal.server.tls import TlsRelay
from tests.engines.certificates import make_certificates


def test_relay_hands_on_the_last_words_of_one_that_reads_no_more(tmp_path: Path) -> None:
    """A refusal reaches a client that is still sending: the broken way in does not end the way out."""
    certificates = make_certificates(tmp_path)
    context = server_context(TlsSettings(certificates.engine, certificates.engine_key, None))

    async def scenario() -> None:
        inner, outer = socket.socketpair()
        outer.setblocking(False)
        relay = TlsRelay(outer, context)
        running = asyncio.create_task(relay.run())
        trusting = ssl.create_default_context(cafile=str(certificates.authority))
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(sock=inner, ssl=trusting, server_hostname="localhost")
            loop = asyncio.get_running_loop()
            writer.write(b"first")
            assert await loop.sock_recv(relay.plain, 5) == b"first"
            await loop.sock_sendall(relay.plain, b"no" * 60_000)
            relay.plain.close()
            writer.write(b"second")
            assert await reader.readexactly(120_000) == b"no" * 60_000
            writer.close()
            await running

    asyncio.run(scenario())
