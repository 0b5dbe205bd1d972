"""The prober plays all computers at once, and mixes nothing up."""

import asyncio

from natlab.lab.report.ground import Simulated
from natlab.lab.report.prober import Prober
from natlab.lab.seed import rng_for
from natlab.nat import NatConfig
from natlab.packet import IPProtocol
from natlab.wire.fragments import cut

UDP = int(IPProtocol.UDP)


def play(probe):
    with Simulated(NatConfig(), lambda owner: rng_for(1, owner)) as box:
        return box.run(probe(Prober(box)))


def test_who_waits_takes_nothing_away_from_who_sends():
    async def probe(prober):
        alice, xenia = prober.alice(), prober.xenia()
        return await asyncio.gather(prober.opens(UDP, alice, xenia), prober.wait(Simulated.settle / 2))

    door, waited = play(probe)
    assert door is not None and waited == ([], [])


def test_what_comes_in_pieces_counts_once_it_is_whole():
    async def probe(prober):
        sent = prober.first(UDP, prober.alice(), prober.xenia(), bytes(2000))._replace(df=False)
        return sent, await prober.send(sent), await prober.send(next(cut(sent, 600, 7)))

    sent, outcome, first_piece_only = play(probe)
    assert len(outcome.outside) == 2 and all(packet.fragment for packet in outcome.outside)
    assert [packet.payload for packet in outcome.to(sent.destination)] == [sent.payload]
    assert first_piece_only == ([], [])


def test_another_address_of_the_box_is_what_remotes_see():
    async def probe(prober):
        prober.readdress_box("11.0.0.9")
        return await prober.opens(UDP, prober.alice(), prober.xenia())

    assert play(probe).ip == "11.0.0.9"
