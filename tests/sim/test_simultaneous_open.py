"""TCP simultaneous open through two NATs: every row measured on Linux in network namespaces must come out here too.

Measured on Linux 6.18 with nft's NATs and 20 ms one way; here the same topology, the same dials, our NAT box. Both
ends first talk to an observer on the public internet from the port they will punch from, and dial what it saw.
"""

import asyncio
import errno

import pytest

from natlab.endpoint import Endpoint
from natlab.errors import SocketError
from natlab.nat import NatConfig

PORT = Endpoint("0.0.0.0", 4001)
EI, AD, APD = "endpoint-independent", "address-dependent", "address-and-port-dependent"
MASQUERADE = NatConfig(mapping=EI, filtering=APD)
RESETTING = NatConfig(mapping=EI, filtering=APD, unsolicited_syn="rst")
PORT_BY_DESTINATION = NatConfig(mapping=APD, filtering=APD, port_allocation="random")
FILTERS_BY_ADDRESS = NatConfig(mapping=EI, filtering=AD)


class Peer:
    """One side of the punch: what became of it, and when."""

    def __init__(self, world, name, nat, delay):
        self.loop = world.loop
        self.nat = world.nat(f"{name}'s NAT", nat, delay=delay)
        self.host = world.host(name, behind=self.nat, delay=0)

    async def observed_by(self, observer, listening):
        self.listener = await self.host.listen_tcp(PORT, reuse_port=True) if listening else None
        seen_by = await observer.host.listen_tcp(Endpoint("0.0.0.0", 0))
        to = Endpoint(observer.host.ip, seen_by.local.port)
        await self.host.dial_tcp(to, local=PORT, reuse_port=True)
        return (await seen_by.accept()).remote

    async def dial(self, to, gap):
        accepted = asyncio.ensure_future(self.listener.accept()) if self.listener else None
        await asyncio.sleep(gap)
        try:
            await self.host.dial_tcp(to, local=PORT, reuse_port=True)
            self.outcome = "connects"
        except SocketError as error:
            self.outcome = "accepts" if accepted and accepted.done() else errno.errorcode[error.errno]
        if accepted:
            accepted.cancel()


class Observer:
    def __init__(self, world):
        self.host = world.host("observer")


def punch(world, nat_a, nat_b, *, gap=0.0, delay_a=0.010, delay_b=0.010, listening=False):
    """Both dial, `gap` apart; returns the two outcomes and the seconds until both were settled."""
    observer = Observer(world)
    a, b = Peer(world, "a", nat_a, delay_a), Peer(world, "b", nat_b, delay_b)

    async def main():
        seen_a = await a.observed_by(observer, listening)
        seen_b = await b.observed_by(observer, listening)
        begin = world.loop.time()
        await asyncio.gather(a.dial(seen_b, 0), b.dial(seen_a, gap))
        return world.loop.time() - begin

    seconds = world.run(main())
    return a.outcome, b.outcome, seconds


class TestEndpointIndependentMappingStraySynDropped:
    @pytest.mark.parametrize(
        ("gap", "seconds"),
        # one round trip after the later dial; at a gap below the one-way delay both SYNs find the NATs open
        [(0.0, 0.040), (0.010, 0.050), (0.030, 0.090), (0.100, 0.160), (0.500, 0.560)],
    )
    def test_both_connect(self, world, gap, seconds):
        a, b, took = punch(world, MASQUERADE, MASQUERADE, gap=gap)
        assert (a, b) == ("connects", "connects")
        assert took == pytest.approx(seconds, abs=1e-9)

    def test_asymmetric_delay_5_and_80_ms_takes_a_round_trip(self, world):
        a, b, took = punch(world, MASQUERADE, MASQUERADE, delay_a=(0.080, 0.005), delay_b=0.0)
        assert (a, b) == ("connects", "connects")
        assert took == pytest.approx(0.085, abs=1e-9)

    def test_also_when_both_ends_listen_on_the_port(self, world):
        a, b, _ = punch(world, MASQUERADE, MASQUERADE, gap=0.1, listening=True)
        assert (a, b) == ("connects", "connects")


class TestStraySynAnsweredWithRst:
    @pytest.mark.parametrize("gap", [0.0, 0.010])
    def test_both_connect_while_the_gap_is_below_the_one_way_delay(self, world, gap):
        a, b, _ = punch(world, RESETTING, RESETTING, gap=gap)
        assert (a, b) == ("connects", "connects")

    @pytest.mark.parametrize("gap", [0.030, 0.100])
    def test_refused_on_both_sides_when_it_is_above(self, world, gap):
        a, b, _ = punch(world, RESETTING, RESETTING, gap=gap)
        assert (a, b) == ("ECONNREFUSED", "ECONNREFUSED")


class TestAddressAndPortDependentMapping:
    def test_against_filtering_by_address_one_connects_and_the_other_accepts(self, world):
        """No simultaneous open: the SYN from an unexpected port reaches the listener."""
        a, b, _ = punch(world, PORT_BY_DESTINATION, FILTERS_BY_ADDRESS, listening=True)
        assert (a, b) == ("connects", "accepts")

    def test_against_filtering_by_address_and_port_both_time_out(self, world):
        a, b, _ = punch(world, PORT_BY_DESTINATION, MASQUERADE, listening=True)
        assert (a, b) == ("ETIMEDOUT", "ETIMEDOUT")


def test_on_loopback_syns_never_cross(world):
    """The first dial lands in the peer's listener, and the second finds its 4-tuple taken."""
    host = world.host("computer")
    one, two = Endpoint("127.0.0.1", 4001), Endpoint("127.0.0.1", 4002)

    async def main():
        await host.listen_tcp(one, reuse_port=True)
        await host.listen_tcp(two, reuse_port=True)
        return await asyncio.gather(
            host.dial_tcp(two, local=one, reuse_port=True),
            host.dial_tcp(one, local=two, reuse_port=True),
            return_exceptions=True,
        )

    first, second = world.run(main())
    assert (first.local, first.remote) == (one, two)
    assert isinstance(second, SocketError) and second.errno == errno.EADDRNOTAVAIL


def test_a_syn_that_comes_before_the_dial_is_accepted_and_the_dial_fails(world):
    """Two public hosts: no NAT holds the early SYN back."""
    a, b = world.host("a"), world.host("b")

    async def main():
        listener = await b.listen_tcp(PORT, reuse_port=True)
        connection = await a.dial_tcp(Endpoint(b.ip, 4001), local=PORT, reuse_port=True)
        with pytest.raises(SocketError) as refused:
            await b.dial_tcp(connection.local, local=PORT, reuse_port=True)
        accepted = await listener.accept()
        return refused.value.errno, accepted.remote == connection.local

    assert world.run(main()) == (errno.EADDRNOTAVAIL, True)
