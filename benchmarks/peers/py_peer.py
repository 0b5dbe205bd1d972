"""A py-libp2p node that `loopback.py` drives; `natlab_peer.py` says what the commands are.

    python py_peer.py [--listen /ip4/127.0.0.1/tcp/0]

py-libp2p runs on trio. `host.connect` returns when the connection is muxed, and identify is not waited for.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

import trio
from libp2p import new_host
from libp2p.abc import IHost
from libp2p.host.ping import ID as PING
from libp2p.host.ping import handle_ping
from libp2p.network.stream.net_stream import INetStream
from libp2p.peer.peerinfo import info_from_p2p_addr
from multiaddr import Multiaddr

SINK = "/natlab/benchmark/sink"
CHUNK = 1 << 18


class Driven:
    def __init__(self, node: IHost, stack: AsyncExitStack) -> None:
        self.node = node
        self.stack = stack

    async def dial(self, to: str, number: str) -> dict[str, Any]:
        ready = []
        peer = info_from_p2p_addr(Multiaddr(to))
        for _ in range(int(number)):
            began = time.perf_counter()
            await self.node.connect(peer)
            ready.append(time.perf_counter() - began)
            await self.node.disconnect(peer.peer_id)
        return {"ready": ready}

    async def crowd(self, to: str, number: str) -> dict[str, Any]:
        nodes = [new_host() for _ in range(int(number))]
        for node in nodes:
            await self.stack.enter_async_context(node.run(listen_addrs=[]))
        began = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(node.connect, info_from_p2p_addr(Multiaddr(to)))
        return {"seconds": time.perf_counter() - began}

    async def ping(self, to: str, number: str) -> dict[str, Any]:
        stream = await self._stream(to, PING)
        rtt = []
        for _ in range(int(number)):
            began = time.perf_counter()
            await stream.write(bytes(32))
            await read_exactly(stream, 32)
            rtt.append(time.perf_counter() - began)
        await stream.close()
        return {"rtt": rtt}

    async def send(self, to: str, size: str) -> dict[str, Any]:
        stream = await self._stream(to, SINK)
        began = time.perf_counter()
        await stream.write(int(size).to_bytes(8, "big"))
        zeros = bytes(CHUNK)
        for _ in range(0, int(size), CHUNK):
            await stream.write(zeros)
        await read_exactly(stream, 1)
        seconds = time.perf_counter() - began
        await stream.close()
        return {"seconds": seconds}

    async def settle(self) -> dict[str, Any]:
        gc.collect()
        return {}

    async def _stream(self, to: str, protocol: str) -> INetStream:
        peer = info_from_p2p_addr(Multiaddr(to))
        await self.node.connect(peer)
        return await self.node.new_stream(peer.peer_id, [protocol])


async def read_exactly(stream: INetStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += await stream.read(size - len(data))
    return data


async def sink(stream: INetStream) -> None:
    """Takes as many bytes as the first eight say, and answers with one."""
    left = int.from_bytes(await read_exactly(stream, 8), "big")
    while left > 0:
        left -= len(await stream.read(CHUNK))
    await stream.write(b"\n")
    await stream.close()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen")
    listen = parser.parse_args().listen
    node = new_host()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(node.run(listen_addrs=[Multiaddr(listen)] if listen else []))
        node.set_stream_handler(PING, handle_ping)
        node.set_stream_handler(SINK, sink)
        driven = Driven(node, stack)
        print(json.dumps({"address": str(node.get_addrs()[0]) if listen else ""}), flush=True)
        async for line in trio.wrap_file(sys.stdin):
            verb, *arguments = line.split()
            print(json.dumps(await getattr(driven, verb)(*arguments)), flush=True)


trio.run(main)
