"""Which NAT am I behind? The tests of RFC 5780 section 4, for mapping and for filtering.

The server has two addresses and two ports, A1:P1 (the one we know), A1:P2, A2:P1 and A2:P2. It names A2:P2 in
OTHER-ADDRESS. X and Y are two of our ports that nobody has used before.

    mapping (4.3)                                       filtering (4.4)
    X                           server                  Y                           server
    │ ── I ──────────────────── A1:P1                   │ ── I ──────────────────── A1:P1
    │ <─ seen at M1 ─────────── A1:P1                   │ <──────────────────────── A1:P1
    │ ── II ─────────────────── A2:P1                   │ ── II: change both ────── A1:P1
    │ <─ seen at M2 ─────────── A2:P1                   │ <─ let in? ────────────── A2:P2
    │ ── III ────────────────── A2:P2                   │ ── III: change port ───── A1:P1
    │ <─ seen at M3 ─────────── A2:P2                   │ <─ let in? ────────────── A1:P2

    M1 is our own endpoint      no NAT                  II arrives      endpoint-independent
    M2 = M1                     endpoint-independent    III arrives     address-dependent
    M3 = M2                     address-dependent       neither         address-and-port-dependent
    else                        address-and-port-dependent

A test that the one before it has made needless is left out. Filtering has a port of its own because it depends on what
the port has done before (sections 4.1 and 4.4): mapping test III speaks to A2:P2, after which every NAT lets A2:P2 in.
A silence is believed only after all repetitions of `Timers`, 39.5 s by default. So a packet lost on the way does not
change the verdict; a NAT that behaves otherwise under load does, for the tests see one moment of one port (section 4).

Two more, smaller ones: whether the NAT hairpins (section 3.4), and whether a binding outlives a silence (section 4.6).

Not modelled: fragments (section 3.5). An ALG shows as `Discovery.mangled` (section 3.6).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from random import Random

from natlab.endpoint import Endpoint
from natlab.errors import ProtocolError, UnreachableError
from natlab.nat.config import Behaviour
from natlab.net import Network, UdpSocket
from natlab.protocol.stun import DEFAULT_TIMERS, Answer, Timers, ask_udp, binding_request
from natlab.wire import stun
from natlab.wire.stun import ChangeRequest

__all__ = [
    "Discovery",
    "NewPort",
    "Probe",
    "Recorder",
    "discover",
    "discover_udp",
    "filtering_tests",
    "hairpins",
    "mapping_tests",
    "survives_silence",
]


NO_CHANGE = ChangeRequest()


@dataclass(frozen=True, slots=True)
class Probe:
    """One test: what was asked, and what came of it.

    Attributes:
        test: its name in RFC 5780, such as "mapping II".
        section: of RFC 5780.
        local: our endpoint.
        sent_to: the server's endpoint that was asked.
        change: what the CHANGE-REQUEST asked for.
        answered_from: where the response came from; None for silence.
        mapped: where the server saw us; None for silence.
    """

    test: str
    section: str
    local: Endpoint
    sent_to: Endpoint
    change: ChangeRequest
    answered_from: Endpoint | None
    mapped: Endpoint | None


@dataclass(frozen=True, slots=True)
class Discovery:
    """What the tests say about the way from here to one server.

    Attributes:
        transport: "udp" or "tcp".
        natted: whether the server sees us elsewhere than we are.
        mapping, filtering: RFC 4787's words; without a NAT the mapping counts as endpoint-independent (section 4.3).
        mangled: whether MAPPED-ADDRESS and XOR-MAPPED-ADDRESS differed: a generic ALG is on the way (section 3.6).
        probes: the tests, in the order made.
    """

    transport: str
    natted: bool
    mapping: Behaviour
    filtering: Behaviour
    mangled: bool
    probes: tuple[Probe, ...]


class Recorder:
    """One of our ports: asks from there, and writes down what came of it.

    Args:
        local: the port.
        ask: how to ask from it: the server's endpoint, the change -> an answer, or UnreachableError for silence.

    Attributes:
        probes: the tests so far.
        mangled: see `Discovery`.
    """

    def __init__(self, local: Endpoint, ask: Callable[[Endpoint, ChangeRequest], Awaitable[Answer]]) -> None:
        self.local = local
        self.probes: list[Probe] = []
        self.mangled = False
        self._ask = ask

    async def must(self, name: str, section: str, server: Endpoint, change: ChangeRequest = NO_CHANGE) -> Answer:
        """One test that is to be answered.

        Raises:
            UnreachableError: silence.
            ProtocolError: the server does not do what CHANGE-REQUEST says.
            RefusedError: an error response.
        """
        try:
            answer = await self._ask(server, change)
        except UnreachableError:
            self.probes.append(Probe(name, section, self.local, server, change, None, None))
            raise
        self.probes.append(Probe(name, section, self.local, server, change, answer.source, answer.mapped))
        self.mangled |= answer.message.mapped_address not in (None, answer.mapped)
        if change and answer.source == server:
            raise ProtocolError(f"{server} was asked to {change}, and answered from where it was asked")
        return answer

    async def test(self, name: str, section: str, server: Endpoint, change: ChangeRequest) -> Answer | None:
        """One test that the NAT may not let be answered: None for silence. Other errors are those of `must`."""
        try:
            return await self.must(name, section, server, change)
        except UnreachableError:
            return None


NewPort = Callable[[], AbstractAsyncContextManager[Recorder]]
"""Opens one of our ports that was not used before, and closes it at the end."""


async def mapping_tests(record: Recorder, server: Endpoint) -> tuple[bool, Behaviour]:
    """RFC 5780 section 4.3: whether there is a NAT, and its mapping behaviour.

    Raises:
        UnreachableError: one of the server's endpoints does not answer.
        ProtocolError: the server has no second address.
    """
    first = await record.must("mapping I", "4.3", server)
    other = other_address(first, server)
    if first.mapped == record.local:
        return False, Behaviour.ENDPOINT_INDEPENDENT
    second = await record.must("mapping II", "4.3", Endpoint(other.ip, server.port))
    if second.mapped == first.mapped:
        return True, Behaviour.ENDPOINT_INDEPENDENT
    third = await record.must("mapping III", "4.3", other)
    if third.mapped == second.mapped:
        return True, Behaviour.ADDRESS_DEPENDENT
    return True, Behaviour.ADDRESS_AND_PORT_DEPENDENT


async def filtering_tests(record: Recorder, server: Endpoint) -> Behaviour:
    """RFC 5780 section 4.4: the filtering behaviour. Errors are those of `mapping_tests`."""
    other_address(await record.must("filtering I", "4.4", server), server)
    if await record.test("filtering II", "4.4", server, ChangeRequest(ip=True, port=True)):
        return Behaviour.ENDPOINT_INDEPENDENT
    if await record.test("filtering III", "4.4", server, ChangeRequest(port=True)):
        return Behaviour.ADDRESS_DEPENDENT
    return Behaviour.ADDRESS_AND_PORT_DEPENDENT


def other_address(answer: Answer, server: Endpoint) -> Endpoint:
    """OTHER-ADDRESS, which differs from the server's in address and port (RFC 5780 sections 4.3 and 7.4)."""
    other = answer.message.other_address
    if other is None or other.ip == server.ip or other.port == server.port:
        raise ProtocolError(f"the STUN server at {server} has no second address and port: it cannot be used for this")
    return other


async def discover(transport: str, new_port: NewPort, server: Endpoint) -> Discovery:
    """Both kinds of tests, each from a port of its own."""
    async with new_port() as x:
        natted, mapping = await mapping_tests(x, server)
    async with new_port() as y:
        filtering = await filtering_tests(y, server)
    return Discovery(transport, natted, mapping, filtering, x.mangled or y.mangled, (*x.probes, *y.probes))


# ---- UDP


async def discover_udp(
    network: Network, ip: str, server: Endpoint, rng: Random, timers: Timers = DEFAULT_TIMERS
) -> Discovery:
    """All tests over UDP.

    Args:
        ip: the address of this computer to ask from; not the wildcard, for it is compared with what the server sees.
        server: A1:P1.
        rng: chooses transaction IDs.

    Raises:
        UnreachableError: no UDP connectivity with the server (RFC 5780 section 4.2).
        ProtocolError: the server has no second address, or does not heed CHANGE-REQUEST.
        RefusedError: the server answers with an error.
    """

    @asynccontextmanager
    async def new_port() -> AsyncIterator[Recorder]:
        async with _bound(network, ip) as socket:

            async def ask(to: Endpoint, change: ChangeRequest) -> Answer:
                return await ask_udp(socket, to, binding_request(rng, change=change), timers)

            yield Recorder(socket.local, ask)

    return await discover("udp", new_port, server)


async def hairpins(network: Network, ip: str, server: Endpoint, rng: Random, timers: Timers = DEFAULT_TIMERS) -> bool:
    """RFC 5780 section 3.4: whether a request sent to our own mapped address comes back to us. Arguments and errors are
    those of `discover_udp`; any STUN server will do.
    """
    async with _bound(network, ip) as x, _bound(network, ip) as y:
        mapped = (await ask_udp(x, server, binding_request(rng), timers)).mapped
        request = stun.encode(binding_request(rng))
        for wait in timers.waits():
            y.send(request, mapped)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    while (await x.receive())[0] != request:
                        pass
                    return True
    return False


async def survives_silence(
    network: Network, ip: str, server: Endpoint, seconds: float, rng: Random, timers: Timers = DEFAULT_TIMERS
) -> bool:
    """RFC 5780 section 4.6: whether a binding is still there when nothing was sent through it for so long.

    X asks once. After the silence, Y asks the server to answer to where it saw X (RESPONSE-PORT). Arguments and errors
    are those of `discover_udp`; any STUN server that knows RESPONSE-PORT will do, others refuse with 420.
    """
    async with _bound(network, ip) as x, _bound(network, ip) as y:
        mapped = (await ask_udp(x, server, binding_request(rng), timers)).mapped
        await asyncio.sleep(seconds)
        try:
            await ask_udp(y, server, binding_request(rng, response_port=mapped.port), timers, answer_at=x)
        except UnreachableError:
            return False
        return True


@asynccontextmanager
async def _bound(network: Network, ip: str) -> AsyncIterator[UdpSocket]:
    socket = await network.bind_udp(Endpoint(ip, 0))
    try:
        yield socket
    finally:
        socket.close()
