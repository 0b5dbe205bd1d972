"""One process of the determinism tests: plays all scenarios and prints what came of each, one JSON list a line.

    python play.py COUNT [--seed N] [--backwards] [--litter] [--inside-a-loop]

Each option changes something that must not matter: the order of the labs and of the imports, what lies in memory
beforehand and between them, how often garbage is collected, and whether an asyncio loop is running already.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import json
import random
import sys
from dataclasses import astuple
from pathlib import Path

MODULES = ("natlab.upgrade.yamux", "natlab.wire.proto.circuit_pb2", "natlab.sim", "natlab.host", "natlab.lab", "pandas")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--backwards", action="store_true")
    parser.add_argument("--litter", action="store_true")
    parser.add_argument("--inside-a-loop", action="store_true")
    options = parser.parse_args(arguments)
    if options.inside_a_loop:
        asyncio.run(play_inside(options))
    else:
        play(options)


async def play_inside(options: argparse.Namespace) -> None:
    """As in a notebook: `lab.run` is called in a task of a running loop, which has other things to do."""
    tick(asyncio.get_running_loop())
    await asyncio.sleep(0)
    play(options)


def tick(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_later(0.001, tick, loop)


def play(options: argparse.Namespace) -> None:
    """Prints a line for each scenario."""
    litter: list[object] = []
    if options.litter:
        gc.set_threshold(200, 3, 3)
        litter += [bytearray(size % 700) for size in range(20_000)]
        random.seed(4)
        for name in reversed(MODULES):
            importlib.import_module(name)
    sys.path.insert(0, str(Path(__file__).parent))
    scenarios = importlib.import_module("scenarios")
    for told in scenarios.all_told(options.count, options.seed, options.backwards):
        print(json.dumps(astuple(told)))
        if options.litter:
            del litter[:: random.randint(3, 9)]
            litter += [{str(size): set(range(size % 50))} for size in range(random.randint(1, 500))]


if __name__ == "__main__":
    main(sys.argv[1:])
