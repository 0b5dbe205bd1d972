"""natlab.protocol.circuit: the clients' three dialogues, against a relay that says what the test tells it to."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.errors import (
    ClosedError,
    DecodeError,
    NatlabError,
    ProtocolError,
    RefusedError,
    SecurityError,
    UnreachableError,
)
from natlab.protocol.circuit import UNLIMITED, Limit, Reservation, Status, accept, connect, reserve
from natlab.wire import address, varint
from natlab.wire.envelope import PeerRecord, Voucher
from natlab.wire.proto import circuit_pb2
from natlab.wire.proto.circuit_pb2 import HopMessage, StopMessage

NOW = 1_700_000_000.0
EXPIRES = 1_700_003_600
RELAY = address.parse("/ip4/13.0.0.3/tcp/4003")
KNOWN = RELAY.to_bytes()
LIMIT = circuit_pb2.Limit(duration=120, data=131072)
OK = HopMessage(type=HopMessage.STATUS, status=circuit_pb2.OK, limit=LIMIT)
STOP_OK = StopMessage(type=StopMessage.STATUS, status=circuit_pb2.OK)


def granted(expire=EXPIRES, addrs=(KNOWN,), voucher=None, **fields):
    reservation = circuit_pb2.Reservation(expire=expire, addrs=addrs, voucher=voucher)
    return HopMessage(type=HopMessage.STATUS, status=circuit_pb2.OK, reservation=reservation, **fields)


@pytest.fixture(scope="module")
def talk(run, pair, peers, frame):
    """Runs a role against an end that says `said` and then closes; returns the result, the stream and what it heard."""

    def talk_to(role, *said):
        async def main():
            ours, theirs = pair(0.0)
            for message in said:
                await theirs.write(message if isinstance(message, bytes) else frame(message))
            await theirs.close_write()
            try:
                result = await role(ours)
            except NatlabError as error:
                result = error
            await asyncio.sleep(0.1)
            return result, ours, theirs.left

        return run(main)

    return talk_to


@pytest.fixture(scope="module")
def reserving(peers):
    return lambda stream: reserve(stream, relay=peers(0)[1], own=peers(1)[1], now=NOW)


@pytest.fixture(scope="module")
def connecting(peers):
    return lambda stream: connect(stream, target=peers(1)[1])


class TestReserve:
    def test_it_says_reserve_and_returns_what_was_granted(self, talk, peers, frame, reserving):
        voucher = Voucher(peers(0)[1], peers(1)[1], EXPIRES)
        answer = granted(voucher=voucher.seal(peers(0)[0]), limit=LIMIT)
        result, stream, heard = talk(reserving, answer)
        assert result == Reservation(float(EXPIRES), (RELAY,), Limit(120, 131072), voucher)
        assert stream.state == "closed"
        assert heard == frame(HopMessage(type=HopMessage.RESERVE))

    def test_a_relay_without_voucher_limit_or_known_addresses_is_as_good(self, talk, reserving):
        result, _, _ = talk(reserving, granted(addrs=[b"\xff"]))
        assert result == Reservation(float(EXPIRES), (), UNLIMITED, None)

    def test_addresses_are_bounded(self, talk, reserving):
        result, _, _ = talk(reserving, granted(addrs=[RELAY.to_bytes()] * 100))
        assert len(result.addresses) == 20

    @pytest.mark.parametrize("signer", [1, 2])
    def test_a_voucher_signed_by_another(self, talk, peers, reserving, signer):
        voucher = Voucher(peers(0)[1], peers(1)[1], EXPIRES).seal(peers(signer)[0])
        result, stream, _ = talk(reserving, granted(voucher=voucher))
        assert isinstance(result, SecurityError)
        assert stream.state == "reset"

    @pytest.mark.parametrize(
        ("relay", "peer", "words"), [(2, 1, "of the relay"), (0, 2, "for ")], ids=["of another relay", "for another"]
    )
    def test_a_voucher_about_others(self, talk, peers, reserving, relay, peer, words):
        voucher = Voucher(peers(relay)[1], peers(peer)[1], EXPIRES).seal(peers(relay)[0])
        result, _, _ = talk(reserving, granted(voucher=voucher))
        assert isinstance(result, SecurityError)
        assert words in str(result)

    def test_another_record_in_place_of_the_voucher(self, talk, peers, reserving):
        record = PeerRecord(peers(0)[1], 1, ()).seal(peers(0)[0])
        result, _, _ = talk(reserving, granted(voucher=record))
        assert isinstance(result, DecodeError)

    def test_a_reservation_already_over(self, talk, reserving):
        result, _, _ = talk(reserving, granted(expire=int(NOW)))
        assert "expired" in str(result)
        assert isinstance(result, ProtocolError)

    def test_ok_without_a_reservation(self, talk, reserving):
        result, _, _ = talk(reserving, OK)
        assert isinstance(result, ProtocolError)
        assert "no reservation" in str(result)


class TestConnect:
    def test_it_names_the_target_and_leaves_the_circuit_untouched(self, talk, peers, frame, connecting):
        result, stream, heard = talk(connecting, frame(OK) + b"/multistream/1.0.0")
        assert result == Limit(120, 131072)
        assert (stream.state, stream.left) == ("open", b"/multistream/1.0.0")
        assert heard == frame(HopMessage(type=HopMessage.CONNECT, peer=circuit_pb2.Peer(id=bytes(peers(1)[1]))))


@pytest.mark.parametrize("status", [*list(Status)[2:], 999])
@pytest.mark.parametrize("role", ["reserving", "connecting"])
def test_a_refusal_has_its_status_and_closes_the_stream(talk, request, role, status):
    answer = HopMessage(type=HopMessage.STATUS)
    answer.status = status
    result, stream, _ = talk(request.getfixturevalue(role), answer)
    assert isinstance(result, RefusedError)
    assert (result.status, stream.state) == (status, "closed")
    assert (Status(status).name if status != 999 else "status 999") in str(result)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ([], ClosedError),
        ([b"\x0a\x01"], ClosedError),
        ([b"\x02\xff\xff"], DecodeError),
        ([varint.encode(4097) + b"a" * 4097], DecodeError),
        ([HopMessage(type=HopMessage.CONNECT)], ProtocolError),
        ([HopMessage()], ProtocolError),
        ([HopMessage(status=circuit_pb2.OK)], ProtocolError),
    ],
    ids=["end of stream", "half a message", "garbage", "oversize", "no STATUS", "empty", "no type"],
)
@pytest.mark.parametrize("role", ["reserving", "connecting"])
def test_a_broken_answer_resets_the_stream(talk, request, role, said, error):
    result, stream, _ = talk(request.getfixturevalue(role), *said)
    assert type(result) is error
    assert stream.state == "reset"


class TestAccept:
    def test_it_says_ok_and_leaves_the_circuit_untouched(self, talk, peers, frame):
        message = StopMessage(type=StopMessage.CONNECT, peer=circuit_pb2.Peer(id=bytes(peers(2)[1])), limit=LIMIT)
        result, stream, heard = talk(accept, frame(message) + b"circuit")
        assert result == (peers(2)[1], Limit(120, 131072))
        assert (stream.state, stream.left) == ("open", b"circuit")
        assert heard == frame(STOP_OK)

    @pytest.mark.parametrize(
        ("said", "status"),
        [
            (b"\x02\xff\xff", Status.MALFORMED_MESSAGE),
            (varint.encode(4097), Status.MALFORMED_MESSAGE),
            (StopMessage(type=StopMessage.CONNECT), Status.MALFORMED_MESSAGE),
            (StopMessage(type=StopMessage.CONNECT, peer=circuit_pb2.Peer(id=b"me")), Status.MALFORMED_MESSAGE),
            (STOP_OK, Status.UNEXPECTED_MESSAGE),
            (StopMessage(), Status.UNEXPECTED_MESSAGE),
        ],
        ids=["garbage", "oversize", "no peer", "no peer ID", "STATUS", "empty"],
    )
    def test_a_broken_request_is_answered(self, talk, frame, said, status):
        result, stream, heard = talk(accept, said)
        assert isinstance(result, RefusedError)
        assert (result.status, stream.state) == (status, "closed")
        assert heard == frame(StopMessage(type=StopMessage.STATUS, status=status.name))

    def test_the_end_instead_of_a_request(self, talk):
        result, stream, heard = talk(accept)
        assert isinstance(result, ClosedError)
        assert (stream.state, heard) == ("reset", b"")


@pytest.mark.parametrize(("role", "seconds"), [("reserving", 60.0), ("connecting", 60.0), ("accept", 10.0)])
def test_silence_ends_in_time(run, pair, request, role, seconds):
    dialogue = accept if role == "accept" else request.getfixturevalue(role)

    async def main():
        ours, _ = pair()
        with pytest.raises(UnreachableError):
            await dialogue(ours)
        return ours.state, asyncio.get_running_loop().time()

    assert run(main) == ("reset", seconds)


@given(data=st.data())
def test_whatever_a_stranger_does_every_role_ends_in_time_with_our_errors(
    run, pair, peers, hostile, play, reserving, connecting, data
):
    call = StopMessage(type=StopMessage.CONNECT, peer=circuit_pb2.Peer(id=bytes(peers(2)[1])))
    voucher = Voucher(peers(0)[1], peers(1)[1], EXPIRES).seal(peers(0)[0])
    role = data.draw(st.sampled_from([reserving, connecting, accept]))
    script = data.draw(hostile(OK, granted(), granted(voucher=voucher), call, STOP_OK))

    async def main():
        ours, theirs = pair()
        playing = asyncio.create_task(play(theirs, script))
        try:
            await role(ours)
        except RefusedError:
            assert ours.state == "closed" or ours.was_reset
        except NatlabError:
            assert ours.state == "reset"
        playing.cancel()
        return asyncio.get_running_loop().time()

    assert run(main) <= 60.0
