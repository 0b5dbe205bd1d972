"""The 81 hole punches of real go-libp2p behind Linux's NATs, replayed with two NAT boxes and nothing else.

No TCP and no libp2p here: only which SYNs the boxes let through, and as whose. From that follows how each punch ends:

    - the dialer is open to strangers and knows its address: connection reversal;
    - the SYN of the dialer (DCUtR's receiver, client on attempts 1 and 2) arrives, or the SYNs cross: attempt 1;
    - only the SYN of the listener (initiator, server on attempts 1 and 2) arrives, as a stranger's, and so at the
      listening socket: attempt 3, where go-libp2p swaps the roles;
    - no SYN arrives: never.

Source: `data/measured/README.md`.
"""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from natlab.endpoint import Endpoint
from natlab.events import Journal
from natlab.nat import Behaviour, NatBox, NatConfig, PortAllocation
from natlab.packet import Flag, IPProtocol, Packet

MEASURED = Path(__file__).parents[2] / "data" / "measured" / "go-go-tcp.csv"
RELAY = Endpoint("12.0.0.1", 4001)
SYN, SYN_ACK = int(Flag.SYN), int(Flag.SYN | Flag.ACK)
EI = Behaviour.ENDPOINT_INDEPENDENT


class Side:
    """A host behind a box, known to others by what the relay observed."""

    def __init__(self, ip: str, mapping: str, filtering: str, ports: PortAllocation) -> None:
        config = NatConfig(mapping=Behaviour(mapping), filtering=Behaviour(filtering), port_allocation=ports)
        self.host = Endpoint("192.168.1.2", 4001)
        self.box = NatBox(ip, config, ip, random.Random(ip), Journal(()))
        hello = self.send(RELAY, SYN, 0)
        self.observed = hello.source
        self.receive(Packet(IPProtocol.TCP, RELAY, self.observed, flags=SYN_ACK), 1)

    def send(self, to: Endpoint, flags: int, now: int) -> Packet:
        sent = self.box.outbound(Packet(IPProtocol.TCP, self.host, to, flags=flags), now)
        assert isinstance(sent, Packet)
        return sent

    def receive(self, packet: Packet, now: int) -> Packet | None:
        result = self.box.inbound(packet, now)
        return result if isinstance(result, Packet) else None


@dataclass(frozen=True)
class Punch:
    listener: Side
    dialer: Side

    def outcome(self) -> str:
        if self.dialer.box.config.mapping is EI and self.opens(self.listener, self.dialer, 10):
            return "reversal"
        syns = self.listener.send(self.dialer.observed, SYN, 20), self.dialer.send(self.listener.observed, SYN, 20)
        at_dialer, at_listener = self.dialer.receive(syns[0], 30), self.listener.receive(syns[1], 30)
        if at_listener:
            self.answer_arrives(self.listener, self.dialer, at_listener)
            return "1"
        if at_dialer:
            self.answer_arrives(self.dialer, self.listener, at_dialer)
            crossed = at_dialer.source == self.listener.observed
            return "1" if crossed else "3"
        return ""

    def opens(self, of: Side, to: Side, now: int) -> bool:
        arrived = to.receive(of.send(to.observed, SYN, now), now + 1)
        return arrived is not None

    def answer_arrives(self, of: Side, to: Side, syn: Packet) -> None:
        """What gets in must get an answer out, by the way it came."""
        answer = to.receive(of.send(syn.source, SYN_ACK, 40), 50)
        assert answer is not None and answer.source == of.observed


def measured() -> list[dict[str, str]]:
    with MEASURED.open(newline="") as file:
        return list(csv.DictReader(file))


def name(row: dict[str, str]) -> str:
    return " x ".join(f"{row[f'{side}_mapping']}/{row[f'{side}_filtering']}" for side in ("listener", "dialer"))


@pytest.mark.parametrize("row", measured(), ids=name)
def test_the_boxes_pass_the_syns_that_the_measured_outcome_needs(row: dict[str, str]) -> None:
    sides = [
        Side(ip, row[f"{side}_mapping"], row[f"{side}_filtering"], PortAllocation.RANDOM)
        for side, ip in (("listener", "13.0.0.1"), ("dialer", "14.0.0.1"))
    ]
    assert Punch(*sides).outcome() == row["attempt"]


def test_all_81_pairs_were_measured() -> None:
    assert len({name(row) for row in measured()}) == 81


@pytest.mark.parametrize("row", measured(), ids=name)
def test_with_port_preservation_every_pair_punches(row: dict[str, str]) -> None:
    sides = [
        Side(ip, row[f"{side}_mapping"], row[f"{side}_filtering"], PortAllocation.PRESERVING)
        for side, ip in (("listener", "13.0.0.1"), ("dialer", "14.0.0.1"))
    ]
    assert Punch(*sides).outcome() in ("1", "reversal")
