"""natlab.protocol.identify: what is told is what is heard; parts merge; nobody identifies as somebody else."""

import asyncio
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natlab.errors import ClosedError, DecodeError, NatlabError, ProtocolError, SecurityError, UnreachableError
from natlab.protocol.identify import MAX_OWN, Identity, from_message, listen, tell, to_messages
from natlab.wire import address, varint
from natlab.wire.envelope import PeerRecord, seal
from natlab.wire.proto.identify_pb2 import Identify

LISTENED = (address.parse("/ip4/11.0.0.1/tcp/4001"), address.parse("/ip4/192.168.0.2/tcp/4001"))
OBSERVED = address.parse("/ip4/12.0.0.2/tcp/40000")


@pytest.fixture
def own(peers):
    key, peer = peers(1)
    return Identity(
        agent_version="natlab/0.1",
        protocol_version="ipfs/0.1.0",
        public_key=key.public,
        listen_addresses=LISTENED,
        protocols=("/ipfs/id/1.0.0", "/ipfs/ping/1.0.0"),
        observed_address=OBSERVED,
        record=PeerRecord(peer, 3, LISTENED),
    )


@pytest.mark.parametrize("most", [1, 65536])
def test_what_is_told_is_what_is_heard(run, pair, peers, own, most):
    key, peer = peers(1)

    async def main():
        ours, theirs = pair(most=most)
        telling = asyncio.create_task(tell(theirs, own, own.record.seal(key)))
        heard = await listen(ours, peer)
        await telling
        return heard, ours.state, theirs.state

    assert run(main) == (own, "closed", "closed")


def test_a_short_identity_is_one_message_and_a_long_one_sends_the_record_apart(peers, own):
    key, peer = peers(1)
    (whole,) = to_messages(own, own.record.seal(key))
    assert whole.signedPeerRecord
    long = dataclasses.replace(own, protocols=tuple(f"/protocol/{number}" for number in range(150)))
    first, second = to_messages(long, long.record.seal(key))
    assert 2048 < first.ByteSize() <= MAX_OWN
    assert not first.signedPeerRecord
    assert second == Identify(signedPeerRecord=second.signedPeerRecord)
    first.MergeFrom(second)
    assert from_message(first, peer) == long


def test_what_is_unsaid_is_not_sent(peers):
    _, peer = peers(1)
    (message,) = to_messages(Identity())
    assert message.ByteSize() == 0
    assert from_message(message, peer) == Identity()


def test_saying_too_much_is_the_callers_mistake(peers, own):
    with pytest.raises(ValueError, match="fewer"):
        to_messages(dataclasses.replace(own, protocols=("/" * 4096,)))


def test_up_to_ten_messages_merge(run, pair, peers, frame):
    parts = [Identify(protocols=[f"/{number}"], agentVersion=f"agent {number}") for number in range(10)]
    heard = run(hear, pair, peers, b"".join(map(frame, parts)))
    assert heard.protocols == tuple(f"/{number}" for number in range(10))
    assert heard.agent_version == "agent 9"


def test_an_eleventh_message_is_one_too_many(run, pair, peers, frame):
    with pytest.raises(ProtocolError, match="more than 10"):
        run(hear, pair, peers, frame(Identify(protocols=["/a"])) * 11)


def test_a_push_changes_only_what_it_says(own):
    push = Identity(listen_addresses=(OBSERVED,))
    assert own.updated_by(push) == dataclasses.replace(own, listen_addresses=(OBSERVED,))
    assert own.updated_by(Identity()) == own


def test_unknown_addresses_are_left_out(peers):
    message = Identify(listenAddrs=[b"\xff\xff", LISTENED[0].to_bytes(), b""], observedAddr=b"\x04\x01")
    heard = from_message(message, peers(1)[1])
    assert heard.listen_addresses == (LISTENED[0],)
    assert heard.observed_address is None


def test_counts_are_bounded(peers):
    message = Identify(protocols=["/"] * 2000, listenAddrs=[LISTENED[0].to_bytes()] * 600)
    heard = from_message(message, peers(1)[1])
    assert (len(heard.protocols), len(heard.listen_addresses)) == (1024, 500)


class TestNobodyIdentifiesAsSomebodyElse:
    def test_by_public_key(self, peers):
        with pytest.raises(SecurityError, match="with the key of"):
            from_message(Identify(publicKey=peers(2)[0].public.to_bytes()), peers(1)[1])

    def test_by_a_record_that_is_valid_but_anothers(self, peers):
        other_key, other = peers(2)
        record = PeerRecord(other, 1, LISTENED).seal(other_key)
        with pytest.raises(SecurityError, match="with the peer record of"):
            from_message(Identify(signedPeerRecord=record), peers(1)[1])

    def test_by_a_record_signed_with_another_key(self, peers):
        record = PeerRecord(peers(1)[1], 1, LISTENED).seal(peers(2)[0])
        with pytest.raises(SecurityError):
            from_message(Identify(signedPeerRecord=record), peers(1)[1])

    def test_by_a_record_changed_after_it_was_signed(self, peers):
        key, peer = peers(1)
        record = bytearray(PeerRecord(peer, 1, LISTENED).seal(key))
        record[-1] ^= 1
        with pytest.raises(SecurityError):
            from_message(Identify(signedPeerRecord=bytes(record)), peer)

    def test_a_record_of_another_kind_is_skipped_as_rust_still_sends(self, peers):
        key, peer = peers(1)
        record = seal(key, "libp2p-routing-state", b"/libp2p/routing-state-record", b"")
        assert from_message(Identify(signedPeerRecord=record), peer).record is None


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", ClosedError),
        (b"\x05abc", ClosedError),
        (b"\x01\xff", DecodeError),
        (varint.encode(8193) + b"a" * 8193, DecodeError),
        (b"\x04\x0a\x02\x08\x09", DecodeError),
    ],
    ids=["nothing", "half a message", "garbage", "oversize", "no public key"],
)
def test_a_broken_identify_is_refused(run, pair, peers, data, error):
    with pytest.raises(error):
        run(hear, pair, peers, data)


def test_silence_ends_after_five_seconds(run, pair, peers, frame):
    async def main():
        ours, theirs = pair(0.0)
        await theirs.write(frame(Identify(protocols=["/a"])))
        with pytest.raises(UnreachableError, match="5 s"):
            await listen(ours, peers(1)[1])
        return ours.state, asyncio.get_running_loop().time()

    assert run(main) == ("reset", 5.0)


@given(data=st.data())
def test_whatever_a_stranger_says_it_ends_in_time_with_our_errors(run, pair, peers, hostile, play, data):
    key, peer = peers(1)
    record = PeerRecord(peer, 1, LISTENED).seal(key)
    messages = [
        Identify(publicKey=key.public.to_bytes(), signedPeerRecord=record),
        Identify(listenAddrs=[LISTENED[0].to_bytes()], observedAddr=OBSERVED.to_bytes(), protocols=["/a"]),
    ]
    script = data.draw(hostile(*messages))

    async def main():
        ours, theirs = pair()
        playing = asyncio.create_task(play(theirs, script))
        try:
            heard = await listen(ours, peer)
            assert heard.public_key in (None, key.public)
            assert ours.state == "closed"
        except NatlabError:
            assert ours.state == "reset"
        playing.cancel()
        return asyncio.get_running_loop().time()

    assert run(main) <= 5.0


async def hear(pair, peers, data):
    """What is heard when these bytes are said, and the stream closed."""
    ours, theirs = pair()
    await theirs.write(data)
    await theirs.close_write()
    try:
        return await listen(ours, peers(1)[1])
    except BaseException:
        assert ours.state == "reset"
        raise
