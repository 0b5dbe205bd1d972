import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natlab.errors import DecodeError, ProtocolError, SecurityError
from natlab.wire import address, envelope
from natlab.wire.envelope import PeerRecord, Voucher
from natlab.wire.keys import PrivateKey
from natlab.wire.peer_id import PeerId

KEY, OTHER = PrivateKey.generate(random.Random(1)), PrivateKey.generate(random.Random(2))
SELF, STRANGER = PeerId.from_public_key(KEY.public), PeerId.from_public_key(OTHER.public)
ADDRESSES = (address.parse("/ip4/11.0.0.1/tcp/4001"), address.parse("/ip6/2600::1/tcp/4001"))
RECORD, VOUCHER = PeerRecord(SELF, 7, ADDRESSES), Voucher(SELF, STRANGER, 1_800_000_000)


def test_the_envelope_is_laid_out_as_rfc_0002_says() -> None:
    """Written by hand: fields 1, 2, 3 and 5, and the signature over length-prefixed domain, type and payload."""
    public = KEY.public.to_bytes()
    signed = b"\x0bsome-domain" + b"\x02\x03\x01" + b"\x05hello"
    expected = bytes((0x0A, len(public))) + public + b"\x12\x02\x03\x01" + b"\x1a\x05hello" + b"\x2a\x40"
    assert envelope.seal(KEY, "some-domain", b"\x03\x01", b"hello") == expected + KEY.sign(signed)


def test_who_signed_and_what() -> None:
    sealed = envelope.seal(KEY, "d", b"\x01", b"payload")
    assert envelope.unseal(sealed, "d", b"\x01") == (KEY.public, b"payload")


def test_another_domain_does_not_verify() -> None:
    with pytest.raises(SecurityError):
        envelope.unseal(envelope.seal(KEY, "d", b"\x01", b""), "e", b"\x01")


def test_another_payload_type_is_not_what_was_asked_for() -> None:
    with pytest.raises(DecodeError, match="of type 01"):
        envelope.unseal(envelope.seal(KEY, "d", b"\x01", b""), "d", b"\x02")


def test_too_long() -> None:
    with pytest.raises(DecodeError, match="at most"):
        envelope.unseal(bytes(envelope.MAX_ENVELOPE_BYTES + 1), "d", b"")


def test_records_come_back_as_they_were() -> None:
    assert PeerRecord.unseal(RECORD.seal(KEY)) == RECORD
    assert Voucher.unseal(VOUCHER.seal(KEY)) == VOUCHER


def test_the_domains_and_types_of_the_specification() -> None:
    assert envelope.unseal(RECORD.seal(KEY), "libp2p-peer-record", b"\x03\x01")[0] == KEY.public
    assert envelope.unseal(VOUCHER.seal(KEY), "libp2p-relay-rsvp", b"\x03\x02")[0] == KEY.public


def test_a_record_or_voucher_signed_by_somebody_else() -> None:
    for sealed, unseal in ((RECORD.seal(OTHER), PeerRecord.unseal), (VOUCHER.seal(OTHER), Voucher.unseal)):
        with pytest.raises(SecurityError, match="signed by"):
            unseal(sealed)


def test_a_voucher_is_no_peer_record() -> None:
    with pytest.raises(DecodeError):
        PeerRecord.unseal(VOUCHER.seal(KEY))


@settings(max_examples=2 * settings.default.max_examples)
@given(
    st.sampled_from([(RECORD.seal(KEY), PeerRecord.unseal), (VOUCHER.seal(KEY), Voucher.unseal)]),
    st.integers(0, 10_000),
    st.integers(1, 255),
    st.binary(max_size=100),
)
def test_a_changed_envelope_never_passes(
    sealed: tuple[bytes, Callable[[bytes], object]], place: int, change: int, junk: bytes
) -> None:
    data, unseal = sealed
    place %= len(data)
    flipped = data[:place] + bytes((data[place] ^ change,)) + data[place + 1 :]
    for attempt in (flipped, data[:place], junk):
        try:
            value = unseal(attempt)
        except ProtocolError:
            continue
        assert value == unseal(data), "something else than what was signed came out"


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_a_properly_signed_payload_of_junk(payload: bytes) -> None:
    for domain, kind, unseal in (
        (envelope.PEER_RECORD_DOMAIN, envelope.PEER_RECORD_TYPE, PeerRecord.unseal),
        (envelope.VOUCHER_DOMAIN, envelope.VOUCHER_TYPE, Voucher.unseal),
    ):
        with pytest.raises(ProtocolError):
            unseal(envelope.seal(KEY, domain, kind, payload))
