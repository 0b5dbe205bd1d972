"""natlab.protocol.relay: the three parties together, each refusal, a circuit's limits to the byte and second."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.errors import ClosedError, NatlabError, RefusedError, UnreachableError
from natlab.protocol.circuit import Limit, Status, accept, connect, reserve
from natlab.protocol.relay import Carried, CircuitEnd, Client, RelaySelf, serve_hop, splice
from natlab.protocol.reservations import RelayLimits, Reservations
from natlab.wire import address, varint
from natlab.wire.proto import circuit_pb2
from natlab.wire.proto.circuit_pb2 import HopMessage, StopMessage

EPOCH = 1_700_000_000.0
PUBLIC, PRIVATE = address.parse("/ip4/13.0.0.3/tcp/4003"), address.parse("/ip4/192.168.0.3/tcp/4003")
RESERVE = HopMessage(type=HopMessage.RESERVE)


class Relay:
    """A relay (identity 0) to which `target` (identity 1) is connected; `target_part` runs on its stop streams."""

    def __init__(self, pair, peers, target_part=accept, limits=None):
        self.pair, self.peers, self.target_part = pair, peers, target_part
        self.key, self.peer = peers(0)
        self.target = peers(1)[1]
        self.table = Reservations(limits or RelayLimits())
        self.ends, self.stops, self.accepted = [], [], []

    def now(self):
        return EPOCH + asyncio.get_running_loop().time()

    async def open_stop(self, peer):
        if peer != self.target:
            raise ClosedError("not connected")
        ours, theirs = self.pair(0.01)
        self.stops.append((ours, theirs))
        self.accepted.append(asyncio.create_task(self.target_part(theirs)))
        return ours

    async def serve(self, stream, number=2, relayed=False):
        client = Client(self.peers(number)[1], f"11.0.0.{number}", relayed)
        relay = RelaySelf(self.key, [PUBLIC, PRIVATE])
        return await serve_hop(stream, client, relay=relay, table=self.table, now=self.now, open_stop=self.open_stop)

    def client(self, number=2, **arguments):
        """A hop stream of the client with that identity; how its service ended goes to `ends`."""
        ours, theirs = self.pair(0.01)

        async def serving():
            try:
                self.ends.append(await self.serve(theirs, number, **arguments))
            except NatlabError as error:
                self.ends.append(error)

        self.serving = asyncio.create_task(serving())
        return ours

    def reserve_target(self):
        self.table.reserve(self.target, "11.0.0.1", self.now())


@pytest.fixture
def make(pair, peers):
    return lambda *arguments, **more: Relay(pair, peers, *arguments, **more)


class TestReserve:
    def test_client_and_relay_agree_on_everything(self, run, make):
        async def main():
            relay = make()
            granted = await reserve(relay.client(1), relay=relay.peer, own=relay.target, now=relay.now())
            assert granted.addresses == (address.with_peer(PUBLIC, relay.peer),)
            assert granted.limit == Limit(120, 131072)
            assert granted.voucher.expiration == granted.expires == EPOCH + 3600
            await relay.serving
            assert relay.ends == [None]
            assert relay.table.holds(relay.target, relay.now())

        run(main)

    def test_too_many_from_one_address(self, run, make, peers):
        async def main():
            relay = make(limits=RelayLimits(reservations=1))
            relay.table.reserve(peers(3)[1], "12.0.0.1", relay.now())
            with pytest.raises(RefusedError) as caught:
                await reserve(relay.client(1), relay=relay.peer, own=relay.target, now=relay.now())
            assert caught.value.status == Status.RESERVATION_REFUSED

        run(main)


class TestConnect:
    @pytest.mark.parametrize("most", [1, 65536])
    def test_bytes_go_both_ways_and_so_do_the_ends(self, run, make, pair, peers, most):
        async def target_part(stream):
            stream.most = most
            caller = await accept(stream)
            await stream.write(b"hello from the target")
            heard = await read_all(stream)
            await stream.close_write()
            return caller, heard

        async def main():
            relay = make(target_part)
            relay.reserve_target()
            stream = relay.client()
            stream.most = most
            limit = await connect(stream, target=relay.target)
            await stream.write(b"hello from the initiator")
            await stream.close_write()
            heard = await read_all(stream)
            await relay.serving
            assert (limit, heard, relay.ends) == (
                Limit(120, 131072),
                b"hello from the target",
                [Carried(relay.target, CircuitEnd.CLOSED)],
            )
            assert await relay.accepted[0] == ((peers(2)[1], limit), b"hello from the initiator")

        run(main)

    def test_a_circuit_is_counted_while_it_lasts(self, run, make):
        async def main():
            relay = make(limits=RelayLimits(circuits_per_peer=1))
            relay.reserve_target()
            first = relay.client()
            await connect(first, target=relay.target)
            with pytest.raises(RefusedError) as caught:
                await connect(relay.client(3), target=relay.target)
            assert caught.value.status == Status.RESOURCE_LIMIT_EXCEEDED
            first.reset()
            await asyncio.sleep(1.0)
            await connect(relay.client(3), target=relay.target)
            relay.serving.cancel()

        run(main)

    def test_no_reservation(self, run, make):
        assert run(refused, make()) == Status.NO_RESERVATION

    def test_a_target_no_longer_connected(self, run, make, peers):
        relay = make()
        relay.target = peers(4)[1]

        async def main():
            relay.reserve_target()
            relay.target = peers(1)[1]
            with pytest.raises(RefusedError) as caught:
                await connect(relay.client(), target=peers(4)[1])
            return caught.value.status

        assert run(main) == Status.CONNECTION_FAILED

    @pytest.mark.parametrize(
        "said",
        [
            StopMessage(type=StopMessage.STATUS, status=circuit_pb2.PERMISSION_DENIED),
            StopMessage(type=StopMessage.CONNECT, status=circuit_pb2.OK),
            StopMessage(status=circuit_pb2.OK),
            b"\x02\xff\xff",
            varint.encode(4097),
            None,
        ],
        ids=["refusal", "no STATUS", "no type", "garbage", "oversize", "reset"],
    )
    def test_a_target_that_does_not_say_ok(self, run, make, frame, said):
        async def target_part(stream):
            if said is None:
                stream.reset()
            else:
                await stream.write(said if isinstance(said, bytes) else frame(said))

        relay = make(target_part)
        assert run(refused, relay, True) == Status.CONNECTION_FAILED
        assert all(stream.state in ("reset", "closed") for stream, _ in relay.stops)

    def test_a_target_that_says_nothing_costs_thirty_seconds(self, run, make):
        async def target_part(stream):
            await asyncio.sleep(100.0)

        async def main():
            relay = make(target_part)
            assert await refused(relay, reserved=True) == Status.CONNECTION_FAILED
            assert asyncio.get_running_loop().time() == pytest.approx(30.0, abs=0.1)
            assert relay.stops[0][0].state == "reset"

        run(main)

    def test_a_target_that_cannot_be_opened_a_stream_to_costs_thirty_seconds(self, run, make):
        async def main():
            relay = make()
            relay.open_stop = lambda peer: asyncio.sleep(100.0)
            assert await refused(relay, reserved=True) == Status.CONNECTION_FAILED
            assert asyncio.get_running_loop().time() == pytest.approx(30.0, abs=0.1)

        run(main)

    def test_an_initiator_that_left_meanwhile_frees_the_target(self, run, make):
        async def target_part(stream):
            await asyncio.sleep(5.0)
            await accept(stream)

        async def main():
            relay = make(target_part)
            relay.reserve_target()
            stream = relay.client()
            connecting = asyncio.create_task(connect(stream, target=relay.target))
            await asyncio.sleep(1.0)
            connecting.cancel()
            await relay.serving
            assert isinstance(relay.ends[0], ClosedError)
            assert relay.stops[0][0].state == "reset"
            relay.table.open_circuit(relay.peers(2)[1], relay.target, relay.now())

        run(main)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"\x02\xff\xff", Status.MALFORMED_MESSAGE),
        (varint.encode(4097), Status.MALFORMED_MESSAGE),
        (HopMessage(type=HopMessage.CONNECT), Status.MALFORMED_MESSAGE),
        (HopMessage(type=HopMessage.CONNECT, peer=circuit_pb2.Peer(id=b"you")), Status.MALFORMED_MESSAGE),
        (HopMessage(type=HopMessage.STATUS), Status.UNEXPECTED_MESSAGE),
        (HopMessage(), Status.UNEXPECTED_MESSAGE),
    ],
    ids=["garbage", "oversize", "no peer", "no peer ID", "STATUS", "empty"],
)
def test_a_broken_request_is_answered(run, make, frame, said, status):
    async def main():
        relay = make()
        stream = relay.client()
        await stream.write(said if isinstance(said, bytes) else frame(said))
        assert await read_all(stream) == frame(HopMessage(type=HopMessage.STATUS, status=status.name))
        assert relay.ends[0].status == status

    run(main)


def test_nothing_is_granted_over_a_relayed_connection(run, make, frame):
    async def main():
        relay = make()
        relay.reserve_target()
        for attempt in (
            reserve(relay.client(relayed=True), relay=relay.peer, own=relay.target, now=relay.now()),
            connect(relay.client(relayed=True), target=relay.target),
        ):
            with pytest.raises(RefusedError) as caught:
                await attempt
            assert caught.value.status == Status.PERMISSION_DENIED

    run(main)


@pytest.mark.parametrize(("said", "error"), [("close", ClosedError), ("", UnreachableError)])
def test_a_client_that_asks_for_nothing(run, make, said, error):
    async def main():
        relay = make()
        stream = relay.client()
        if said == "close":
            await stream.close_write()
        await relay.serving
        assert isinstance(relay.ends[0], error)
        assert asyncio.get_running_loop().time() <= 60.0

    run(main)


class Circuit:
    """Two ends, `left` and `right`, with `splice` between them."""

    def __init__(self, pair, limit):
        self.left, near = pair(0.0)
        self.right, far = pair(0.0)
        self.inner = (near, far)
        self.ending = asyncio.create_task(splice(near, far, limit))


class TestSplice:
    @pytest.mark.parametrize("direction", ["left to right", "right to left"])
    def test_the_limit_is_in_bytes_for_each_direction(self, run, pair, direction):
        async def main():
            circuit = Circuit(pair, Limit(0, 10_000))
            source, sink = (circuit.left, circuit.right)[:: 1 if direction == "left to right" else -1]
            await source.write(b"a" * 10_000)
            await sink.write(b"b" * 10_000)
            await asyncio.sleep(1.0)
            assert (len(sink.left), len(source.left)) == (10_000, 10_000)
            assert not circuit.ending.done()
            await source.write(b"a")
            assert await circuit.ending == CircuitEnd.DATA_LIMIT
            await asyncio.sleep(1.0)
            return circuit.left.was_reset, circuit.right.was_reset, len(sink.left)

        assert run(main) == (True, True, 10_000)

    def test_not_a_byte_more_than_the_limit_goes_through(self, run, pair):
        async def main():
            circuit = Circuit(pair, Limit(0, 10_000))
            await circuit.left.write(b"a" * 10_001)
            assert await circuit.ending == CircuitEnd.DATA_LIMIT
            await asyncio.sleep(1.0)
            return len(circuit.right.left)

        assert run(main) == 10_000

    def test_a_circuit_may_end_on_its_last_byte(self, run, pair):
        async def main():
            circuit = Circuit(pair, Limit(1, 5))
            await circuit.left.write(b"12345")
            for end in (circuit.left, circuit.right):
                await end.close_write()
            return await circuit.ending, await read_all(circuit.right)

        assert run(main) == (CircuitEnd.CLOSED, b"12345")

    def test_the_limit_in_seconds(self, run, pair):
        async def main():
            circuit = Circuit(pair, Limit(120, 0))
            assert await circuit.ending == CircuitEnd.DURATION_LIMIT
            assert asyncio.get_running_loop().time() == 120.0
            await asyncio.sleep(0.0)
            return [stream.state for stream in circuit.inner]

        assert run(main) == ["reset", "reset"]

    def test_zero_is_no_limit(self, run, pair):
        async def main():
            circuit = Circuit(pair, Limit(0, 0))
            await circuit.left.write(b"a" * 1_000_000)
            await asyncio.sleep(10_000 / 20)
            assert len(circuit.right.left) == 1_000_000
            circuit.left.reset()
            return await circuit.ending

        assert run(main) == CircuitEnd.RESET

    def test_a_half_close_leaves_the_other_direction_open(self, run, pair):
        async def main():
            circuit = Circuit(pair, Limit(120, 1000))
            await circuit.left.close_write()
            await asyncio.sleep(1.0)
            await circuit.right.write(b"still here")
            await circuit.right.close_write()
            return await read_all(circuit.left), await circuit.ending

        assert run(main) == (b"still here", CircuitEnd.CLOSED)

    def test_a_reset_at_one_end_is_a_reset_at_the_other(self, run, pair):
        async def main():
            circuit = Circuit(pair, Limit(120, 1000))
            circuit.right.reset()
            assert await circuit.ending == CircuitEnd.RESET
            await asyncio.sleep(0.1)
            return circuit.left.was_reset

        assert run(main)

    def test_cancelling_resets_both(self, run, pair):
        async def main():
            circuit = Circuit(pair, Limit(120, 1000))
            await asyncio.sleep(1.0)
            circuit.ending.cancel()
            await asyncio.sleep(0.1)
            return circuit.ending.cancelled(), circuit.left.was_reset, circuit.right.was_reset

        assert run(main) == (True, True, True)


@given(data=st.data())
def test_whatever_strangers_do_the_service_ends_in_time_and_counts_nothing_twice(run, pair, peers, hostile, play, data):
    relay = Relay(pair, peers)
    call = HopMessage(type=HopMessage.CONNECT, peer=circuit_pb2.Peer(id=bytes(relay.target)))
    ok = StopMessage(type=StopMessage.STATUS, status=circuit_pb2.OK)
    client_script, target_script = data.draw(hostile(RESERVE, call)), data.draw(hostile(ok))
    relay.target_part = lambda stream: play(stream, target_script)

    async def main():
        relay.reserve_target()
        stream = relay.client()
        playing = asyncio.create_task(play(stream, client_script))
        await relay.serving
        playing.cancel()
        assert not relay.table._circuits
        return asyncio.get_running_loop().time()

    assert run(main) <= 60.0 + 30.0 + 120.0 + 60.0


async def read_all(stream):
    data = b""
    while chunk := await stream.read():
        data += chunk
    return data


async def refused(relay, reserved=False):
    """The status with which the relay refuses to connect us to its target."""
    if reserved:
        relay.reserve_target()
    with pytest.raises(RefusedError) as caught:
        await connect(relay.client(), target=relay.target)
    await relay.serving
    assert not relay.table._circuits
    return caught.value.status
