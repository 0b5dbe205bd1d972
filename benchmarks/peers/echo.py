"""The floor of a ping: 80 bytes (what a ping is once encrypted) echoed by asyncio's own streams, and nothing else.

    python echo.py [--listen /ip4/127.0.0.1/tcp/0]

Understands `ping`, as `natlab_peer.py` says it. No encryption, no muxer, no libp2p.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

SIZE = 80


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(SIZE):
        writer.write(data)


async def ping(port: int, number: int) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    rtt = []
    for _ in range(number):
        began = time.perf_counter()
        writer.write(bytes(SIZE))
        await reader.readexactly(SIZE)
        rtt.append(time.perf_counter() - began)
    writer.close()
    return rtt


async def main() -> None:
    if "--listen" in sys.argv:
        server = await asyncio.start_server(echo, "127.0.0.1")
        print(json.dumps({"address": str(server.sockets[0].getsockname()[1])}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        return
    print(json.dumps({"address": ""}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        _, port, number = line.split()
        print(json.dumps({"rtt": await ping(int(port), int(number))}), flush=True)


asyncio.run(main())
