"""natlab without a notebook.

    python -m natlab demo [--seed N]        a hole punch in a simulated internet: its ladder and its tables
    python -m natlab nat-report PRESET...   which rules of the RFCs such a NAT box keeps, each measured; several: a map;
                                            --carrier: also those for a carrier's NAT
    python -m natlab ping MULTIADDR         round trips to a libp2p node, over this computer's sockets
    python -m natlab identify MULTIADDR     what a libp2p node says of itself, and at which address it sees us

Exit status: 0 when it worked, 1 when it did not (nobody there, somebody else there, ...), 2 for wrong arguments.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from natlab.errors import LabError, NatlabError

PINGS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        match options.command:
            case "demo":
                _demo(options.seed)
            case "nat-report":
                _nat_report(options.presets, options.seed, options.carrier)
            case "ping":
                asyncio.run(_ping(options.multiaddr, options.count))
            case "identify":
                asyncio.run(_identify(options.multiaddr))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads, `head` for instance, has seen enough; nothing is left to flush at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, NatlabError) as error:
        print(f"natlab {options.command}: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m natlab", description="See NAT traversal happen, without a notebook."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="a hole punch in a simulated internet: its ladder and its tables")
    demo.add_argument("--seed", type=int, default=7, help="another seed gives other ports and keys (default 7)")
    report = commands.add_parser("nat-report", help="which rules of the RFCs a NAT box keeps, each measured")
    report.add_argument("presets", metavar="PRESET", nargs="+", help="e.g. home, linux, rfc-compliant")
    report.add_argument("--seed", type=int, default=0, help="another seed gives other random ports (default 0)")
    report.add_argument("--carrier", action="store_true", help="also the rules for a carrier's NAT (RFC 6888)")
    ping = commands.add_parser("ping", help="round trips to a libp2p node")
    ping.add_argument("--count", type=_positive, default=PINGS, help=f"how many (default {PINGS})")
    identify = commands.add_parser("identify", help="what a libp2p node says of itself, and of us")
    for command in (ping, identify):
        command.add_argument("multiaddr", metavar="MULTIADDR", help="e.g. /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW...")
    return parser


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number, 1 or more and of nine digits at most, not {text[:40]!r}")
    return int(text)


def _demo(seed: int) -> None:
    from natlab.lab.demo import demo  # pandas and networkx take a second; the other commands do without

    print(demo(seed))


def _nat_report(presets: Sequence[str], seed: int, carrier: bool) -> None:
    from natlab.lab.report import comparison, nat_report

    try:
        reports = [nat_report(preset, seed, carrier) for preset in presets]
        print(reports[0] if len(reports) == 1 else comparison(reports))
    except LabError as error:  # here the experiment is the arguments
        raise ValueError(str(error)) from error


async def _ping(multiaddr: str, count: int) -> None:
    from natlab.host import Node

    async with Node(listen=()) as node:
        connection = await node.dial(multiaddr)
        print(f"connected to {connection.peer}")
        for number in range(1, count + 1):
            seconds = await node.ping(connection.peer)
            print(f"ping {number}: {seconds * 1000:.1f} ms")


async def _identify(multiaddr: str) -> None:
    from natlab.host import Node

    async with Node(listen=()) as node:
        connection = await node.dial(multiaddr)
        identity = await node.identify(connection.peer)
    print(f"peer        {connection.peer}")
    print(f"agent       {_harmless(identity.agent_version) or '(unsaid)'}")
    print(f"version     {_harmless(identity.protocol_version) or '(unsaid)'}")
    print(f"sees us at  {identity.observed_address or '(unsaid)'}")
    print("listens on  " + ("\n            ".join(map(str, identity.listen_addresses)) or "(unsaid)"))
    print("protocols   " + ("\n            ".join(map(_harmless, identity.protocols)) or "(unsaid)"))


def _harmless(text: str) -> str:
    """A stranger's text without the control characters by which it could rewrite the terminal."""
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)


if __name__ == "__main__":
    sys.exit(main())
