"""Looking at a lab: whose line a picture draws, and what a capture file holds."""

from __future__ import annotations

import asyncio

import pytest

from natlab import LinkConfig
from natlab.endpoint import Endpoint
from natlab.lab import Lab
from natlab.lab.bare import BareHost
from natlab.lab.scenes import two_behind_nats


@pytest.fixture(scope="module")
def punched() -> Lab:
    return two_behind_nats(7)


def test_ladder_and_map_are_of_everybody_but_the_crowd():
    lab = Lab()
    lab.node("relay")
    lab.crowd(2)
    assert "crowd" not in lab.ladder().text + lab.draw().text
    assert lab.draw("relay", "crowd 1").text.count("crowd") == 1


def test_a_capture_names_the_rule_that_dropped_a_packet(tmp_path):
    lab = Lab()
    alice, bob = lab.host("alice", lab.nat("home")), lab.host("bob")
    lab.run(_datagrams(lab, bob, alice, [0.0], to=Endpoint("11.0.0.1", 9)))
    lab.pcap(tmp_path / "lab.pcap", "bob", "home")
    assert b"dropped: no mapping: nothing inside uses 11.0.0.1:9 for UDP" in (tmp_path / "lab.pcap").read_bytes()


def test_a_capture_of_one_place_holds_nothing_that_happened_on_its_link(tmp_path):
    lab = Lab()
    alice, bob = lab.host("alice", link=LinkConfig(duplication=1.0)), lab.host("bob", loss=1.0)
    lab.run(_datagrams(lab, alice, bob, [0.0, 0.1]))
    assert list(lab.packets.query("place == 'alice'").verdict) == ["sent", "duplicated"] * 2
    assert lab.pcap(tmp_path / "alice.pcap", "alice") == 2
    assert lab.pcap(tmp_path / "bob.pcap", "bob") == 0


async def _datagrams(
    lab: Lab, sender: BareHost, receiver: BareHost, at: list[float], to: Endpoint | None = None
) -> None:
    """One datagram at each time, to the receiver's socket or another endpoint."""
    there, socket = await receiver.udp(9), await sender.udp(9)
    for time in at:
        await asyncio.sleep(time - lab.now)
        await socket.send(b"x", to or there)
    await asyncio.sleep(0.5)
