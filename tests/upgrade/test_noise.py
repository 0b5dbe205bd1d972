import contextlib
import random
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.errors import ClosedError, DecodeError, NegotiationError, ProtocolError, SecurityError
from natlab.upgrade.noise import MAX_PLAINTEXT, SIGNATURE_PREFIX, Channel, Handshake, StaticKey
from natlab.upgrade.noise_xx import KeyPair, XXHandshake
from natlab.wire.keys import PrivateKey
from natlab.wire.peer_id import PeerId
from natlab.wire.proto.noise_pb2 import NoiseHandshakePayload

ALICE, BOB = PrivateKey.generate(random.Random(1)), PrivateKey.generate(random.Random(2))
ALICE_ID, BOB_ID = PeerId.from_public_key(ALICE.public), PeerId.from_public_key(BOB.public)
YAMUX, MPLEX = "/yamux/1.0.0", "/mplex/6.7.0"


def initiator(expected: PeerId | None = None, muxers: Sequence[str] = (), identity: PrivateKey = ALICE) -> Handshake:
    rng = random.Random(3)
    return Handshake(StaticKey(identity, rng, muxers), rng, initiator=True, expected=expected)


def responder(expected: PeerId | None = None, muxers: Sequence[str] = ()) -> Handshake:
    rng = random.Random(4)
    return Handshake(StaticKey(BOB, rng, muxers), rng, initiator=False, expected=expected)


def shake(first: Handshake, second: Handshake) -> tuple[Channel, Channel]:
    for sender, receiver in ((first, second), (second, first), (first, second)):
        receiver.receive(sender.data_to_send())
    assert first.channel is not None and second.channel is not None
    return first.channel, second.channel


def test_each_end_learns_who_the_other_is() -> None:
    alice, bob = shake(initiator(expected=BOB_ID), responder(expected=ALICE_ID))
    assert (alice.peer, alice.peer_key) == (BOB_ID, BOB.public)
    assert (bob.peer, bob.peer_key) == (ALICE_ID, ALICE.public)


def test_bytes_go_both_ways() -> None:
    alice, bob = shake(initiator(), responder())
    for text in (b"ping", b"", b"once more"):
        assert bob.decrypt(alice.encrypt(text)) == text
        assert alice.decrypt(bob.encrypt(text)) == text


def test_one_static_key_serves_every_handshake_and_each_has_its_own_ephemeral_one() -> None:
    rng = random.Random(3)
    static = StaticKey(ALICE, rng)
    ours, theirs = zip(*((Handshake(static, rng, initiator=True), responder()) for _ in range(2)), strict=True)
    greetings = [end.data_to_send() for end in ours]
    assert greetings[0] != greetings[1]
    for greeting, end, other in zip(greetings, ours, theirs, strict=True):
        other.receive(greeting)
        end.receive(other.data_to_send())
        other.receive(end.data_to_send())
    assert {end._noise.remote_static for end in theirs} == {static.pair.public}


def test_the_first_message_is_a_bare_ephemeral_key() -> None:
    assert len(first := initiator().data_to_send()) == 34
    assert first[:2] == b"\x00\x20"


@pytest.mark.parametrize(
    ("ours", "theirs", "agreed"),
    [
        ([YAMUX], [YAMUX], YAMUX),
        ([YAMUX, MPLEX], [MPLEX, YAMUX], YAMUX),  # the initiator's order counts
        ([MPLEX, YAMUX], [YAMUX], YAMUX),
        ([], [YAMUX], None),
        ([YAMUX], [], None),
        ([], [], None),
    ],
)
def test_early_muxer_negotiation(ours: list[str], theirs: list[str], agreed: str | None) -> None:
    alice, bob = shake(initiator(muxers=ours), responder(muxers=theirs))
    assert alice.muxer == bob.muxer == agreed


def test_no_muxer_in_common_ends_the_handshake() -> None:
    with pytest.raises(NegotiationError):
        shake(initiator(muxers=[YAMUX]), responder(muxers=[MPLEX]))


def test_somebody_else_answers() -> None:
    with pytest.raises(SecurityError, match="expected peer"):
        shake(initiator(expected=ALICE_ID), responder())
    with pytest.raises(SecurityError, match="expected peer"):
        shake(initiator(), responder(expected=BOB_ID))


def test_a_stolen_identity_does_not_pass() -> None:
    """Mallory sends Alice's public key; the signature over her own Noise static key gives her away."""
    thief = SimpleNamespace(public=ALICE.public, sign=BOB.sign)
    with pytest.raises(SecurityError, match="does not verify"):
        shake(initiator(identity=thief), responder())  # type: ignore[arg-type]


def test_a_replayed_payload_does_not_pass() -> None:
    """Alice's genuine signature, but over the static key of another handshake."""
    payload = NoiseHandshakePayload(
        identity_key=ALICE.public.to_bytes(), identity_sig=ALICE.sign(SIGNATURE_PREFIX + bytes(32))
    )
    with pytest.raises(SecurityError, match="does not verify"):
        answer_with(payload.SerializeToString())


@pytest.mark.parametrize("payload", [b"", b"\xff", b"\x0a\x02ab", NoiseHandshakePayload(identity_sig=b"s" * 64)])
def test_a_payload_without_identity(payload: bytes | NoiseHandshakePayload) -> None:
    with pytest.raises(DecodeError):
        answer_with(payload if isinstance(payload, bytes) else payload.SerializeToString())


def answer_with(payload: bytes) -> None:
    """Lets an initiator read message 2 of a Noise responder that knows the protocol but sends `payload`."""
    end = initiator()
    noise = XXHandshake(initiator=False, static=KeyPair(b"s" * 32), ephemeral=KeyPair(b"e" * 32))
    noise.read_message(end.data_to_send()[2:])
    message = noise.write_message(payload)
    end.receive(len(message).to_bytes(2, "big") + message)


def test_closed_during_the_handshake() -> None:
    end = responder()
    end.receive(initiator().data_to_send()[:10])
    with pytest.raises(ClosedError):
        end.receive(b"")


def test_every_cut_of_the_handshake_and_what_follows_it() -> None:
    """The initiator's first encrypted message travels in one segment with its last handshake message."""
    for cut in range(0, 400, 7):
        first, second = initiator(muxers=[YAMUX]), responder(muxers=[YAMUX])
        feed(second, first.data_to_send(), cut)
        feed(first, second.data_to_send(), cut)
        assert first.channel is not None
        feed(second, first.data_to_send() + first.channel.encrypt(b"early"), cut)
        assert second.channel is not None
        assert second.channel.decrypt(b"") == b"early"


def feed(end: Handshake, data: bytes, cut: int) -> None:
    for piece in (data[:cut], data[cut:]):
        if piece:
            end.receive(piece)


def test_large_data_is_cut_into_messages() -> None:
    alice, bob = shake(initiator(), responder())
    data = random.Random(5).randbytes(3 * MAX_PLAINTEXT + 1)
    wire = alice.encrypt(data)
    assert len(wire) == len(data) + 4 * 18
    assert wire[:2] == b"\xff\xff"
    assert bob.decrypt(wire) == data


def test_plaintext_comes_out_as_soon_as_its_message_is_complete() -> None:
    alice, bob = shake(initiator(), responder())
    wire = alice.encrypt(b"one") + alice.encrypt(b"two")
    assert [bob.decrypt(wire[i : i + 1]) for i in range(len(wire))] == [b""] * 20 + [b"one"] + [b""] * 20 + [b"two"]


@pytest.mark.parametrize("order", [(0, 0), (1,), (1, 0)], ids=["repeated", "dropped", "turned around"])
def test_messages_come_once_and_in_order(order: tuple[int, ...]) -> None:
    alice, bob = shake(initiator(), responder())
    messages = [alice.encrypt(b"one"), alice.encrypt(b"two")]
    with pytest.raises(SecurityError):
        bob.decrypt(b"".join(messages[index] for index in order))


@pytest.mark.parametrize("wire", [b"\0\0", b"\0\x0f" + bytes(15), b"\0\x10" + bytes(16)])
def test_what_is_too_short_for_a_tag_or_has_a_wrong_one(wire: bytes) -> None:
    alice, _ = shake(initiator(), responder())
    with pytest.raises(SecurityError):
        alice.decrypt(wire)


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert initiator().data_to_send() == initiator().data_to_send()


@settings(deadline=None)
@given(
    st.integers(0, 1), st.integers(0, 10_000), st.integers(1, 255), st.binary(min_size=1, max_size=120), st.booleans()
)
def test_a_changed_handshake_never_completes(turn: int, place: int, change: int, junk: bytes, flip: bool) -> None:
    """Message 2 or 3 with one byte changed, or junk in its place."""
    first, second = initiator(), responder()
    second.receive(first.data_to_send())
    reader, writer = (first, second) if turn == 0 else (second, first)
    if turn == 1:
        first.receive(second.data_to_send())
    data = bytearray(writer.data_to_send())
    data[place % len(data)] ^= change
    with contextlib.suppress(ProtocolError):
        reader.receive(bytes(data) if flip else junk)
    assert reader.channel is None


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5), st.booleans())
def test_garbage_gives_our_errors_only(pieces: list[bytes], initiating: bool) -> None:
    end = initiator() if initiating else responder()
    try:
        for piece in pieces:
            end.receive(piece)
    except ProtocolError:
        return
    assert end.channel is None


@settings(deadline=None)
@given(st.binary(max_size=5000), st.lists(st.integers(1, 2000), min_size=1, max_size=20))
def test_the_channel_carries_any_bytes_in_any_pieces(data: bytes, sizes: list[int]) -> None:
    alice, bob = shake(initiator(), responder())
    wire, received = alice.encrypt(data), b""
    while wire:
        for size in sizes:
            received += bob.decrypt(wire[:size])
            wire = wire[size:]
    assert received == data
