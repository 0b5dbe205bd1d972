"""The command line: what it prints, and its exit status."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from natlab.__main__ import main
from natlab.host import Node


@pytest.fixture
def peer() -> Iterator[str]:
    """The address of a natlab node on this computer's loopback, in a thread of its own."""
    address: list[str] = []
    ready, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with Node(listen=["/ip4/127.0.0.1/tcp/0"], agent="a peer\x1b[2J") as node:
            address.append(str(node.addresses[0]))
            loops.append(asyncio.get_running_loop())
            ready.set()
            await stop.wait()

    loops: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    yield address[0]
    loops[0].call_soon_threadsafe(stop.set)
    thread.join(10)
    assert not thread.is_alive()


def test_ping_prints_round_trips(peer, capsys):
    assert main(["ping", "--count", "2", peer]) == 0
    first, *pings = capsys.readouterr().out.splitlines()
    assert first == f"connected to {peer.rpartition('/')[2]}"
    assert len(pings) == 2 and all(line.startswith("ping ") and line.endswith(" ms") for line in pings)


def test_identify_prints_what_the_peer_says(peer, capsys):
    assert main(["identify", peer]) == 0
    printed = capsys.readouterr().out
    assert peer.rpartition("/")[2] in printed and "a peer\\x1b[2J" in printed
    assert "/ipfs/ping/1.0.0" in printed and "sees us at  /ip4/127.0.0.1/tcp/" in printed


def test_the_wrong_peer_is_an_error(peer, capsys):
    stranger = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"
    assert main(["ping", f"{peer.rpartition('/')[0]}/{stranger}"]) == 1
    assert capsys.readouterr().err.startswith("natlab ping: ")


def test_nobody_there_is_an_error(capsys):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        stranger = "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"
        assert main(["identify", f"/ip4/127.0.0.1/tcp/{port}/p2p/{stranger}"]) == 1
    assert "refused" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["nonsense", "/ip4/127.0.0.1/tcp/99999", "/ip4/127.0.0.1/tcp/4001", "/ip4/1.2.3.4"])
def test_a_wrong_address_is_a_usage_error(address, capsys):
    assert main(["ping", address]) == 2
    assert capsys.readouterr().err.startswith("natlab ping: ")


@pytest.mark.parametrize("arguments", [[], ["pin"], ["ping"], ["demo", "x"]])
def test_wrong_arguments_are_a_usage_error(arguments, capsys):
    with pytest.raises(SystemExit) as leaving:
        main(arguments)
    assert leaving.value.code == 2 and "usage: python -m natlab" in capsys.readouterr().err


@pytest.mark.parametrize("count", ["0", "x", "1.5", "\u0663", "9" * 5000])
def test_a_count_is_a_whole_number(count, capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["ping", "--count", count, "/ip4/1.2.3.4"])
    printed = capsys.readouterr().err
    assert leaving.value.code == 2 and "a whole number, 1 or more" in printed and f"not {count[:40]!r}" in printed


def test_help_names_the_commands(capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["--help"])
    assert leaving.value.code == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in ("demo", "ping", "identify"))


def test_the_report_on_a_preset_measures_it(capsys):
    assert main(["nat-report", "linux", "--seed", "3"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("linux: conforms to ") and "30 s unanswered, 120 s answered; 120 s needed" in printed


def test_a_carriers_box_is_measured_by_rfc_6888_besides_if_asked(capsys):
    assert main(["nat-report", "cgnat", "--carrier"]) == 0
    assert "RFC 6888\n  REQ-2 " in capsys.readouterr().out
    assert main(["nat-report", "cgnat"]) == 0
    assert "RFC 6888" not in capsys.readouterr().out


def test_several_presets_are_put_side_by_side(capsys):
    assert main(["nat-report", "home", "linux"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("0 of 2 boxes keep all") and "!!  violates a MUST" in printed


def test_an_unknown_preset_is_a_usage_error_that_names_near_ones(capsys):
    assert main(["nat-report", "linus"]) == 2
    assert "did you mean 'linux'" in capsys.readouterr().err


def _demo(seed: int) -> str:
    command = [sys.executable, "-m", "natlab", "demo", "--seed", str(seed)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_demo_prints_a_successful_punch_the_same_for_the_same_seed():
    printed = _demo(7)
    for words in ("CONNECT (dcutr)", "SYNC (dcutr)", "SYN ACK", "dropped: filtering", "alice punched", "success"):
        assert words in printed.replace("bob punched through to alice", "alice punched"), words
    assert _demo(7) == printed != _demo(8)


def test_import_natlab_is_fast_because_it_loads_neither_pandas_nor_the_node():
    heavy = ("pandas", "asyncio", "cryptography", "natlab.host")
    code = f"import sys, natlab; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_a_reader_that_has_seen_enough_is_no_error():
    command = [sys.executable, "-m", "natlab", "nat-report", "home"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as report:
        report.stdout.close()
        assert (report.stderr.read(), report.wait()) == ("", 0)


def test_lab_and_node_are_there_when_asked_for():
    import natlab

    assert natlab.Node is Node and natlab.Lab.__module__ == "natlab.lab.lab"
    assert {"Lab", "Node"} <= set(dir(natlab))
    with pytest.raises(AttributeError, match="Lob"):
        _ = natlab.Lob
