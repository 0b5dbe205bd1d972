"""natlab.protocol.dcutr: the spec's steps in order, to the nanosecond; roles; every way the other end can be wrong."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.errors import ClosedError, DecodeError, NatlabError, NegotiationError, ProtocolError, UnreachableError
from natlab.protocol.dcutr import (
    GO_V029,
    GO_V048,
    SPEC,
    AttemptNoted,
    DialsNoted,
    MessageNoted,
    Role,
    initiate,
    respond,
)
from natlab.protocol.framing import read_message
from natlab.wire import address, varint
from natlab.wire.proto.dcutr_pb2 import HolePunch

A, B = address.parse("/ip4/11.0.0.1/tcp/4001"), address.parse("/ip4/12.0.0.2/tcp/4002")
PRIVATE = address.parse("/ip4/192.168.1.2/tcp/4001")
CIRCUIT = address.parse("/ip4/13.0.0.3/tcp/4003/p2p/12D3KooWGRUVh7DTDhPtX1zJcN5WGzWaTQqVRyTjsjMNqcTCmCxc/p2p-circuit")
CONNECT = HolePunch(type=HolePunch.CONNECT, ObsAddrs=[A.to_bytes()])
SYNC = HolePunch(type=HolePunch.SYNC)
BARE_CONNECT = HolePunch(type=HolePunch.CONNECT)


class Punch:
    """Both roles against each other; `works(side, attempt)` says whether a dial of that side succeeds."""

    def __init__(self, pair, works=lambda side, attempt: False, *, delay=0.1, back=None, profile=GO_V048, **arguments):
        self.pair, self.works, self.delay, self.back, self.profile = pair, works, delay, back, profile
        self.arguments = {"own_addresses": lambda: [B], "peer_addresses": []} | arguments
        self.dials, self.notes, self.streams, self.answers = [], [], [], []
        self.attempts = {"A": 0, "B": 0}

    async def run(self):
        initiating = asyncio.create_task(
            initiate(self.open_stream, self.dialler("B"), note=self.noter("B"), profile=self.profile, **self.arguments)
        )
        await asyncio.wait([initiating])
        await asyncio.gather(*self.answers, return_exceptions=True)
        self.now = asyncio.get_running_loop().time()
        return await initiating

    async def open_stream(self):
        ours, theirs = self.pair(self.delay, self.back)
        self.streams.append((ours, theirs))
        self.answers.append(
            asyncio.create_task(
                respond(theirs, self.dialler("A"), own_addresses=[A], note=self.noter("A"), profile=self.profile)
            )
        )
        return ours

    def dialler(self, side):
        async def dial(addresses, role):
            attempt = self.attempts[side] = self.attempts[side] + 1
            now = asyncio.get_running_loop().time()
            self.dials.append((side, round(now, 9), list(addresses), role))
            if not self.works(side, attempt):
                raise UnreachableError(f"dial {attempt} of {side}")
            return f"connection {attempt}"

        return dial

    def noter(self, side):
        return lambda note: self.notes.append((side, note))

    def roles(self, side):
        return [role for dialling, _, _, role in self.dials if dialling == side]


def always(side, attempt):
    return True


class TestTiming:
    def test_both_dial_in_the_same_instant_when_the_path_is_symmetric(self, run, pair):
        punch = Punch(pair, always, delay=0.1)
        assert run(punch.run) == "connection 1"
        assert punch.dials == [("A", 0.3, [B], Role.CLIENT), ("B", 0.3, [A], Role.SERVER)]

    @pytest.mark.parametrize(("there", "back"), [(0.15, 0.05), (0.02, 0.3), (0.0, 0.0)])
    def test_the_responder_dials_on_sync_and_the_initiator_half_a_round_trip_after_sending_it(
        self, run, pair, there, back
    ):
        punch = Punch(pair, always, delay=there, back=back)
        run(punch.run)
        rtt = there + back
        times = {side: now for side, now, _, _ in punch.dials}
        assert times == {"A": pytest.approx(rtt + there), "B": pytest.approx(rtt + rtt / 2)}

    def test_each_attempt_has_its_own_stream_and_its_own_round_trip_time(self, run, pair):
        punch = Punch(pair)

        async def slower_every_time():
            punch.delay += 0.1
            return await Punch.open_stream(punch)

        async def main():
            return await initiate(
                slower_every_time, punch.dialler("B"), note=punch.noter("B"), profile=SPEC, **punch.arguments
            )

        with pytest.raises(UnreachableError):
            run(main)
        assert len(punch.streams) == 3
        rtts = [note.rtt for side, note in punch.notes if isinstance(note, AttemptNoted)]
        assert rtts == pytest.approx([0.4, 0.6, 0.8])

    def test_a_dial_ends_after_ten_seconds(self, run, pair):
        async def never(addresses, role):
            await asyncio.sleep(100.0)

        async def main():
            ours, theirs = pair(0.0)
            await theirs.write(frame_of(CONNECT) + frame_of(SYNC))
            with pytest.raises(UnreachableError, match="within 10 s"):
                await respond(ours, never, own_addresses=[B], note=ignore)
            return asyncio.get_running_loop().time()

        assert run(main) == 10.0


class TestConnectionReversal:
    def test_it_comes_first_and_success_ends_the_protocol(self, run, pair):
        punch = Punch(pair, always, peer_addresses=[CIRCUIT, PRIVATE, A])
        assert run(punch.run) == "connection 1"
        assert punch.dials == [("B", 0.0, [PRIVATE, A], Role.CLIENT)]
        assert punch.streams == []
        assert punch.notes == [("B", DialsNoted(Role.CLIENT, 0)), ("B", AttemptNoted(0, 0.0, "success"))]

    @pytest.mark.parametrize("known", [[], [PRIVATE], [CIRCUIT]], ids=["nothing", "private", "relayed"])
    def test_it_is_left_out_without_a_public_address(self, run, pair, known):
        punch = Punch(pair, always, peer_addresses=known)
        run(punch.run)
        assert len(punch.streams) == 1

    def test_when_it_fails_the_punch_follows(self, run, pair):
        punch = Punch(pair, lambda side, attempt: attempt == 2, peer_addresses=[A])
        assert run(punch.run) == "connection 2"
        assert [note.attempt for _, note in punch.notes if isinstance(note, AttemptNoted)] == [0, 1]


class TestAttempts:
    def test_after_three_the_error_holds_every_cause(self, run, pair):
        punch = Punch(pair, peer_addresses=[A])
        with pytest.raises(UnreachableError) as caught:
            run(punch.run)
        assert [name for name, _ in caught.value.attempts] == [
            "connection reversal",
            "attempt 1",
            "attempt 2",
            "attempt 3",
        ]
        assert "dial 4 of B" in str(caught.value.attempts[3][1])

    @pytest.mark.parametrize(
        ("profile", "initiator", "responder"),
        [(SPEC, "sss", "ccc"), (GO_V029, "ccc", "sss"), (GO_V048, "ssc", "ccc")],
        ids=lambda value: getattr(value, "name", ""),
    )
    def test_roles_are_a_profile(self, run, pair, profile, initiator, responder):
        punch = Punch(pair, profile=profile)
        with pytest.raises(UnreachableError):
            run(punch.run)
        assert "".join(role[0] for role in punch.roles("B")) == initiator
        assert "".join(role[0] for role in punch.roles("A")) == responder

    @pytest.mark.parametrize("attempt", [1, 2, 3])
    def test_success_ends_the_attempts(self, run, pair, attempt):
        punch = Punch(pair, lambda side, number: number == attempt)
        assert run(punch.run) == f"connection {attempt}"
        assert len(punch.streams) == attempt

    def test_every_stream_is_closed_by_both_ends(self, run, pair):
        punch = Punch(pair)
        with pytest.raises(UnreachableError):
            run(punch.run)
        assert [(ours.state, theirs.state) for ours, theirs in punch.streams] == [("closed", "closed")] * 3

    def test_the_notes_tell_the_story_in_order(self, run, pair):
        punch = Punch(pair, always)
        run(punch.run)
        assert [note for side, note in punch.notes if side == "B"] == [
            MessageNoted("CONNECT", sent=True),
            MessageNoted("CONNECT", sent=False),
            MessageNoted("SYNC", sent=True),
            DialsNoted(Role.SERVER, 1),
            AttemptNoted(1, 0.2, "success"),
        ]
        assert [note for side, note in punch.notes if side == "A"] == [
            MessageNoted("CONNECT", sent=False),
            MessageNoted("CONNECT", sent=True),
            MessageNoted("SYNC", sent=False),
            DialsNoted(Role.CLIENT, 1),
        ]

    def test_a_peer_that_does_not_speak_it_ends_the_upgrade(self, run, pair):
        punch = Punch(pair)

        async def refused():
            raise NegotiationError("no /libp2p/dcutr")

        async def main():
            await initiate(refused, punch.dialler("B"), note=punch.noter("B"), **punch.arguments)

        with pytest.raises(NegotiationError):
            run(main)
        assert punch.notes == [("B", AttemptNoted(1, 0.0, "no /libp2p/dcutr"))]


class TestAddresses:
    def test_connect_carries_public_direct_addresses_only_and_twenty_at_most(self, run, pair):
        many = [address.parse(f"/ip4/11.0.0.{number}/tcp/4001") for number in range(30)]

        async def main():
            ours, theirs = pair()
            await theirs.write(frame_of(CONNECT) + frame_of(SYNC))
            await respond(ours, echo, own_addresses=[CIRCUIT, PRIVATE, *many], note=ignore)
            return await read_message(theirs, HolePunch, 4096)

        assert run(main) == HolePunch(type=HolePunch.CONNECT, ObsAddrs=[sent.to_bytes() for sent in many[:20]])

    def test_the_reversal_dials_twenty_addresses_at_most(self, run, pair):
        punch = Punch(pair, always, peer_addresses=[A] * 30)
        run(punch.run)
        assert punch.dials == [("B", 0.0, [A] * 20, Role.CLIENT)]

    def test_without_a_public_address_of_our_own_there_is_nothing_to_start(self, run, pair):
        punch = Punch(pair, own_addresses=lambda: [PRIVATE, CIRCUIT])
        with pytest.raises(UnreachableError, match="no public address"):
            run(punch.run)
        assert punch.streams[0][0].state == "reset"

    def test_of_a_connect_relayed_and_unknown_addresses_are_not_dialled(self, run, pair):
        connect = HolePunch(
            type=HolePunch.CONNECT,
            ObsAddrs=[b"\xff\xff", CIRCUIT.to_bytes(), b"", PRIVATE.to_bytes(), *[B.to_bytes()] * 30],
        )
        assert run(answer, pair, [connect, SYNC]) == [PRIVATE, *[B] * 16]


BROKEN = [
    ([], ClosedError),
    ([SYNC], ProtocolError),
    ([HolePunch()], ProtocolError),
    ([BARE_CONNECT], ProtocolError),
    ([HolePunch(type=HolePunch.CONNECT, ObsAddrs=[b"\xff", CIRCUIT.to_bytes()])], ProtocolError),
    ([HolePunch(type=7, ObsAddrs=[A.to_bytes()])], ProtocolError),
    ([HolePunch(type=HolePunch.CONNECT, ObsAddrs=[b"a" * 4096])], DecodeError),
    ([b"\x03\xff\xff\xff"], DecodeError),
    ([b"\x09\x08"], ClosedError),
    ([b"\xff\xff\xff\xff\xff\xff\xff"], DecodeError),
]
BROKEN_IDS = [
    "end of stream",
    "SYNC before CONNECT",
    "no type",
    "CONNECT without addresses",
    "only addresses that cannot be dialled",
    "unknown type",
    "oversize",
    "garbage",
    "half a message",
    "endless length",
]


@pytest.mark.parametrize(("said", "error"), BROKEN, ids=BROKEN_IDS)
def test_the_responder_refuses(run, pair, said, error):
    with pytest.raises(error):
        run(answer, pair, said)


@pytest.mark.parametrize(
    ("said", "error"),
    [([CONNECT], ClosedError), ([CONNECT, CONNECT], ProtocolError), ([CONNECT, b"\x00"], ProtocolError)],
    ids=["end of stream", "CONNECT twice", "empty message"],
)
def test_the_responder_does_not_dial_without_sync(run, pair, said, error):
    with pytest.raises(error):
        run(answer, pair, said)


@pytest.mark.parametrize(("said", "error"), BROKEN, ids=BROKEN_IDS)
def test_the_initiator_refuses_and_does_not_try_again(run, pair, said, error):
    async def main():
        opened = []

        async def open_stream():
            ours, theirs = pair(0.0)
            opened.append(ours)
            await say(theirs, said)
            return ours

        with pytest.raises(error):
            await initiate(open_stream, unexpected, own_addresses=lambda: [B], peer_addresses=[], note=ignore)
        return [stream.state for stream in opened]

    assert run(main) == ["reset"]


@pytest.mark.parametrize("said", [[], [CONNECT]], ids=["before CONNECT", "before SYNC"])
def test_silence_ends_after_a_minute(run, pair, said):
    async def main():
        ours, theirs = pair(0.0)
        for message in said:
            await theirs.write(frame_of(message))
        with pytest.raises(UnreachableError, match="60 s"):
            await respond(ours, unexpected, own_addresses=[B], note=ignore)
        return ours.state, asyncio.get_running_loop().time()

    assert run(main) == ("reset", 60.0)


@given(data=st.data())
def test_whatever_b_does_the_responder_ends_in_time_with_our_errors(run, pair, hostile, play, data):
    script = data.draw(hostile(CONNECT, SYNC, BARE_CONNECT))

    async def main():
        ours, theirs = pair()
        playing = asyncio.create_task(play(theirs, script))
        try:
            dialled = await respond(ours, echo, own_addresses=[B], note=ignore)
            assert 1 <= len(dialled) <= 20
        except NatlabError:
            assert ours.state == "reset"
        ended = asyncio.get_running_loop().time()
        playing.cancel()
        return ended

    assert run(main) <= 60.0


@given(data=st.data())
def test_whatever_a_does_the_initiator_ends_in_time_with_our_errors(run, pair, hostile, play, data):
    scripts = [data.draw(hostile(CONNECT, SYNC)) for _ in range(3)]

    async def main():
        playing = []

        async def open_stream():
            ours, theirs = pair()
            playing.append(asyncio.create_task(play(theirs, scripts[len(playing)])))
            return ours

        with pytest.raises(NatlabError):
            await initiate(open_stream, unreachable, own_addresses=lambda: [B], peer_addresses=[], note=ignore)
        for task in playing:
            task.cancel()
        return asyncio.get_running_loop().time()

    assert run(main) <= 3 * (60.0 + 30.0)


def ignore(note):
    pass


async def echo(addresses, role):
    return list(addresses)


async def unreachable(addresses, role):
    raise UnreachableError("nobody there")


async def unexpected(addresses, role):
    raise AssertionError("dialled")


def frame_of(message):
    return message if isinstance(message, bytes) else varint.prefixed(message.SerializeToString())


async def say(stream, messages):
    for message in messages:
        await stream.write(frame_of(message))
    await stream.close_write()


async def answer(pair, messages):
    """What the responder dials after these messages of B and the end of the stream."""
    ours, theirs = pair(0.0)
    await say(theirs, messages)
    try:
        return await respond(ours, echo, own_addresses=[B], note=ignore)
    except BaseException:
        assert ours.state == "reset"
        raise
