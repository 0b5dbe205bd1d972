"""A natlab node that `loopback.py` drives: one command a line on stdin, one JSON object a line on stdout.

    python natlab_peer.py [--listen /ip4/127.0.0.1/tcp/0]

The first line out is {"address": MULTIADDR}, where it listens if it does. Then one answer for each command, in seconds:

    dial ADDRESS N       {"ready": [...], "identified": [...]}   N connections, one after the other, each closed again;
                         ready: encrypted and muxed; identified: and identify has been exchanged
    crowd ADDRESS N      {"seconds": S}    N more nodes made here dial at once, and stay; until all are ready
    ping ADDRESS N       {"rtt": [...]}    N pings over one stream
    send ADDRESS BYTES   {"seconds": S}    one stream of zeros, until the listener says that it has them all
    settle               {}                give back the memory that is not needed

It ends when stdin ends. The programs beside this one, of other implementations, understand the same.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import sys
import time
from typing import Any

from natlab.events import ConnectionOpened, Event, Journal
from natlab.host import Node
from natlab.net import Stream
from natlab.protocol.ping import PING_ID, ping
from natlab.transport.connection import Connection
from natlab.wire.peer_id import PeerId

SINK = "/natlab/benchmark/sink"
CHUNK = 1 << 18


class Stopwatch(Journal):
    """Notes when the last connection was ready."""

    def __init__(self) -> None:
        super().__init__((ConnectionOpened,))
        self.ready = 0.0

    def emit(self, event: Event) -> None:
        if isinstance(event, ConnectionOpened):
            self.ready = time.perf_counter()


class Driven:
    def __init__(self, node: Node, stopwatch: Stopwatch) -> None:
        self.node = node
        self.stopwatch = stopwatch
        self.crowd_nodes: list[Node] = []

    async def dial(self, to: str, number: str) -> dict[str, Any]:
        ready, identified = [], []
        for _ in range(int(number)):
            began = time.perf_counter()
            connection = await self.node.dial(to)
            identified.append(time.perf_counter() - began)
            ready.append(self.stopwatch.ready - began)
            await connection.close()
        return {"ready": ready, "identified": identified}

    async def crowd(self, to: str, number: str) -> dict[str, Any]:
        watches = [Stopwatch() for _ in range(int(number))]
        nodes = [Node(listen=(), journal=watch) for watch in watches]
        for node in nodes:
            await node.start()
        self.crowd_nodes += nodes
        began = time.perf_counter()
        await asyncio.gather(*(node.dial(to) for node in nodes))
        return {"seconds": max(watch.ready for watch in watches) - began}

    async def ping(self, to: str, number: str) -> dict[str, Any]:
        stream = await self.node.new_stream(await self._peer(to), PING_ID)
        rng = random.Random(1)
        times = [await ping(stream, rng) for _ in range(int(number))]
        await stream.close_write()  # a peer has two such streams at most
        return {"rtt": times}

    async def send(self, to: str, size: str) -> dict[str, Any]:
        stream = await self.node.new_stream(await self._peer(to), SINK)
        began = time.perf_counter()
        await stream.write(int(size).to_bytes(8, "big"))
        zeros = bytes(CHUNK)
        for _ in range(0, int(size), CHUNK):
            await stream.write(zeros)
        await stream.read()
        seconds = time.perf_counter() - began
        await stream.close_write()
        return {"seconds": seconds}

    async def settle(self) -> dict[str, Any]:
        gc.collect()
        return {}

    async def _peer(self, to: str) -> PeerId:
        return (await self.node.dial(to)).peer


async def sink(stream: Stream, _: Connection) -> None:
    """Takes as many bytes as the first eight say, and answers with one."""
    begun = b""
    while len(begun) < 8:
        begun += await stream.read()
    left = int.from_bytes(begun[:8], "big") - len(begun[8:])
    while left > 0:
        left -= len(await stream.read(CHUNK))
    await stream.write(b"\n")
    await stream.close_write()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen")
    listen = parser.parse_args().listen
    stopwatch = Stopwatch()
    async with Node(listen=[listen] if listen else (), journal=stopwatch) as node:
        node.handle(SINK, sink)
        driven = Driven(node, stopwatch)
        print(json.dumps({"address": str(node.addresses[0]) if listen else ""}), flush=True)
        commands = await stdin()
        while line := (await commands.readline()).decode():
            verb, *arguments = line.split()
            print(json.dumps(await getattr(driven, verb)(*arguments)), flush=True)


async def stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


asyncio.run(main())
